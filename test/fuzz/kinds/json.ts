// JSON of topics, our own JSON of internal topics and stores, what parts carry, and plain keys: a value or a letter; what was
// read can be written again, and is the same then.
import type { Codec, CodecOptions, SchemaFormat } from "../../../src/engine/core/schema.ts";
import { decimal } from "../../../src/engine/core/decimal.ts";
import { differences, quickHash, structureOf } from "../../../src/engine/core/structure.ts";
import { wrongNote } from "../../../src/engine/notes/kinds.ts";
import { shapeRecord } from "../../../src/engine/notes/shape-notes.ts";
import { compileCodec } from "../../../src/engine/decode/codec.ts";
import type { Draw } from "../draw.ts";
import { kindOf, must, mustBePlain, mustBeSame, type AnyKind, type Read } from "../kind.ts";
import { mutated } from "../mutate/bytes.ts";
import { jsonBytes } from "../mutate/json.ts";

const order = {
  ...{ orderId: "o-1", amount: 12.5, count: 9007199254740991, at: 1767225600000, isPaid: true },
  ...{ lines: [{ sku: "é\u{1f600}", n: 2, tags: ["a", "b"] }], note: null, address: { city: "" } },
};
const wrapped = {
  schema: { type: "struct", fields: [] },
  payload: { before: null, after: order, op: "c" },
};
const noSchemas = { schemas: { get: () => "unknown" }, writerId: null } as const;

function roundTrip(codec: Codec, bytes: Buffer | null): Read {
  const value = codec.decode(bytes);
  const look = (): void => {
    mustBePlain(value);
    const again = codec.encode(value);
    mustBeSame(codec.decode(again), value, "what was read is another when it is written");
  };
  return { look };
}

const validator = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null)
    throw new Error(`expected an order, got ${String(value)}`);
  return value;
};
const jsonCodecs = [null, validator].map((one) =>
  compileCodec({ kind: "json", validator: one }, noSchemas),
);

/** 1e16 is read, and would be written with digits that a reader has to refuse; -0 is written as 0. */
function isUnwritable(value: unknown): boolean {
  if (typeof value === "number") return Number.isInteger(value) && !Number.isSafeInteger(value);
  return typeof value === "object" && value !== null && Object.values(value).some(isUnwritable);
}

function jsonRoundTrip(codec: Codec, bytes: Buffer): Read {
  const value = codec.decode(bytes);
  const look = (): void => {
    mustBePlain(value);
    if (isUnwritable(value)) return;
    const again = codec.encode(value);
    const twice = codec.encode(codec.decode(again));
    mustBeSame(twice, again, "what was read is another when it is written");
  };
  return { look };
}

export const jsonKind: AnyKind = kindOf({
  ...{ name: "json", codes: /^MILL_DECODE_(JSON|EMPTY)$/, weight: 3 },
  make: (draw: Draw) => ({
    codec: draw.of(jsonCodecs),
    bytes: jsonBytes(draw, draw.of<unknown>([order, wrapped, [order], 7, "text"])),
  }),
  read: ({ codec, bytes }) => jsonRoundTrip(codec, bytes),
});

const tagged = compileCodec({ kind: "tagged-json" }, noSchemas);
const kept = {
  ...{ price: decimal("12.50"), big: 2n ** 70n, bytes: new Uint8Array([1, 2]), n: -0, $own: 1 },
  ...{ inner: [NaN, Infinity, { $$: "x" }], ...order },
};
const keptBytes = [kept, [1, 2], { $d: "7" }].map((value) => tagged.encode(value) as Buffer);

export const taggedKind: AnyKind = kindOf({
  ...{ name: "our-json", codes: /^MILL_DECODE_(JSON|EMPTY)$/, weight: 3 },
  make: (draw: Draw) => {
    const bytes = draw.of(keptBytes);
    return draw.chance(0.7) ? jsonBytes(draw, JSON.parse(bytes.toString())) : mutated(draw, bytes);
  },
  read(bytes: Buffer) {
    const value = tagged.decode(bytes);
    quickHash(value);
    const structure = structureOf(value);
    differences(structure, [structure, structureOf(kept)]);
    const note = shapeRecord("meta", {
      ...{ topic: "t", id: "abcdefgh", code: "c" },
      ...{ structure, isAccepted: false },
    });
    const why = wrongNote(String(note.key), String(note.value));
    must(why === null, `the note of its structure cannot be read: ${String(why)}`);
    return roundTrip(tagged, bytes);
  },
});

const avroFormat: SchemaFormat = {
  ...{ kind: "avro", name: "Order" },
  schema: { type: "record", name: "Order", fields: [{ name: "id", type: "string" }] },
};
const carriedFormat = (writes: "tagged" | "declared"): SchemaFormat => ({
  ...{
    kind: "carried",
    writes,
    shapes: "between",
    declared: writes === "declared" ? avroFormat : null,
  },
  origins: [
    { topic: "orders", format: avroFormat },
    { topic: "clicks", format: { kind: "json", validator: null } },
    { topic: "between", format: avroFormat },
  ],
});
const carriedOptions: CodecOptions = {
  schemas: { get: (id) => (id === 7 ? JSON.stringify(avroFormat.schema) : "unknown") },
  writerId: 7,
  shapes: { idOf: () => "abcdefgh", isKnown: (_, id) => id === "abcdefgh" },
};
const carried = (["tagged", "declared"] as const).map((writes) =>
  compileCodec(carriedFormat(writes), carriedOptions),
);
const carriedBytes = [
  ...[{ id: "x" }, { id: "é" }].flatMap((value) =>
    carried.map((codec) => codec.encode(value) as Buffer),
  ),
  Buffer.from([0, 0, 0, 0, 7, 2, 0x78]),
  Buffer.from(`{"id":"as 0.1.0 wrote it"}`),
];

export const carriedKind: AnyKind = kindOf({
  ...{ name: "carried", weight: 2 },
  codes: /^MILL_DECODE_(JSON|EMPTY|SHAPE|AVRO|SCHEMA|MAGIC|UNKNOWN_SCHEMA)$/,
  make: (draw: Draw) => ({
    codec: draw.of(carried),
    bytes: draw.chance(0.02) ? null : mutated(draw, draw.of(carriedBytes), draw.of(carriedBytes)),
  }),
  read({ codec, bytes }) {
    codec.unknownId(bytes);
    codec.unknownShape?.(bytes);
    mustBePlain(codec.decode(bytes));
    return "taken" as const;
  },
});

const plain = (["string", "bytes", "long"] as const).map((kind) =>
  compileCodec({ kind }, noSchemas),
);
const nullable = compileCodec({ kind: "nullable", of: { kind: "string" } }, noSchemas);

export const keyKind: AnyKind = kindOf({
  ...{ name: "keys", codes: /^MILL_DECODE_(TEXT|SCHEMA|EMPTY)$/, weight: 1 },
  make: (draw: Draw) => {
    const bytes = draw.of([Buffer.from("customer-é"), Buffer.from([0, 0, 0, 0, 0, 0, 0, 9])]);
    return {
      codec: draw.of([...plain, nullable]),
      bytes: draw.chance(0.05) ? null : mutated(draw, bytes),
    };
  },
  read: ({ codec, bytes }) => roundTrip(codec, bytes),
});
