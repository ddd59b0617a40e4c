// Letters that would not fit: what is left out, what they say of it, and that the record is found again.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { headerText, type Headers, type RawRecord } from "../../../src/engine/core/record.ts";
import { letterOf } from "../../../src/engine/letters/letter.ts";
import { raw } from "../../support/plans.ts";

const failure = {
  class: "rule",
  stage: "transform",
  step: "good",
  rule: "good",
  code: "MILL_RULE_BROKEN",
  message: "a rule",
} as const;
const origin = {
  pipeline: "p",
  part: "main",
  version: "v",
  topic: "p-dead-letters",
  partitions: 2,
  states: "p-letter-states",
  generation: 0,
};
const letter = (record: RawRecord, bytesMax: number) =>
  letterOf(record, failure, { ...origin, bytesMax }, 1_700_000_000_000);
const bytes = (length: number): Buffer => Buffer.alloc(length, "x");
const say = (headers: Headers, name: string): string | null => headerText(headers, `dlq.${name}`);
const record = (over: Partial<RawRecord>): RawRecord => raw({}, { offset: 7n, ...over });

const sizeOf = (of: { key: Buffer | null; value: Buffer | null; headers: Headers }): number =>
  (of.key?.length ?? 0) +
  (of.value?.length ?? 0) +
  of.headers.reduce((sum, [name, value]) => sum + name.length + (value?.length ?? 0), 0);

test("what fits is left as it is, to the byte at which it no longer does", () => {
  const of = record({ value: bytes(5_000) });
  let last = 0;
  for (let bytesMax = 5_000; bytesMax < 8_000 && last === 0; bytesMax++)
    if (letter(of, bytesMax).value !== null) last = bytesMax;
  const [fits, not] = [letter(of, last), letter(of, last - 1)];
  assert.equal(say(fits.headers, "pointer"), null);
  assert.ok(sizeOf(fits) <= last);
  assert.equal(say(not.headers, "pointer"), "in/0/7");
  assert.equal(say(not.headers, "value-bytes"), "5000");
  assert.equal(
    say(not.headers, "value-sha256"),
    createHash("sha256").update(bytes(5_000)).digest("hex"),
  );
  assert.equal(not.key, of.key);
});

for (const [what, over, kept, gone] of [
  ["the value", { value: bytes(9_000) }, ["key", "headers"], "value"],
  ["the key", { key: bytes(9_000) }, ["value", "headers"], "key"],
  [
    "the headers",
    {
      headers: [
        ["a", bytes(5_000)],
        ["b", bytes(4_000)],
      ] as Headers,
    },
    ["key", "value"],
    "headers",
  ],
] as const)
  test(`${what} that is the large one is left out, and the rest stays`, () => {
    const of = record({ headers: [["trace", Buffer.from("t")]], ...over });
    const small = letter(of, 4_000);
    assert.ok(sizeOf(small) < 4_000);
    assert.equal(say(small.headers, "pointer"), "in/0/7");
    if (kept[0] === "key") assert.equal(small.key, of.key);
    if (kept.includes("value" as never)) assert.equal(small.value, of.value);
    if (gone === "headers") {
      assert.equal(say(small.headers, "headers-dropped"), "2");
      assert.ok(small.headers.every(([name]) => name.startsWith("dlq.")));
    } else {
      assert.equal(small[gone], null);
      assert.equal(say(small.headers, `${gone}-bytes`), "9000");
      assert.match(say(small.headers, `${gone}-sha256`) ?? "", /^[0-9a-f]{64}$/);
      assert.deepEqual(small.headers[0], ["trace", Buffer.from("t")]);
    }
    for (const name of ["id", "code", "topic", "partition", "offset"])
      assert.notEqual(say(small.headers, name), null);
  });

test("all of it too large: everything is left out, and the letter's own facts stay", () => {
  const headers: Headers = [["h", bytes(6_000)]];
  const small = letter(record({ key: bytes(5_000), value: bytes(7_000), headers }), 2_500);
  assert.deepEqual([small.key, small.value], [null, null]);
  assert.ok(sizeOf(small) < 2_500);
  assert.equal(say(small.headers, "id"), letter(record({}), 1e6).id);
});
