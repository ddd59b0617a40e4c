// A schema compiled by avsc into types that are as strict as we need: plain objects, no key that replaces a prototype,
// no array longer than its bytes, unions told apart by what a value is. Resolution and code generation stay avsc's.
import avsc, { type Type } from "avsc";
import { bucketOf, isPrimitive, logicalOf, type Bucket } from "../core/avro-shape.ts";
import { isDecimal } from "../core/decimal.ts";
import type { AvroSchema } from "../core/schema.ts";
import { breach, broken, unwritable } from "./faults.ts";
import {
  BigintIdType,
  BigintType,
  DateType,
  DecimalType,
  LocalMicrosType,
  LocalMillisType,
  LocalNanosType,
  NumberType,
  type Hook,
  type InnerType,
} from "./logical-types.ts";
import type { Tap } from "./tap.ts";

export type AvroType = Type & InnerType;
export interface AvroResolver {
  _read(tap: Tap): unknown;
}

/** Compiles a schema. Throws plain errors of avsc for what is no schema. */
export function avroTypeOf(schema: AvroSchema): AvroType {
  const made: Type[] = [];
  // A type that avsc builds itself passes the hook first, so the hook builds all of them and keeps a list.
  const typeHook = (part: unknown, options: Options): Type | undefined => {
    const type = strictType(part, options);
    if (type !== undefined) made.push(type);
    return type;
  };
  const options = { typeHook, logicalTypes, omitRecordMethods: true, registry: {} };
  const type = avsc.Type.forSchema(schema as never, options as never) as AvroType;
  for (const part of [type, ...Object.values(options.registry as Record<string, Type>), ...made])
    makePlain(part);
  return type;
}

/** How `reader` reads what `writer` wrote; throws a plain error of avsc when it cannot. */
export const resolverOf = (reader: AvroType, writer: AvroType): AvroResolver =>
  reader.createResolver(writer, { ignoreNamespaces: true }) as unknown as AvroResolver;

const logicalTypes = {
  decimal: DecimalType,
  date: DateType,
  "time-millis": NumberType,
  "time-micros": BigintType,
  "timestamp-millis": NumberType,
  "timestamp-micros": BigintType,
  "timestamp-nanos": BigintType,
  "local-timestamp-millis": LocalMillisType,
  "local-timestamp-micros": LocalMicrosType,
  "local-timestamp-nanos": LocalNanosType,
  bigint: BigintIdType,
};

interface Options {
  readonly registry: Record<string, Type>;
}
type Definition = Readonly<Record<string, unknown>>;

function strictType(part: unknown, options: Options): Type | undefined {
  if (Array.isArray(part)) return unionOf(part, options);
  if (part === "long" || part === "bytes" || part === "string") {
    const primitive = options.registry[part] ?? new primitives[part]();
    options.registry[part] = primitive;
    return primitive;
  }
  return typeof part === "object" && part !== null
    ? definedType(part as Definition, options)
    : undefined;
}

function definedType(part: Definition, options: Options): Type | undefined {
  const { type, logicalType } = part;
  if (typeof type !== "string") return typeOf(type, options);
  if (typeof logicalType === "string" && Object.hasOwn(logicalTypes, logicalType)) {
    const size = typeof part["size"] === "number" ? part["size"] : null;
    // avsc asks again for what a logical type stands on, without a way to tell the two calls apart: both are its own.
    if (logicalOf(part, type, size) !== null) return undefined;
    return typeOf({ ...part, logicalType: undefined }, options);
  }
  const Complex = complexTypes[type];
  if (Complex !== undefined) return new Complex(part as never, options);
  if (type === "record") return undefined;
  return isPrimitive(type) ? strictType(type, options) : typeOf(type, options);
}

const typeOf = (part: unknown, options: Options): Type =>
  avsc.Type.forSchema(part as never, options as never);

/** Objects made by `new Record(…)` in avsc's generated code, but with the prototype of a literal. */
function makePlain(type: Type): void {
  const { recordConstructor, _branchConstructor } = type as {
    recordConstructor?: { prototype: unknown };
    _branchConstructor?: unknown;
  };
  if (recordConstructor !== undefined) recordConstructor.prototype = Object.prototype;
  // Unions have a method of this name that throws; types have their own function, or null.
  if (typeof _branchConstructor === "function" && Object.hasOwn(type, "_branchConstructor"))
    _branchConstructor.prototype = Object.prototype;
}

class StrictLong extends avsc.types.LongType {
  _read(tap: Tap): number {
    return tap.readLong();
  }
  _write(tap: Tap, value: unknown): void {
    if (!Number.isSafeInteger(value)) throw unwritable("expected a whole number within ±(2^53−1)");
    tap.writeLong(value as number);
  }
  _check(value: unknown, _flags: unknown, hook: Hook): boolean {
    return told(Number.isSafeInteger(value), value, this, hook);
  }
}

class StrictBytes extends avsc.types.BytesType {
  _write(tap: Tap, value: unknown): void {
    if (!(value instanceof Uint8Array)) throw unwritable("expected bytes");
    tap.writeBytes(value);
  }
  _check(value: unknown, _flags: unknown, hook: Hook): boolean {
    return told(value instanceof Uint8Array, value, this, hook);
  }
}

class StrictFixed extends avsc.types.FixedType {
  _write(tap: Tap, value: unknown): void {
    if (!this.#isOne(value)) throw unwritable(`expected ${String(this.size)} bytes`);
    tap.writeFixed(value as Uint8Array, this.size);
  }
  _check(value: unknown, _flags: unknown, hook: Hook): boolean {
    return told(this.#isOne(value), value, this, hook);
  }
  #isOne(value: unknown): boolean {
    return value instanceof Uint8Array && value.length === this.size;
  }
}

const primitives = { long: StrictLong, bytes: StrictBytes, string: avsc.types.StringType };

function told(ok: boolean, value: unknown, type: unknown, hook: Hook): boolean {
  if (!ok && hook !== undefined) hook(value, type);
  return ok;
}

interface EnumResolver {
  symbols: readonly (string | undefined)[];
  _read: (tap: Tap) => unknown;
}
/** A symbol that the reader lacks is that record's fault, not a reason to refuse the whole schema. */
class StrictEnum extends avsc.types.EnumType {
  _check(value: unknown, _flags: unknown, hook: Hook): boolean {
    return told(this.symbols.includes(value as string), value, this, hook);
  }
  _update(resolver: EnumResolver, writer: { typeName: string; symbols: readonly string[] }): void {
    if (writer.typeName !== "enum") return;
    const fallback = (this as unknown as { default: string | undefined }).default;
    const known = writer.symbols.map((s) => (this.symbols.includes(s) ? s : fallback));
    resolver._read = (tap) => {
      const index = tap.readLong();
      if (index < 0 || index >= known.length) throw broken("there is no such enum symbol");
      const symbol = known[index];
      if (symbol === undefined) throw breach("the topic's enum does not have this symbol");
      return symbol;
    };
  }
}

/** Items of no bytes (null, an empty record) would let ten bytes ask for millions of them. */
const ITEMS_WITHOUT_BYTES_MAX = 65_536;

/** The next block of an array or map: its number of items, checked against the bytes that are left. */
function blockOf(tap: Tap): number {
  const n = tap.readLong();
  if (n < 0) tap.skipLong();
  const count = Math.abs(n);
  if (count > Math.max(tap.buf.length - tap.pos, ITEMS_WITHOUT_BYTES_MAX))
    throw broken("a block has more items than bytes");
  return count;
}

class StrictArray extends avsc.types.ArrayType {
  // Called on a resolver too, which has an itemsType of its own.
  _read(this: { readonly itemsType: InnerType }, tap: Tap): unknown[] {
    const items: unknown[] = [];
    const { itemsType } = this;
    for (let n = blockOf(tap); n > 0; n = blockOf(tap))
      for (let i = 0; i < n; i++) items.push(itemsType._read(tap));
    return items;
  }
  _skip(tap: Tap): void {
    const type = this.itemsType as unknown as InnerType;
    for (let n = blockOf(tap); n > 0; n = blockOf(tap)) for (let i = 0; i < n; i++) type._skip(tap);
  }
}

class StrictMap extends avsc.types.MapType {
  _read(this: { readonly valuesType: InnerType }, tap: Tap): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    const { valuesType } = this;
    for (let n = blockOf(tap); n > 0; n = blockOf(tap)) {
      for (let i = 0; i < n; i++) {
        const key = tap.readString();
        if (key === "__proto__") throw breach("a map has a key that would replace its prototype");
        values[key] = valuesType._read(tap);
      }
    }
    return values;
  }
  _skip(tap: Tap): void {
    const type = this.valuesType as InnerType;
    for (let n = blockOf(tap); n > 0; n = blockOf(tap)) {
      for (let i = 0; i < n; i++) {
        tap.skipString();
        type._skip(tap);
      }
    }
  }
}

const complexTypes: Readonly<Record<string, new (schema: never, options: unknown) => Type>> = {
  array: StrictArray,
  map: StrictMap,
  enum: StrictEnum,
  fixed: StrictFixed,
};

const LOGICAL = "logical:";
function bucketOfType(type: Type): Bucket {
  const { typeName } = type;
  if (!typeName.startsWith(LOGICAL)) return bucketOf(typeName, null);
  const { underlyingType } = type as unknown as InnerType;
  return bucketOf(underlyingType?.typeName ?? "", typeName.slice(LOGICAL.length));
}

function bucketOfValue(value: unknown): string {
  if (typeof value !== "object") return typeof value;
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (isDecimal(value)) return "decimal";
  return value instanceof Uint8Array ? "bytes" : "object";
}

function unionOf(schemas: readonly unknown[], options: Options): Type {
  const types = schemas.map((schema) => typeOf(schema, options));
  const used = new Set(types.map(bucketOfType));
  return used.size < types.length
    ? new avsc.types.WrappedUnionType(types as never, options)
    : new PlainUnion(types as never, options);
}

/** Finds the branch by what the value is; avsc would try every logical type in turn. */
class PlainUnion extends avsc.types.UnwrappedUnionType {
  constructor(schema: never, options: unknown) {
    super(schema, options);
    // The type is frozen by avsc, this table of it is not.
    const table = (this as unknown as { _bucketIndices: Record<string, number> })._bucketIndices;
    for (const bucket of Object.keys(table)) delete table[bucket];
    this.types.forEach((type, index) => (table[bucketOfType(type)] = index));
  }
  _getIndex(value: unknown): number | undefined {
    const table = (this as unknown as { _bucketIndices: Record<string, number> })._bucketIndices;
    return table[bucketOfValue(value)];
  }
}
