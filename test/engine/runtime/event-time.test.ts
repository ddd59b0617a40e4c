import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, string, topic } from "#engine";
import { send, simulate } from "#testing";

interface Timed {
  readonly at: number;
}
const input = topic("in", {
  key: string,
  value: json<Timed>(),
  partitions: 1,
  owner: "tests",
  timestamp: ({ at }) => (at === 13 ? NaN : at),
});
const output = topic("out", { key: string, value: json<Timed>(), partitions: 1, owner: "tests" });
const flow = pipeline("flow", ({ from }) => {
  from(input)
    .distinct("once", { by: ({ at }) => at, within: seconds(1) })
    .to(output);
});

test("a record's time is a whole number of milliseconds, as Kafka and stores write it", async () => {
  const { records, deadLetters } = await simulate(flow, [send(input, "k", { at: 1_500.75 })]);
  assert.deepEqual(
    records(output).map(({ timestamp }) => timestamp),
    [1_500],
  );
  assert.deepEqual(deadLetters, []);
});

test("a time that is no date is a dead letter, not a task that cannot write", async () => {
  const times = [-1, 13, 1e300, 8.64e15 + 1];
  const steps = times.map((at) => send(input, "k", { at }));
  const { records, deadLetters } = await simulate(flow, [...steps, send(input, "k", { at: 7 })]);
  assert.deepEqual(
    deadLetters.map(({ code }) => code),
    times.map(() => "MILL_DECODE_SCHEMA"),
  );
  assert.equal(records(output).length, 1);
});

test("a tombstone does not move stream time where the value tells the time", async () => {
  const steps = [1_000, null, 1_000].map((at) => send(input, "k", at === null ? null : { at }));
  const { ledger } = await simulate(flow, steps);
  assert.deepEqual(ledger("main"), { consumed: 3, emitted: 2, deduplicated: 1 });
});
