// A parsed schema compiled into avsc's types: plain objects, unions resolved by what a value is. avsc's generated code
// for records does the work; it never sees a schema that core/avro-parser.ts has not parsed.
import avsc, { type Type } from "avsc";
import { branchOfDefault, completeDefault } from "../../core/avro-default.ts";
import {
  bucketOfShape,
  isScalar,
  type AvroShape,
  type FieldShape,
  type Primitive,
  type RecordShape,
  type ScalarShape,
  type UnionShape,
} from "../../core/avro-shape.ts";
import { isDecimal } from "../../core/decimal.ts";
import { broken } from "../faults.ts";
import { countEmpty, emptyIn, EmptyValues, isCounted } from "./empty-values.ts";
import { logicalTypes, UuidType, type InnerType } from "./logical-types.ts";
import {
  StrictArray,
  StrictBytes,
  StrictEnum,
  StrictFixed,
  StrictLong,
  StrictMap,
} from "./strict-types.ts";
import type { Tap } from "./tap.ts";

export type AvroType = Type & InnerType;

/** Compiles a schema of ours, whose names and defaults were checked when it was parsed. */
export function avroTypeOf(shape: AvroShape): AvroType {
  const compiler = new TypeCompiler();
  const type = compiler.typeOf(shape) as AvroType;
  for (const part of compiler.made.values()) makePlain(part);
  return type;
}

/** The placeholder of a type that avsc is to ask for when it gets there: a record may contain itself. */
class Later {
  readonly shape: AvroShape;
  constructor(shape: AvroShape) {
    this.shape = shape;
  }
}

/** avsc's own list of the named types, and the hook by which it asks for a type. */
interface Options {
  readonly typeHook: (part: unknown) => Type | undefined;
  readonly registry: Record<string, Type>;
  readonly omitRecordMethods: true;
}

class TypeCompiler {
  readonly made = new Map<AvroShape, Type>();
  readonly #empty = new EmptyValues();
  readonly #options: Options = {
    typeHook: (part) => (part instanceof Later ? this.typeOf(part.shape) : undefined),
    // Without a prototype: "constructor" is a name like any other.
    registry: Object.create(null) as Record<string, Type>,
    omitRecordMethods: true,
  };

  typeOf(shape: AvroShape): Type {
    const made = this.made.get(shape) ?? this.#unfinished(shape);
    if (made !== undefined) return made;
    const type = this.#compiled(shape);
    this.made.set(shape, type);
    return countEmpty(type, this.#empty.of(shape));
  }

  /** A record whose fields are being compiled is in avsc's list already. */
  #unfinished(shape: AvroShape): Type | undefined {
    return shape.kind === "record" ? this.#options.registry[shape.name] : undefined;
  }

  #compiled(shape: AvroShape): Type {
    const options = this.#options;
    if (isScalar(shape)) return this.#scalar(shape);
    switch (shape.kind) {
      case "record":
        return new avsc.types.RecordType(this.#record(shape) as never, options as never);
      case "enum":
        return new StrictEnum({ ...named(shape), symbols: shape.symbols } as never, options);
      case "array":
        return new StrictArray({ type: "array", items: new Later(shape.items) } as never, options);
      case "map":
        return new StrictMap({ type: "map", values: new Later(shape.values) } as never, options);
      case "union":
        return this.#union(shape);
    }
  }

  #record(shape: RecordShape): object {
    return { ...named(shape), fields: shape.fields.map((field) => this.#field(field)) };
  }
  #field({ name, shape, hasDefault, default: value }: FieldShape): object {
    const type = new Later(shape);
    return hasDefault ? { name, type, default: completeDefault(shape, value) } : { name, type };
  }

  #union(shape: UnionShape): Type {
    const types = shape.branches.map((branch) => this.typeOf(branch));
    const hasEmpty = shape.branches.some((branch) => isCounted(this.#empty.of(branch)));
    const Plain = hasEmpty ? CountingUnion : PlainUnion;
    const Wrapped = hasEmpty ? CountingWrappedUnion : WrappedUnion;
    const union = new (shape.wrapped ? Wrapped : Plain)(types as never, this.#options);
    branchesOf.set(union, shape.branches);
    if (union instanceof PlainUnion) union.fillBuckets(shape.branches);
    return union;
  }

  #scalar(shape: ScalarShape): Type {
    const schema = shape.kind === "fixed" ? { ...named(shape), size: shape.size } : shape.kind;
    if (shape.logical !== null) {
      const isFixedUuid = shape.kind === "fixed" && shape.logical.kind === "uuid";
      const Logical = isFixedUuid ? UuidType : logicalTypes[shape.logical.kind];
      const { kind, ...digits } = shape.logical;
      const base = typeof schema === "string" ? { type: schema } : schema;
      if (Logical !== undefined)
        return new Logical({ ...base, ...digits, logicalType: kind } as never, this.#options);
    }
    if (shape.kind === "fixed") return new StrictFixed(schema as never, this.#options);
    return new primitives[shape.kind]();
  }
}

/** The full name as it is: an empty namespace keeps avsc from putting the one around it in front. */
const named = ({ kind, name }: { readonly kind: string; readonly name: string }): object => ({
  type: kind,
  name,
  namespace: "",
});

const primitives: Readonly<Record<Primitive, new () => Type>> = {
  null: avsc.types.NullType,
  boolean: avsc.types.BooleanType,
  int: avsc.types.IntType,
  long: StrictLong,
  float: avsc.types.FloatType,
  double: avsc.types.DoubleType,
  bytes: StrictBytes,
  string: avsc.types.StringType,
};

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

function bucketOfValue(value: unknown): string {
  if (typeof value !== "object") return typeof value;
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (isDecimal(value)) return "decimal";
  return value instanceof Uint8Array ? "bytes" : "object";
}

/** The branches of each union; avsc freezes its own objects. */
const branchesOf = new WeakMap<Type, readonly AvroShape[]>();
/** avsc's mark for the copy that makes a value of a default's JSON. */
interface WrapOptions {
  readonly wrap?: number;
}
const isDefault = (options: WrapOptions | undefined): boolean => options?.wrap === 2;

/** The type of the branch that a default fits: avsc would always take the first. */
function typeOfDefault(union: { readonly types: readonly Type[] }, json: unknown): InnerType {
  const branches = branchesOf.get(union as unknown as Type) ?? [];
  return union.types[branchOfDefault(branches, json)] as unknown as InnerType;
}

interface Copying {
  _copy(value: unknown, options?: WrapOptions): unknown;
}
const noBranch = (): never => {
  throw broken("a union has no branch of this number");
};

/** Counts what a branch has without bytes, then lets the union read. */
function chargeBranch(union: { readonly types: readonly unknown[] }, tap: Tap): void {
  const begin = tap.pos;
  const type = union.types[tap.readLong()] as object | undefined;
  tap.pos = begin;
  if (typeof type === "object" && type !== null) tap.charge(emptyIn(type));
}

/** Finds the branch by what the value is; avsc would try every logical type in turn. */
class PlainUnion extends avsc.types.UnwrappedUnionType {
  fillBuckets(branches: readonly AvroShape[]): void {
    // The type is frozen by avsc, this table of it is not.
    const table = (this as unknown as { _bucketIndices: Record<string, number> })._bucketIndices;
    for (const bucket of Object.keys(table)) delete table[bucket];
    branches.forEach((branch, index) => (table[bucketOfShape(branch)] = index));
  }
  _getIndex(value: unknown): number | undefined {
    const table = (this as unknown as { _bucketIndices: Record<string, number> })._bucketIndices;
    return table[bucketOfValue(value)];
  }
  _read(tap: Tap): unknown {
    const type = this.types[tap.readLong()] as unknown as InnerType | undefined;
    return type === undefined ? noBranch() : type._read(tap);
  }
  _copy(value: unknown, options?: WrapOptions): unknown {
    if (isDefault(options))
      return (typeOfDefault(this, value) as unknown as Copying)._copy(value, options);
    const inherited = avsc.types.UnwrappedUnionType.prototype as unknown as Copying;
    return inherited._copy.call(this, value, options);
  }
}

class CountingUnion extends PlainUnion {
  override _read(tap: Tap): unknown {
    chargeBranch(this, tap);
    return super._read(tap);
  }
}

type Wrap = new (value: unknown) => unknown;
/** Puts a value into an object under its branch's name; null stays as it is. */
export function wrapperOf(type: InnerType): ((value: unknown) => unknown) | null {
  const Branch = (type as unknown as { _branchConstructor: Wrap | null })._branchConstructor;
  return Branch === null ? null : (value) => new Branch(value);
}

class WrappedUnion extends avsc.types.WrappedUnionType {
  _read(tap: Tap): unknown {
    const type = this.types[tap.readLong()] as unknown as InnerType | undefined;
    if (type === undefined) return noBranch();
    const { _branchConstructor: Branch } = type as unknown as { _branchConstructor: Wrap | null };
    return Branch === null ? null : new Branch(type._read(tap));
  }
  _copy(value: unknown, options?: WrapOptions): unknown {
    if (!isDefault(options)) {
      const inherited = avsc.types.WrappedUnionType.prototype as unknown as Copying;
      return inherited._copy.call(this, value, options);
    }
    const type = typeOfDefault(this, value);
    const copy = (type as unknown as Copying)._copy(value, options);
    return wrapperOf(type)?.(copy) ?? null;
  }
}

class CountingWrappedUnion extends WrappedUnion {
  override _read(tap: Tap): unknown {
    chargeBranch(this, tap);
    return super._read(tap);
  }
}
