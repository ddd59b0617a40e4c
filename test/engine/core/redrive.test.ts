import assert from "node:assert/strict";
import { test } from "node:test";
import type { Headers } from "../../../src/engine/core/record.ts";
import {
  originalHeaders,
  redriveHeaders,
  redriveOrderOf,
  stateRecord,
  statesIn,
  type RedriveOrder,
} from "../../../src/engine/core/redrive.ts";
import { stateOf, type LetterFacts } from "../../../src/engine/letters/found-letter.ts";

const order: RedriveOrder = {
  id: "id-1",
  part: "main",
  origin: { topic: "in", partition: 3, offset: 9_007_199_254_740_993n, timestamp: 1_700 },
  redrives: 2,
  redrivesMax: 3,
  firstTime: "2026-01-05T00:00:00.000Z",
  job: "job-1",
};

test("what a redrive asks for comes back from its headers as it was", () => {
  assert.deepEqual(redriveOrderOf(redriveHeaders(order)), order);
  const bare = { ...order, firstTime: null };
  assert.deepEqual(redriveOrderOf(redriveHeaders(bare)), bare);
});

test("headers that lack something, or say what no redrive says, are none", () => {
  const headers = redriveHeaders(order);
  for (const name of ["id", "part", "topic", "partition", "offset", "timestamp", "redrives"])
    assert.equal(redriveOrderOf(headers.filter(([of]) => of !== `dlq.${name}`)), null, name);
  const odd: Headers = [...headers, ["dlq.offset", Buffer.from("-1")]];
  assert.equal(redriveOrderOf(odd), null);
  assert.equal(redriveOrderOf([]), null);
});

test("headers of the record stay, also those that are named like ours: a letter may have been a record", () => {
  const own: Headers = [
    ["trace", Buffer.from("1")],
    ["dlq.id", Buffer.from("of another pipeline")],
    ["dlq.class", Buffer.from("rule")],
  ];
  assert.deepEqual(originalHeaders([...own, ...redriveHeaders(order)]), own);
  assert.deepEqual(originalHeaders([["trace", null]]), [["trace", null]]);
});

const facts = (redrives: number): LetterFacts =>
  ({ redrives, lastTime: "2026-01-05T00:00:00.000Z", code: "X" }) as LetterFacts;

test("a letter is open until something later is said of it, and when it has failed again", () => {
  const said = (state: "open" | "redriven" | "resolved" | "discarded", redrives: number) => ({
    state,
    redrives,
    atMs: 1,
  });
  const cases = [
    [0, undefined, "open"],
    [0, said("redriven", 1), "redriven"],
    [1, said("redriven", 1), "open"],
    [1, said("redriven", 2), "redriven"],
    [1, said("resolved", 2), "resolved"],
    [0, said("discarded", 0), "discarded"],
    // A word of an earlier time is over.
    [2, said("resolved", 1), "open"],
    [1, said("open", 1), "open"],
  ] as const;
  for (const [redrives, state, expected] of cases)
    assert.equal(
      stateOf(facts(redrives), state).state,
      expected,
      JSON.stringify([redrives, state]),
    );
});

test("states are found among other notes", () => {
  const state = { state: "resolved", redrives: 1, atMs: 5 } as const;
  const { key, value, timestamp } = stateRecord("states", "id-1", state);
  const notes = new Map([
    [String(key), String(value)],
    ["job", "{}"],
  ]);
  assert.deepEqual(statesIn(notes), new Map([["id-1", state]]));
  assert.equal(timestamp, 5);
});
