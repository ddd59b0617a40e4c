import assert from "node:assert/strict";
import { test } from "node:test";
import { headerText, type RawRecord } from "../../../src/engine/core/record.ts";
import { letterOf } from "../../../src/engine/letters/letter.ts";
import { stateRecordsOf } from "../../../src/engine/letters/redriven.ts";
import { raw } from "../../support/plans.ts";

const origin = {
  pipeline: "p",
  part: "main",
  version: "abc",
  topic: "p-dead-letters",
  partitions: 2,
  bytesMax: 1_048_588,
  states: "p-letter-states",
  generation: 0,
};
const failure = {
  class: "rule",
  stage: "transform",
  step: "positive",
  rule: "positive",
  code: "MILL_RULE_BROKEN",
  message: "a rule",
} as const;

const original = raw(
  { n: -1 },
  {
    partition: 3,
    offset: 7n,
    headers: [
      ["trace", Buffer.from([0, 255])],
      ["empty", null],
      ["trace", Buffer.from("again")],
    ],
  },
);

test("key, value and headers come first, byte for byte; ours are appended", () => {
  const letter = letterOf(original, failure, origin, 1_700_000_000_000);
  assert.equal(letter.key, original.key);
  assert.equal(letter.value, original.value);
  assert.deepEqual(letter.headers.slice(0, 3), original.headers);
  const said = Object.fromEntries(
    letter.headers.slice(3).map(([name, value]) => [name, value?.toString()]),
  );
  assert.deepEqual(said, {
    "dlq.id": letter.id,
    "dlq.class": "rule",
    "dlq.stage": "transform",
    "dlq.step": "positive",
    "dlq.rule": "positive",
    "dlq.code": "MILL_RULE_BROKEN",
    "dlq.message": "a rule",
    "dlq.topic": "in",
    "dlq.partition": "3",
    "dlq.offset": "7",
    "dlq.timestamp": "1000",
    "dlq.pipeline": "p",
    "dlq.part": "main",
    "dlq.version": "abc",
    "dlq.attempt": "1",
    "dlq.first-time": "2023-11-14T22:13:20.000Z",
    "dlq.last-time": "2023-11-14T22:13:20.000Z",
    "dlq.redrives": "0",
  });
});

test("the id depends on the record's address alone, so a letter sent twice is one", () => {
  const id = letterOf(original, failure, origin, 1).id;
  assert.equal(letterOf(original, { ...failure, class: "sink" }, origin, 2).id, id);
  assert.notEqual(letterOf({ ...original, offset: 8n }, failure, origin, 1).id, id);
  assert.notEqual(letterOf(original, failure, { ...origin, part: "rows" }, 1).id, id);
  assert.match(id, /^[0-9a-f]{32}$/);
});

test("the schema id is told when the value begins like the wire format", () => {
  const value = Buffer.from([0, 0, 0, 1, 2, 9]);
  const letter = letterOf({ ...original, value }, failure, origin, 1);
  assert.equal(headerText(letter.headers, "dlq.schema-id"), "258");
});

const redrivenTimes = (redrives: number): RawRecord => ({
  ...original,
  redriven: {
    topic: "p-redrive",
    offset: 3n,
    order: {
      ...{ id: "an-id", part: "main", redrives, redrivesMax: 2, job: "job" },
      firstTime: "2020-01-01T00:00:00.000Z",
      origin: { topic: "in", partition: 3, offset: 7n, timestamp: 1_000 },
    },
  },
});

test("a record that failed again is the same letter, with its first time and its redrives", () => {
  const again = letterOf(redrivenTimes(1), failure, origin, 2);
  // The id that it had, even where it is not of this place: a run's letter that live has taken over.
  assert.deepEqual([again.id, again.topic], ["an-id", "p-dead-letters"]);
  assert.equal(headerText(again.headers, "dlq.first-time"), "2020-01-01T00:00:00.000Z");
  assert.equal(headerText(again.headers, "dlq.redrives"), "1");
  assert.equal(headerText(again.headers, "dlq.parked"), null);
  const last = letterOf(redrivenTimes(2), failure, origin, 2);
  assert.deepEqual([last.topic, headerText(last.headers, "dlq.parked")], [again.topic, "true"]);
});

test("only a record that came back leaves a word of what became of it", () => {
  assert.deepEqual(stateRecordsOf(original, { kind: "emitted" }, origin, 1), []);
  const [fate] = stateRecordsOf(redrivenTimes(1), { kind: "filtered", by: "paid" }, origin, 5);
  assert.equal(fate?.topic, "p-letter-states");
  assert.deepEqual(JSON.parse(String(fate.value)), {
    ...{ state: "resolved", redrives: 1, atMs: 5, job: "job", outcome: "filtered by paid" },
  });
});
