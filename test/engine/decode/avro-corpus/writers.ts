// Made-up writers: schemas of every kind, with what other people's schemas have in them, and the bytes of records.
import {
  branchOf,
  type FieldModel,
  type Model,
  type Primitive,
  type RecordModel,
} from "./model.ts";
import type { Chance } from "../../../support/chance.ts";

const PRIMITIVES: readonly Primitive[] = [
  ...(["null", "boolean", "int", "long", "float", "double", "bytes", "string"] as const),
];
const NAMESPACES = ["", "shop", "shop.parts", "other"];
const LOGICALS: readonly (readonly [Primitive, object])[] = [
  ["int", { logicalType: "date" }],
  ["int", { logicalType: "time-millis" }],
  ["long", { logicalType: "time-micros" }],
  ["long", { logicalType: "timestamp-millis" }],
  ["long", { logicalType: "timestamp-micros" }],
  ["long", { logicalType: "timestamp-nanos" }],
  ["long", { logicalType: "local-timestamp-millis" }],
  ["long", { logicalType: "local-timestamp-micros" }],
  ["bytes", { logicalType: "decimal", precision: 18, scale: 2 }],
  ["string", { logicalType: "uuid" }],
  // These do not fit what they stand on, or nobody knows them: Avro ignores them.
  ["string", { logicalType: "date" }],
  ["int", { logicalType: "timestamp-millis" }],
  ["bytes", { logicalType: "decimal" }],
  ["bytes", { logicalType: "decimal", precision: 2, scale: 5 }],
  ["string", { logicalType: "url", "avro.java.string": "String" }],
  ["long", { logicalType: "money" }],
];
const FIXED: readonly (readonly [number, object])[] = [
  [2, {}],
  [8, {}],
  [4, { logicalType: "decimal", precision: 4, scale: 2 }],
  [16, { logicalType: "uuid" }],
  [12, { logicalType: "duration" }],
  [3, { logicalType: "uuid" }],
];
/** Names and defaults that a schema of ours would not be allowed. */
const ODD_NAMES = ["größe", "unit-price", "2nd", "名前", "a b"];
const ODD_DEFAULTS: readonly unknown[] = ["", "x", 7, null, {}, [], 1.5, true];
const MORE: readonly object[] = [
  { doc: "A word." },
  { order: "descending" },
  { "x-owner": { team: "orders" } },
  {},
  {},
  {},
];

/** Draws the schemas of writers. No two types have one full name. */
export class Writers {
  readonly #chance: Chance;
  #count = 0;
  #known: Model[] = [];
  readonly #names = new Set<string>();

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  record(): RecordModel {
    this.#known = [];
    this.#names.clear();
    this.#count = 0;
    return this.#record(3);
  }

  /** A field's type; `depth` is how much deeper it may go. */
  type(depth: number): Model {
    const draw = this.#chance.below(depth > 0 ? 12 : 5);
    if (draw < 3) return this.#primitive();
    if (draw === 3) return this.#enum();
    return draw === 4 ? this.#fixed() : this.#compound(draw, depth);
  }

  #compound(draw: number, depth: number): Model {
    const chance = this.#chance;
    if (draw < 8) return this.#union(depth);
    if (draw === 8) return { t: chance.is(0.5) ? "array" : "map", of: this.type(depth - 1) };
    if (draw === 9 && this.#known.length > 0) return chance.of(this.#known);
    return draw === 10 ? { t: "array", of: this.#record(depth - 1) } : this.#record(depth - 1);
  }

  #primitive(): Model {
    const chance = this.#chance;
    if (chance.is(0.3)) {
      const [p, more] = chance.of(LOGICALS);
      return { t: "primitive", p, more };
    }
    return { t: "primitive", p: chance.of(PRIMITIVES), more: {} };
  }

  #named(): { name: string; namespace: string; aliases: string[] } {
    const chance = this.#chance;
    const namespace = chance.of(NAMESPACES);
    // The same short name in another namespace is another type.
    const again = `T${String(chance.below(this.#count))}`;
    const isOurs = this.#names.has(`${namespace}.${again}`) || this.#names.has(again);
    const isFree = this.#count > 0 && namespace !== "" && !isOurs;
    const name = isFree && chance.is(0.3) ? again : `T${String(this.#count++)}`;
    this.#names.add(namespace === "" ? name : `${namespace}.${name}`);
    return { name, namespace, aliases: [] };
  }

  #record(depth: number): RecordModel {
    const chance = this.#chance;
    const fields: FieldModel[] = [];
    const record: RecordModel = { t: "record", ...this.#named(), isError: chance.is(0.05), fields };
    const count = 1 + chance.below(3);
    for (let i = 0; i < count; i++) fields.push(this.#field(i, depth));
    if (chance.is(0.1)) {
      const nothing: Model = { t: "primitive", p: "null", more: {} };
      const type: Model = { t: "union", branches: [nothing, record] };
      fields.push({ name: "next", aliases: [], type, default: undefined, more: {} });
    }
    // Only now: used inside itself without a union it would have no end.
    this.#known.push(record);
    return record;
  }

  #field(i: number, depth: number): FieldModel {
    const chance = this.#chance;
    const name = chance.is(0.06) ? chance.of(ODD_NAMES) : `f${String(i)}`;
    const type = this.type(depth);
    const value = chance.is(0.15) ? chance.of(ODD_DEFAULTS) : undefined;
    const aliases = chance.is(0.05) ? ["was"] : [];
    return { name, aliases, type, default: value, more: chance.of(MORE) };
  }

  #enum(): Model {
    const symbols = this.#chance.shuffled(["A", "B", "C", "D"]).slice(0, 2 + this.#chance.below(3));
    const model: Model = { t: "enum", ...this.#named(), symbols, fallback: null };
    this.#known.push(model);
    return model;
  }

  #fixed(): Model {
    const chance = this.#chance;
    const [size, more] = chance.of(FIXED);
    const model: Model = { t: "fixed", ...this.#named(), size, more };
    this.#known.push(model);
    return model;
  }

  #union(depth: number): Model {
    const branches: Model[] = [];
    const count = this.#chance.of([1, 2, 2, 2, 3]);
    while (branches.length < count) {
      const isNull = branches.length === 0 && this.#chance.is(0.5);
      const next: Model = isNull ? { t: "primitive", p: "null", more: {} } : this.type(depth - 1);
      const isTaken = branches.some((branch) => branchOf(branch) === branchOf(next));
      if (next.t !== "union" && !isTaken) branches.push(next);
    }
    return { t: "union", branches };
  }
}

/** Draws the bytes of a value, as the specification says. */
export function bodyOf(model: Model, chance: Chance, depth = 6): Buffer {
  switch (model.t) {
    case "primitive":
      return primitive(model.p, model.more, chance);
    case "enum":
      return varint(BigInt(chance.below(model.symbols.length)));
    case "fixed":
      return fixed(model.size, "precision" in model.more, chance);
    case "record":
      return Buffer.concat(model.fields.map(({ type }) => bodyOf(type, chance, depth - 1)));
    case "union": {
      const index = depth > 0 ? chance.below(model.branches.length) : 0;
      const branch = model.branches[index] as Model;
      return Buffer.concat([varint(BigInt(index)), bodyOf(branch, chance, depth - 1)]);
    }
    case "array":
    case "map":
      return blocks(model.t === "map", model.of, { chance, depth });
  }
}

/** A decimal gets only as many digits as it has. */
const fixed = (size: number, isDecimal: boolean, chance: Chance): Buffer =>
  Buffer.from(
    Array.from({ length: size }, (_, i) => {
      if (!isDecimal) return chance.below(256);
      return i < size - 2 ? 0 : chance.below(38);
    }),
  );

function blocks(isMap: boolean, of: Model, { chance, depth }: { chance: Chance; depth: number }) {
  const count = depth > 0 ? chance.below(3) : 0;
  if (count === 0) return varint(0n);
  const items = Array.from({ length: count }, (_, i) => {
    const key = isMap ? text(`k${String(i)}`) : Buffer.alloc(0);
    return Buffer.concat([key, bodyOf(of, chance, depth - 1)]);
  });
  const body = Buffer.concat(items);
  // A negative count says the size of the block in bytes as well.
  const head = chance.is(0.3)
    ? [varint(BigInt(-count)), varint(BigInt(body.length))]
    : [varint(BigInt(count))];
  return Buffer.concat([...head, body, varint(0n)]);
}

const INTS = [0, 1, -1, 7, 64, 20_000, -2_147_483_648, 2_147_483_647];
const LONGS = [
  0n,
  1n,
  -1n,
  86_399n,
  1_767_600_000_123n,
  2n ** 53n - 1n,
  2n ** 53n + 1n,
  -(2n ** 63n),
];
const TEXTS = ["", "x", "größe", "😀", "12.5", "NULL", "a\tb"];

function primitive(p: Primitive, more: object, chance: Chance): Buffer {
  switch (p) {
    case "null":
      return Buffer.alloc(0);
    case "boolean":
      return Buffer.from([chance.below(2)]);
    case "int":
      return varint(BigInt(chance.of("logicalType" in more ? INTS.slice(0, 6) : INTS)));
    case "long":
      return varint(chance.of("logicalType" in more ? LONGS.slice(0, 5) : LONGS));
    case "float":
      return real(4, chance.of([0, -0, 1.5, -2.25e10, NaN, Infinity]));
    case "double":
      return real(8, chance.of([0, -0, 0.1, -2.25e100, NaN, -Infinity]));
    case "string":
      return text(chance.of(TEXTS));
    case "bytes":
      return bytes(
        "precision" in more ? chance.of(["04d2", "ff", "00"]) : chance.of(["", "00ff", "616263"]),
      );
  }
}

function real(size: 4 | 8, value: number): Buffer {
  const buffer = Buffer.alloc(size);
  if (size === 4) buffer.writeFloatLE(value);
  else buffer.writeDoubleLE(value);
  return buffer;
}
export const text = (value: string): Buffer => sized(Buffer.from(value, "utf8"));
const bytes = (hex: string): Buffer => sized(Buffer.from(hex, "hex"));
const sized = (value: Buffer): Buffer => Buffer.concat([varint(BigInt(value.length)), value]);

export function varint(value: bigint): Buffer {
  let rest = value >= 0n ? value << 1n : (-value << 1n) - 1n;
  const found: number[] = [];
  for (; rest > 0x7fn; rest >>= 7n) found.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...found, Number(rest)]);
}
