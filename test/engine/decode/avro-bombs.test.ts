// Few bytes, or a schema alone, that ask for very many values; and schemas of very many fields.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DecodeError } from "../../../src/engine/core/errors.ts";
import { avroCodec } from "../../../src/engine/decode/avro/avro-codec.ts";
import type { AvroSchema } from "../../../src/engine/core/schema.ts";

type Field = readonly [name: string, type: unknown, value?: unknown];
const record = (name: string, fields: readonly Field[]): AvroSchema =>
  ({
    type: "record",
    name,
    fields: fields.map(([field, type, value]) =>
      value === undefined ? { name: field, type } : { name: field, type, default: value },
    ),
  }) as unknown as AvroSchema;
const listOf = (items: unknown): AvroSchema => record("R", [["a", { type: "array", items }]]);
const mapOf = (values: unknown): AvroSchema => record("R", [["a", { type: "map", values }]]);
const many = (count: number, type: unknown, value?: unknown): Field[] =>
  Array.from({ length: count }, (_, i) => [`f${String(i)}`, type, value]);

function decode(reader: AvroSchema, writer: AvroSchema, body: Buffer): unknown {
  const schemas = { get: () => JSON.stringify(writer) };
  const codec = avroCodec("t", reader, { schemas, writerId: null, where: {} } as never);
  return codec.decode(Buffer.concat([Buffer.of(0, 0, 0, 0, 7), body]));
}

/** A block of 65,536 items. */
const block = Buffer.of(0x80, 0x80, 0x08);
const blocks = (count: number): Buffer =>
  Buffer.concat([...Array.from({ length: count }, () => block), Buffer.of(0)]);
const nothing = record("R", []);
const empty = record("E", []);

const bombs: Record<string, [reader: AvroSchema, writer: AvroSchema, body: Buffer]> = {
  "null, in very many blocks": [listOf("null"), listOf("null"), blocks(21_000)],
  "empty records": [listOf(empty), listOf(empty), blocks(21_000)],
  "records of a thousand nulls": [
    ...([0, 1].map(() => listOf(record("E", many(1_000, "null")))) as [AvroSchema, AvroSchema]),
    blocks(1),
  ],
  "a fixed of no bytes": [
    ...([0, 1].map(() => listOf({ type: "fixed", name: "F", size: 0 })) as [
      AvroSchema,
      AvroSchema,
    ]),
    blocks(20),
  ],
  "null that nobody reads": [nothing, listOf("null"), blocks(21_000)],
  "defaults of what was not written": [
    listOf(record("E", many(100, "int", 1))),
    listOf(empty),
    blocks(1),
  ],
  "branches of a thousand nulls": [
    ...([0, 1].map(() => listOf(["int", record("E", many(1_000, "null"))])) as [
      AvroSchema,
      AvroSchema,
    ]),
    Buffer.concat([Buffer.of(0x80, 0x80, 0x04), Buffer.alloc(32_768, 2), Buffer.of(0)]),
  ],
  "branches that nobody reads": [
    nothing,
    listOf(["int", record("E", many(1_000, "null"))]),
    Buffer.concat([Buffer.of(0x80, 0x80, 0x04), Buffer.alloc(32_768, 2), Buffer.of(0)]),
  ],
  "records that double thirty times, without a byte": [
    nothing,
    record("R", [["d", doubled(30)]]),
    Buffer.alloc(0),
  ],
  "maps of a thousand nulls": [
    ...([0, 1].map(() => mapOf(record("E", many(1_000, "null")))) as [AvroSchema, AvroSchema]),
    Buffer.concat([Buffer.of(0xd0, 0x0f), Buffer.alloc(2_000, Buffer.of(2, 0x61)), Buffer.of(0)]),
  ],
};

function doubled(times: number): unknown {
  let type: unknown = "null";
  for (let i = 0; i < times; i++)
    type = record(`D${String(i)}`, [
      ["l", type],
      ["r", i === 0 ? type : `D${String(i - 1)}`],
    ]);
  return type;
}

for (const [name, [reader, writer, body]] of Object.entries(bombs))
  test(`values without bytes are bounded in sum: ${name}`, () => {
    assert.throws(
      () => decode(reader, writer, body),
      (error: unknown) =>
        error instanceof DecodeError && /more values without bytes/.test(error.message),
    );
  });

test("so many of them as one record may have are read, and more where it has bytes for them", () => {
  const { a } = decode(listOf("null"), listOf("null"), blocks(1)) as { a: null[] };
  assert.equal(a.length, 65_536);
  const item = (fields: Field[]): AvroSchema => listOf(record("E", [["id", "string"], ...fields]));
  const items = Buffer.concat([
    Buffer.of(0x80, 0x80, 0x02),
    Buffer.alloc(16_384 * 7, Buffer.from([12, 97, 97, 97, 97, 97, 97])),
    Buffer.of(0),
  ]);
  const read = decode(item(many(20, "int", 1)), item([]), items) as { a: unknown[] };
  assert.equal(read.a.length, 16_384);
});

test("a nullable field costs nothing of it", () => {
  const optional = listOf(["null", "int"]);
  const body = Buffer.concat([Buffer.of(0x80, 0x80, 0x08), Buffer.alloc(65_536, 0), Buffer.of(0)]);
  assert.equal((decode(optional, optional, body) as { a: unknown[] }).a.length, 65_536);
});

test("the checks of a schema are linear in its fields and symbols", () => {
  const timed = (count: number): number => {
    const wide = record("R", many(count, "int"));
    const begun = process.cpuUsage();
    assert.deepEqual(decode(record("R", [["f5", "int"]]), wide, Buffer.alloc(count, 2)), { f5: 1 });
    const { user, system } = process.cpuUsage(begun);
    return (user + system) / 1_000;
  };
  timed(1_000);
  const ms = timed(100_000);
  assert.ok(ms < 3_000, `${ms.toFixed(0)} ms`);
});
