// avsc's types for what a schema is made of, each as strict as we need: no array longer than its bytes, no key that
// replaces a prototype, no index that is none, and a plain word for what does not fit.
import avsc from "avsc";
import { breach, broken, unwritable } from "../faults.ts";
import { emptyIn } from "./empty-values.ts";
import type { Hook, InnerType } from "./logical-types.ts";
import { Tap } from "./tap.ts";

/** The options with which avsc asks for a copy; `coerce` 2 makes a value of a default's JSON. */
interface CoerceOptions {
  readonly coerce?: number;
}
/** Plain bytes, as reading gives them: avsc's own copies are Buffers, which look otherwise in JSON. */
const copied = (value: unknown, options?: CoerceOptions): Uint8Array =>
  new Uint8Array(
    options?.coerce === 2 ? Buffer.from(value as string, "latin1") : (value as Uint8Array),
  );
/** avsc writes a default with a tap of its own, which knows Buffers alone. */
const writable = (tap: unknown, bytes: Uint8Array): Uint8Array =>
  tap instanceof Tap ? bytes : Buffer.from(bytes);

export class StrictLong extends avsc.types.LongType {
  _read(tap: Tap): number {
    return tap.readLong();
  }
  _write(tap: Tap, value: unknown): void {
    if (!Number.isSafeInteger(value)) throw unwritable("expected a whole number within ±(2^53−1)");
    tap.writeLong(value as number);
  }
  _check(value: unknown, _flags: unknown, hook: Hook): boolean {
    return checked(Number.isSafeInteger(value), value, this, hook);
  }
}

export class StrictBytes extends avsc.types.BytesType {
  _write(tap: Tap, value: unknown): void {
    if (!(value instanceof Uint8Array)) throw unwritable("expected bytes");
    tap.writeBytes(writable(tap, value));
  }
  _copy(value: unknown, options?: CoerceOptions): Uint8Array {
    return copied(value, options);
  }
  _check(value: unknown, _flags: unknown, hook: Hook): boolean {
    return checked(value instanceof Uint8Array, value, this, hook);
  }
}

export class StrictFixed extends avsc.types.FixedType {
  _write(tap: Tap, value: unknown): void {
    if (!this.#isOne(value)) throw unwritable(`expected ${String(this.size)} bytes`);
    tap.writeFixed(writable(tap, value as Uint8Array), this.size);
  }
  _copy(value: unknown, options?: CoerceOptions): Uint8Array {
    return copied(value, options);
  }
  _check(value: unknown, _flags: unknown, hook: Hook): boolean {
    return checked(this.#isOne(value), value, this, hook);
  }
  #isOne(value: unknown): boolean {
    return value instanceof Uint8Array && value.length === this.size;
  }
}

function checked(ok: boolean, value: unknown, type: unknown, hook: Hook): boolean {
  if (!ok && hook !== undefined) hook(value, type);
  return ok;
}

export class StrictEnum extends avsc.types.EnumType {
  _read(tap: Tap): unknown {
    const symbol = this.symbols[tap.readLong()];
    if (symbol === undefined) throw broken("there is no such enum symbol");
    return symbol;
  }
  _check(value: unknown, _flags: unknown, hook: Hook): boolean {
    return checked(this.symbols.includes(value as string), value, this, hook);
  }
}

/** Items of no bytes (null, an empty record) would let ten bytes ask for millions of them. */
const ITEMS_WITHOUT_BYTES_MAX = 65_536;

/**
 * The next block of an array or map: its number of items, checked against the bytes that are left. Each item has `empty`
 * values that take none.
 */
export function blockOf(tap: Tap, empty: number): number {
  const n = tap.readLong();
  if (n < 0) tap.skipLong();
  const count = Math.abs(n);
  if (count > Math.max(tap.buf.length - tap.pos, ITEMS_WITHOUT_BYTES_MAX))
    throw broken("a block has more items than bytes");
  if (empty > 0) tap.charge(count * empty);
  return count;
}

export class StrictArray extends avsc.types.ArrayType {
  // Called on a resolver too, which has an itemsType of its own.
  _read(this: { readonly itemsType: InnerType }, tap: Tap): unknown[] {
    const items: unknown[] = [];
    const { itemsType } = this;
    const empty = emptyIn(itemsType);
    for (let n = blockOf(tap, empty); n > 0; n = blockOf(tap, empty))
      for (let i = 0; i < n; i++) items.push(itemsType._read(tap));
    return items;
  }
}

export class StrictMap extends avsc.types.MapType {
  _read(this: { readonly valuesType: InnerType }, tap: Tap): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    const { valuesType } = this;
    const empty = emptyIn(valuesType);
    for (let n = blockOf(tap, empty); n > 0; n = blockOf(tap, empty)) {
      for (let i = 0; i < n; i++) {
        const key = tap.readString();
        if (key === "__proto__") throw breach("a map has a key that would replace its prototype");
        values[key] = valuesType._read(tap);
      }
    }
    return values;
  }
}
