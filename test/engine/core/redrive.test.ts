import assert from "node:assert/strict";
import { test } from "node:test";
import type { Headers } from "../../../src/engine/core/record.ts";
import {
  lastStates,
  originalHeaders,
  redriveHeaders,
  redriveOrderOf,
  stateRecord,
  statesIn,
  type RedriveOrder,
} from "../../../src/engine/core/redrive.ts";
import type { LetterFacts } from "../../../src/engine/letters/found-letter.ts";
import { stateOf } from "../../../src/engine/letters/letter-state.ts";
import { Lineage } from "../../../src/engine/notes/generations.ts";
import { things } from "../../support/plans.ts";
import { pipeline } from "#engine";

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
  const later = { ...order, generation: 3, readIn: "in-r1" };
  assert.deepEqual(redriveOrderOf(redriveHeaders(later)), later);
});

test("headers of a record that was a letter elsewhere say nothing of its redrive", () => {
  const elsewhere = redriveHeaders({ ...order, id: "other", generation: 7, readIn: "in-r7" });
  const bare = { ...order, firstTime: null };
  assert.deepEqual(redriveOrderOf([...elsewhere, ...redriveHeaders(bare)]), bare);
});

test("headers that lack something, or say what no redrive says, are none", () => {
  const headers = redriveHeaders(order);
  for (const name of ["id", "part", "topic", "partition", "offset", "timestamp", "redrives"])
    assert.equal(redriveOrderOf(headers.filter(([of]) => of !== `dlq.${name}`)), null, name);
  for (const name of ["offset", "generation"])
    assert.equal(redriveOrderOf([...headers, [`dlq.${name}`, Buffer.from("-1")]]), null, name);
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

const plan = pipeline("p", ({ from }) => void from(things("in", 1)).to(things("out", 1))).plan();
const lineage = new Lineage(plan, []);
const origin = { topic: "in", partition: 0, offset: 0n, timestamp: 0 };
const facts = (redrives: number): LetterFacts =>
  ({ redrives, origin, lastTime: "2026-01-05T00:00:00.000Z", code: "X" }) as LetterFacts;

test("a letter is open until something later is said of it, and when it has failed again", () => {
  const said = (state: "open" | "redriven" | "resolved" | "discarded", redrives: number) => ({
    state,
    redrives,
    atMs: 1,
    generation: 0,
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
      stateOf(facts(redrives), state, lineage).state,
      expected,
      JSON.stringify([redrives, state]),
    );
});

test("states are found among other notes", () => {
  const state = { state: "resolved", redrives: 1, atMs: 5 } as const;
  const records = [12, 0, 3].map((generation) =>
    stateRecord("s", { id: "id-1", generation }, state),
  );
  const notes = new Map(records.map(({ key, value }) => [String(key), String(value)]));
  notes.set("job", "{}");
  // The key of the first generation is that of release 0.1.0.
  assert.deepEqual([...notes.keys()].sort()[1], "letter/id-1");
  const said = [0, 3, 12].map((generation) => ({ ...state, generation }));
  assert.deepEqual(statesIn(notes), new Map([["id-1", said]]));
  assert.deepEqual(lastStates(notes), new Map([["id-1", said.at(-1)]]));
  assert.equal(records[0]?.timestamp, 5);
});

test("what was said of one letter in very many generations is sorted at once, whatever order it lies in", () => {
  const said = { state: "open", redrives: 0, atMs: 5 } as const;
  const text = JSON.stringify(said);
  const keys = Array.from({ length: 100_000 }, (_, i) => `letter/x/${String(100_000 - i)}`);
  const begun = process.threadCpuUsage().user;
  const states = statesIn(new Map(keys.map((key) => [key, text])));
  assert.ok((process.threadCpuUsage().user - begun) / 1_000 < 2_000);
  const numbers = states.get("x")?.map(({ generation }) => generation) ?? [];
  assert.deepEqual([numbers.length, numbers[0], numbers.at(-1)], [100_000, 1, 100_000]);
});
