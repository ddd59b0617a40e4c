import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { avro, nullable, string } from "#engine";
import { csvRows } from "../../src/data/csv-text.ts";
import { flawlessRows, keyedRows } from "../../src/data/keyed-rows.ts";
import { fileError, isBad, problemTexts } from "../../src/data/row.ts";
import { readRows } from "../../src/data/rows.ts";
import { MillraceError } from "../../src/engine/core/errors.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-files-"));
after(() => rmSync(folder, { recursive: true }));
const file = (name: string, content: string | Buffer): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const { format } = avro({
  type: "record",
  name: "Row",
  fields: [
    { name: "rowId", type: "long" },
    { name: "note", type: ["null", "string"] },
  ],
} as never);
/** Every row of a file that is right as a whole; the first bad one throws. */
const rows = async (path: string): Promise<unknown[]> =>
  Array.fromAsync(readRows(path, format), (row) => {
    if (isBad(row)) throw fileError(path, row);
    return row;
  });
/** The numbers of good rows, and the words about each bad one, in their order. */
const outcomes = async (path: string): Promise<(number | string)[]> =>
  (await Array.fromAsync(readRows(path, format))).flatMap((row): readonly (number | string)[] =>
    isBad(row) ? problemTexts(row) : [row.line],
  );
const refusal = async (path: string): Promise<string> => {
  const error: unknown = await rows(path).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof MillraceError, String(error));
  return `${error.code} ${error.message.slice(error.message.indexOf(": ") + 2).replace(folder, "")}`;
};

test("CSV: quotes, empty lines, line breaks inside cells, a byte order mark", async () => {
  const path = file("a.csv", '\uFEFFrow_id,note\r\n1,"a ""b"", c"\r\n\r\n2,"two\nlines"\r\n3,\r\n');
  assert.deepEqual(await rows(path), [
    { line: 2, value: { rowId: 1, note: 'a "b", c' } },
    { line: 5, value: { rowId: 2, note: "two\nlines" } },
    { line: 6, value: { rowId: 3, note: null } },
  ]);
});

test("CSV is the same in whatever pieces it comes", async () => {
  const text =
    'row_id,note\r\n1,"a ""b"", c"\r\n\r\n2,"two\r\nlines"\r\n3,x"y\n4,"p"q\n5,\n6,"end"';
  const inPieces = async (size: number): Promise<unknown[]> => {
    const pieces = async function* () {
      for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size);
    };
    return Array.fromAsync(csvRows(pieces()));
  };
  const whole = await inPieces(text.length);
  assert.deepEqual(
    whole.map((row) => (row as { cells?: string[] }).cells?.join("|") ?? "broken"),
    ["row_id|note", '1|a "b", c', "2|two\r\nlines", "broken", "broken", "5|", "6|end"],
  );
  for (let size = 1; size < text.length; size++) assert.deepEqual(await inPieces(size), whole);
});

test("NDJSON: one object a line, empty lines passed over, the last without line end", async () => {
  const path = file("a.ndjson", '{"rowId":1,"note":"ä"}\n\n{"row_id":2}');
  assert.deepEqual(await rows(path), [
    { line: 1, value: { rowId: 1, note: "ä" } },
    { line: 3, value: { rowId: 2, note: null } },
  ]);
});

test("packed files are the same as plain ones", async () => {
  const csv = file("b.csv.gz", gzipSync("row_id\n1\n2\n"));
  const ndjson = file("b.ndjson.gz", gzipSync('{"rowId":1}\n{"rowId":2}\n'));
  const expected = [1, 2].map((rowId) => ({ rowId, note: null }));
  const values = async (path: string): Promise<unknown[]> =>
    (await rows(path)).map((row) => (row as { value: unknown }).value);
  assert.deepEqual(await values(csv), expected);
  assert.deepEqual(await values(ndjson), expected);
});

test("a text that spans the chunks of a file stays whole", async () => {
  const note = "ä€😀".repeat(60_000);
  const path = file("long.ndjson", `${JSON.stringify({ rowId: 1, note })}\n`);
  assert.deepEqual(await rows(path), [{ line: 1, value: { rowId: 1, note } }]);
});

test("an error names file, line and column, and quotes nothing", async () => {
  const expected = "expected a whole number";
  assert.equal(
    await refusal(file("c.csv", "row_id,note\n1,a\nsecret,b\n")),
    `MILL_DATA_INVALID /c.csv line 3, column row_id: ${expected}`,
  );
  assert.equal(
    await refusal(file("c.ndjson", '{"rowId":1}\n{"rowId":"secret"}\n')),
    `MILL_DATA_INVALID /c.ndjson line 2, column rowId: ${expected}`,
  );
  assert.equal(
    await refusal(file("d.ndjson", '{"rowId":1}\n{secret\n')),
    "MILL_DATA_INVALID /d.ndjson line 2: expected one JSON object",
  );
});

test("broken CSV names its line", async () => {
  assert.equal(
    await refusal(file("e.csv", "row_id,note\n1,a\n2,b,secret\n")),
    "MILL_DATA_INVALID /e.csv line 3: expected as many cells as the header has",
  );
  assert.match(
    await refusal(file("f.csv", 'row_id,note\n1,"never closed\n2,b\n')),
    /^MILL_DATA_INVALID \/f.csv line 2: expected a closing quotation mark; lines 2 to 3 were read/,
  );
});

test("a bad line costs no other one its reading, and each of its fields is named", async () => {
  const csv = "row_id,note\n1,\nx,a\n2,b,c\n3,\n4\n5,\n";
  assert.deepEqual(await outcomes(file("g.csv", csv)), [
    2,
    "line 3, column row_id: expected a whole number",
    "line 4: expected as many cells as the header has",
    5,
    "line 6: expected as many cells as the header has",
    7,
  ]);
  const ndjson =
    '{"rowId":1}\n{"rowId":"x","note":7}\n{oops\n[]\n{"note":"a","more":1}\n{"rowId":2}\n';
  assert.deepEqual(await outcomes(file("g.ndjson", ndjson)), [
    1,
    "line 2, column rowId: expected a whole number",
    "line 2, column note: expected a text",
    "line 3: expected one JSON object",
    "line 4: expected an object",
    "line 5, column more: expected a field of the topic's schema",
    6,
  ]);
});

test("a misplaced quotation mark costs the lines that it joins, and says which", async () => {
  const csv = 'row_id,note\n1,a\n2,"lost\n3,b\n4,"c"\n5,d\n6,e"f\n7,"g"h\n8,i\n';
  assert.deepEqual(await outcomes(file("q.csv", csv)), [
    2,
    "line 3: expected a comma or the end of the line behind a closing quotation mark; lines 3 to 5 were read as one row",
    6,
    "line 7: expected a quotation mark only at the beginning of a cell",
    "line 8: expected a comma or the end of the line behind a closing quotation mark",
    9,
  ]);
  const open = file("open.csv", 'row_id,note\n1,a\nx,b\n2,"lost\n3,c\n');
  assert.deepEqual(await outcomes(open), [
    2,
    "line 3, column row_id: expected a whole number",
    "line 4: expected a closing quotation mark; lines 4 to 5 were read as one row",
  ]);
});

test("packed files are unpacked by their names, and one that is broken says so", async () => {
  const text = Buffer.from(`row_id\n${"1\n".repeat(5000)}`);
  const packings = { br: brotliCompressSync, zst: zstdCompressSync, gz: gzipSync };
  const names = { br: "Brotli", zst: "Zstandard", gz: "gzip" };
  for (const ending of ["br", "zst", "gz"] as const) {
    const packed = packings[ending](text);
    assert.equal((await rows(file(`whole.csv.${ending}`, packed))).length, 5000);
    const wrong = {
      cut: packed.subarray(0, packed.length - 4),
      plain: Buffer.from("row_id\n1\n2\n3\n4\n5"),
    };
    for (const [name, bytes] of Object.entries(wrong)) {
      const said = await refusal(file(`${name}.csv.${ending}`, bytes));
      const expected = `MILL_DATA_INVALID /${name}.csv.${ending} is not a whole ${names[ending]} file`;
      assert.equal(said, expected);
    }
  }
});

test("files that are missing, cut off, no UTF-8 or of another kind say so", async () => {
  assert.match(await refusal(join(folder, "none.csv")), /^MILL_NOT_FOUND no file/);
  assert.match(await refusal(join(folder, "none.ndjson.gz")), /^MILL_NOT_FOUND no file/);
  const packed = gzipSync(`row_id\n${"1\n".repeat(5000)}`);
  const cut = file("cut.csv.gz", packed.subarray(0, packed.length - 12));
  assert.equal(await refusal(cut), "MILL_DATA_INVALID /cut.csv.gz is not a whole gzip file");
  const plain = file("plain.csv.gz", "row_id\n1\n");
  assert.equal(await refusal(plain), "MILL_DATA_INVALID /plain.csv.gz is not a whole gzip file");
  const latin = file("latin.csv", Buffer.from("row_id,note\n1,\u00e4\n", "latin1"));
  assert.equal(await refusal(latin), "MILL_DATA_INVALID /latin.csv is not valid UTF-8");
  await assert.rejects(async () => rows(file("x.txt", "")), { code: "MILL_USAGE" });
});

test("a line without end does not fill the memory", async () => {
  const long = "x".repeat(5_000_000);
  assert.match(await refusal(file("endless.ndjson", long)), /line 1: expected a line of at most/);
  assert.match(
    await refusal(file("endless.csv", `row_id,note\n1,"${long}`)),
    /expected a line of at most/,
  );
});

test("a row's key is the schema's first field, or the one that is named", async () => {
  const topic = { key: string.format, value: format };
  const path = file("k.csv", "row_id,note\n1,a\n2,\n");
  const keys = async (field: string | null, key = topic.key): Promise<unknown[]> => {
    const all = await Array.fromAsync(flawlessRows(path, { ...topic, key }, field));
    return all.map((row) => row.key);
  };
  assert.deepEqual(await keys(null), ["1", "2"]);
  assert.deepEqual(await keys("note", nullable(string).format), ["a", null]);
  await assert.rejects(keys("note"), /line 3, column note: expected a key/);
  assert.throws(() => keyedRows(path, topic, "colour"), { code: "MILL_USAGE" });
});

test("an NDJSON file without an object is refused", async () => {
  for (const [name, content] of Object.entries({ none: "", mark: "\ufeff", lines: "\n \n" }))
    assert.match(
      await refusal(file(`${name}.ndjson`, content)),
      /is empty: expected a JSON object on each line/,
      name,
    );
});

test("a CSV file without a header is refused, a header without rows is none", async () => {
  const empty = { "none.csv": "", "mark.csv": "\ufeff", "lines.csv": "\n\n" };
  for (const [name, content] of Object.entries(empty))
    assert.match(await refusal(file(name, content)), /is empty: expected a header line/, name);
  assert.match(await refusal(file("none.csv.gz", gzipSync(""))), /is empty: expected a header/);
  for (const [name, content] of Object.entries({
    "head.csv": "rowId,note",
    "h.csv": "rowId,note\n",
  }))
    assert.deepEqual(await rows(file(name, content)), [], name);
});
