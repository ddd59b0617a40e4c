// docs/schemas.md: the table of types, row by row against the generated types and the columns.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parseAvro } from "../../src/engine/core/avro-parser.ts";
import { fieldTypeOf } from "../../src/engine/core/column-type.ts";
import type { AvroSchema } from "../../src/engine/core/schema.ts";
import { schemaTypesOf } from "../../src/engine/provision/schema-types.ts";
import { differences } from "../engine/decode/avro-corpus/compare.ts";
import { handmade } from "../engine/decode/avro-corpus/handmade.ts";
import { readCorpus } from "../engine/decode/avro-corpus/corpus.ts";

const text = readFileSync(new URL("../../docs/schemas.md", import.meta.url), "utf8");
const ROW = /^\| `(["{[].*?)` \| `(.*?)` \| `(.*?)` \|$/gm;

test("each row of the table is what a schema of this type gives", () => {
  const rows = [...text.matchAll(ROW)];
  assert.ok(rows.length > 25, String(rows.length));
  for (const [, avro = "", typescript = "", postgres] of rows) {
    const type = JSON.parse(avro) as AvroSchema;
    const fields = [{ name: "a", type }];
    const generated = schemaTypesOf(
      JSON.stringify({ type: "record", name: "R", fields }),
      "r.v1.avsc",
    );
    const shown = /interface R \{\n {2}readonly a: (.*);\n/.exec(generated.text)?.[1];
    assert.equal(shown, typescript.replaceAll("\\|", "|"), avro);
    assert.equal(fieldTypeOf(parseAvro(type))?.type.sql, postgres, avro);
    assert.equal(fieldTypeOf(parseAvro(type))?.problem, null, avro);
  }
});

test("the numbers of the corpus are those of the corpus", () => {
  const { head, cases } = readCorpus();
  assert.equal(cases.length, head.pairs + handmade.length);
  assert.match(text, new RegExp(`${String(cases.length)} pairs of schemas`));
  assert.match(
    text,
    new RegExp(`Java's Avro ${head.java.replace(/.* /, "").replaceAll(".", "\\.")}`),
  );
  const listed = text.slice(text.indexOf("| | Millrace | Java |")).trim().split("\n").slice(2);
  // A row may stand for two kinds: digits beyond the schema's and dates beyond the calendar.
  assert.equal(listed.length, differences.length - 1);
});
