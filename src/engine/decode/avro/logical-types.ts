// Avro's logical types as TypeScript sees them: exact decimals, dates as text, 64-bit longs as bigint.
// Each reads and writes the bytes itself, since avsc's way through the underlying type would lose places or copy.
import avsc from "avsc";
import type { Logical, ScalarShape } from "../../core/avro-shape.ts";
import {
  dateTextOf,
  daysOf,
  localCountOf,
  localTextOf,
  type FractionDigits,
} from "../../core/calendar.ts";
import { fromUnscaled, isDecimal, unscaledOf } from "../../core/decimal.ts";
import {
  readTwosComplement,
  twosComplementLength,
  writeTwosComplement,
} from "../../core/twos-complement.ts";
import { breach, broken, unwritable } from "../faults.ts";
import { writeBigLong, type Tap } from "./tap.ts";

/** The methods that avsc's types call on each other; not in its published types, so avsc is pinned to 5.7.9. */
export interface InnerType {
  readonly typeName: string;
  _read(tap: Tap): unknown;
  _write(tap: Tap, value: unknown): void;
}
/** avsc's signature of a callback for the value that does not fit. */
export type Hook = ((value: unknown, type: unknown) => void) | undefined;

type LogicalSchema = { readonly precision?: number; readonly scale?: number };

/** Shared by all: a cheap check without a trial conversion, and no conversion when values are copied. */
export abstract class ValueType extends avsc.types.LogicalType {
  protected abstract isOne(value: unknown): boolean;
  abstract _read(tap: Tap): unknown;
  abstract _write(tap: Tap, value: unknown): void;

  get underlying(): InnerType {
    return this.underlyingType as unknown as InnerType;
  }
  _check(value: unknown, _flags: unknown, hook: Hook): boolean {
    const ok = this.isOne(value);
    if (!ok && hook !== undefined) hook(value, this);
    return ok;
  }
  /** Reads what another type wrote that may be read as this one. */
  readFrom(tap: Tap, _writer: ScalarShape): unknown {
    return this._read(tap);
  }
  /** Only defaults of fields are copied: from the schema (`coerce` 2) and on each use. */
  _copy(value: unknown, options?: { coerce?: number }): unknown {
    if (options?.coerce !== 2) return value;
    const underlying = this.underlyingType as unknown as { _copy(v: unknown, o: unknown): unknown };
    return this.fromDefault(underlying._copy(value, options));
  }
  protected abstract fromDefault(value: unknown): unknown;
  protected override _fromValue(value: unknown): unknown {
    return value;
  }
  protected override _toValue(value: unknown): unknown {
    return value;
  }
}

export class DecimalType extends ValueType {
  readonly precision: number;
  readonly scale: number;
  readonly #limit: bigint;

  constructor(schema: LogicalSchema, options: unknown) {
    super(schema as never, options);
    this.precision = schema.precision ?? 0;
    this.scale = schema.scale ?? 0;
    this.#limit = 10n ** BigInt(this.precision);
  }
  get #size(): number | undefined {
    return (this.underlyingType as unknown as { size?: number }).size;
  }
  override _read(tap: Tap): unknown {
    return this.#readAs(tap, this.scale, this.#size);
  }
  #readAs(tap: Tap, scale: number, size: number | undefined): unknown {
    const length = size ?? tap.readLong();
    const start = tap.take(length);
    if (length === 0) throw broken("a decimal has no bytes");
    const unscaled = readTwosComplement(tap.buf, start, start + length);
    const value = fromUnscaled(unscaled, scale);
    const own = scale === this.scale ? unscaled : unscaledOf(value, this.scale);
    if (own === null) throw breach(`a decimal has more than ${String(this.scale)} decimal places`);
    if (!this.#fits(own)) throw breach(`a decimal has more than ${String(this.precision)} digits`);
    return value;
  }
  #fits(unscaled: bigint): boolean {
    return unscaled < this.#limit && unscaled > -this.#limit;
  }
  override _write(tap: Tap, value: unknown): void {
    const problem = this.problemOf(value);
    if (problem !== null) throw unwritable(problem);
    const unscaled = unscaledOf(value as never, this.scale) as bigint;
    const length = this.#size ?? twosComplementLength(unscaled);
    if (this.#size === undefined) tap.writeLong(length);
    const at = tap.pos;
    tap.pos += length;
    if (tap.isValid()) writeTwosComplement(unscaled, tap.buf, at, length);
  }
  /** Null for a value that can be written. */
  problemOf(value: unknown): string | null {
    if (!isDecimal(value)) return "expected a Decimal";
    const unscaled = unscaledOf(value, this.scale);
    if (unscaled === null)
      return `has more than ${String(this.scale)} decimal places: round(${String(this.scale)}) it first`;
    return this.#fits(unscaled) ? null : `has more than ${String(this.precision)} digits`;
  }
  protected override isOne(value: unknown): boolean {
    return this.problemOf(value) === null;
  }
  /** A decimal of other digits is read as it was written; whether it fits ours is seen per value. */
  override readFrom(tap: Tap, writer: ScalarShape): unknown {
    const { logical } = writer;
    const scale = logical?.kind === "decimal" ? logical.scale : this.scale;
    return this.#readAs(tap, scale, writer.kind === "fixed" ? writer.size : undefined);
  }
  protected override fromDefault(value: unknown): unknown {
    const bytes = Buffer.from(value as Uint8Array);
    return fromUnscaled(readTwosComplement(bytes, 0, bytes.length), this.scale);
  }
}

/** A 64-bit long as bigint: ids, microseconds, nanoseconds. */
class BigintType extends ValueType {
  protected override isOne(value: unknown): boolean {
    return typeof value === "bigint" && BigInt.asIntN(64, value) === value;
  }
  override _read(tap: Tap): unknown {
    return tap.readBigLong();
  }
  override _write(tap: Tap, value: unknown): void {
    if (!this.isOne(value)) throw unwritable("expected a bigint of 64 bits");
    writeBigLong(tap, value as bigint);
  }
  protected override fromDefault(value: unknown): unknown {
    return BigInt(value as number);
  }
}

/** Milliseconds: a number as it is; only the unit is kept apart from others. */
class NumberType extends ValueType {
  get #isInt(): boolean {
    return this.underlying.typeName === "int";
  }
  protected override isOne(value: unknown): boolean {
    return (
      Number.isSafeInteger(value) && (!this.#isInt || (value as number) === ((value as number) | 0))
    );
  }
  override _read(tap: Tap): unknown {
    return this.#isInt ? tap.readInt() : tap.readLong();
  }
  override _write(tap: Tap, value: unknown): void {
    if (!this.isOne(value)) throw unwritable("expected a whole number");
    tap.writeLong(value as number);
  }
  override readFrom(tap: Tap, writer: ScalarShape): unknown {
    return writer.kind === "int" ? tap.readInt() : this._read(tap);
  }
  protected override fromDefault(value: unknown): unknown {
    return value;
  }
}

/** Counts since 1970 as texts, both ways; null for what has none. */
interface Calendar {
  textOf(count: bigint): string | null;
  countOf(text: string): bigint | null;
}

const days: Calendar = {
  textOf: (count) => dateTextOf(Number(count)),
  countOf(text) {
    const count = daysOf(text);
    return count === null ? null : BigInt(count);
  },
};
const localTime = (digits: FractionDigits): Calendar => ({
  textOf: (count) => localTextOf(count, digits),
  countOf: (text) => localCountOf(text, digits),
});

/** A calendar text: dates, and local timestamps, which no zone makes an instant. */
const calendarType = ({ textOf, countOf }: Calendar): LogicalTypeClass =>
  class extends ValueType {
    override _read(tap: Tap): unknown {
      return this.fromDefault(tap.readBigLong());
    }
    protected override isOne(value: unknown): boolean {
      return typeof value === "string" && countOf(value) !== null;
    }
    override _write(tap: Tap, value: unknown): void {
      const count = typeof value === "string" ? countOf(value) : null;
      if (count === null) throw unwritable("expected a calendar text");
      writeBigLong(tap, count);
    }
    protected override fromDefault(count: unknown): unknown {
      const text = textOf(BigInt(count as bigint | number));
      if (text === null) throw breach("a date lies outside the years 0000 to 9999");
      return text;
    }
  };

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const UUID_BYTES = 16;

/** A uuid of 16 bytes, as the text that people know. */
export class UuidType extends ValueType {
  protected override isOne(value: unknown): boolean {
    return typeof value === "string" && UUID.test(value);
  }
  override _read(tap: Tap): unknown {
    const start = tap.take(UUID_BYTES);
    return uuidText(tap.buf, start);
  }
  override _write(tap: Tap, value: unknown): void {
    if (!this.isOne(value)) throw unwritable("expected a uuid");
    const hex = (value as string).replaceAll("-", "");
    tap.writeFixed(Buffer.from(hex, "hex"), UUID_BYTES);
  }
  protected override fromDefault(value: unknown): unknown {
    return uuidText(Buffer.from(value as Uint8Array), 0);
  }
}

function uuidText(bytes: Buffer, start: number): string {
  const hex = bytes.toString("hex", start, start + UUID_BYTES);
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
  return [...parts, hex.slice(20)].join("-");
}

/** The class of each logical type whose value is not what its type would give. */
export const logicalTypes: Readonly<Partial<Record<Logical["kind"], LogicalTypeClass>>> = {
  decimal: DecimalType,
  date: calendarType(days),
  "time-millis": NumberType,
  "time-micros": BigintType,
  "timestamp-millis": NumberType,
  "timestamp-micros": BigintType,
  "timestamp-nanos": BigintType,
  "local-timestamp-millis": calendarType(localTime(3)),
  "local-timestamp-micros": calendarType(localTime(6)),
  "local-timestamp-nanos": calendarType(localTime(9)),
  bigint: BigintType,
};
type LogicalTypeClass = new (schema: never, options: unknown) => ValueType;
