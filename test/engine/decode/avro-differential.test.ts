// Our reading of Avro beside Java's, over a corpus of made-up writers and readers: avro-corpus/make.ts makes it again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldTypeOf } from "../../../src/engine/core/column-type.ts";
import { parseAvro } from "../../../src/engine/core/avro-parser.ts";
import type { AvroShape } from "../../../src/engine/core/avro-shape.ts";
import { DecodeError } from "../../../src/engine/core/errors.ts";
import type { AvroSchema } from "../../../src/engine/core/schema.ts";
import { encoderOf, RowFault } from "../../../src/engine/sinks/column-encoding.ts";
import { compared, differences, recordOf } from "./avro-corpus/compare.ts";
import { readCorpus } from "./avro-corpus/corpus.ts";
import { pairsOf } from "./avro-corpus/generate.ts";
import { handmade } from "./avro-corpus/handmade.ts";
import { codecOf } from "./avro-support.ts";

const { head, cases } = readCorpus();

test(`${String(head.pairs)} pairs of seed ${String(head.seed)} are read as by ${head.java}`, (t) => {
  const { same, refusedByBoth, differing } = compared(cases);
  t.diagnostic(`same value ${String(same)}, refused by both ${String(refusedByBoth)}`);
  for (const [reason, n] of differing) t.diagnostic(`${String(n)}: ${reason}`);
  assert.ok(cases.length >= 300 && same > 900 && refusedByBoth > 100);
  for (const { reason } of differences)
    assert.ok((differing.get(reason) ?? 0) > 0, `no record shows any more that ${reason}`);
});

test("the corpus is what its generator makes", () => {
  const pairs = [...handmade, ...pairsOf(head.seed, head.pairs)];
  assert.deepEqual(
    cases.map(({ writer, reader, bodies }) => ({ writer, reader, bodies })),
    JSON.parse(JSON.stringify(pairs)),
  );
});

/** Every value that a reader of the corpus read, field by field. */
function* readValues(): Generator<{ shape: AvroShape; value: unknown }> {
  for (const { writer, reader, bodies } of cases) {
    const shape = parseAvro(reader as AvroSchema);
    const codec = codecOf(reader as AvroSchema, { 9: writer as AvroSchema });
    if (shape.kind !== "record") continue;
    for (const body of bodies) {
      const record = outcome(() => codec.decode(recordOf(body)));
      if (record === null) continue;
      for (const field of shape.fields)
        yield { shape: field.shape, value: (record as Record<string, unknown>)[field.name] };
    }
  }
}
function outcome(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    if (error instanceof DecodeError) return null;
    throw error;
  }
}

/** Values of the type that Postgres does not have: they become letters, for the row's sake. */
const REFUSALS = ["22008", "22023"];

test("each value that was read has a text for its field's column, or its type is refused by name", () => {
  const seen = { written: 0, refused: 0, unnamed: 0 };
  for (const { shape, value } of readValues()) {
    const found = fieldTypeOf(shape);
    if (found === null || found.problem !== null) {
      seen.unnamed++;
      continue;
    }
    assert.ok(found.nullable || value !== null, shape.kind);
    const column = { field: "f", name: "f", default: null, check: null, comment: null, ...found };
    try {
      const text = encoderOf(column)(value);
      assert.equal(text === null, value === null);
      seen.written++;
    } catch (error) {
      assert.ok(error instanceof RowFault && REFUSALS.includes(error.code), String(error));
      seen.refused++;
    }
  }
  assert.ok(seen.written > 1500 && seen.refused < seen.written / 20, JSON.stringify(seen));
});
