// invalidTimestamp: "halt": the task stands before a record whose time cannot be used, in each kind of part, with nothing of
// that record or of those behind it; mended and resumed, each counts once.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, string, topic, type Pipeline } from "#engine";
import { Fleet, type FleetMember } from "../support/fleet.ts";
import { input, isIn, resume, rows, stopOn, sums } from "../support/stopping.ts";
import type { Thing } from "../support/plans.ts";

/** Times that are no use, until they are mended. */
const wrong = new Set<number>();
const START = Date.UTC(2026, 0, 1);
const timed = topic(input.name, {
  key: string,
  value: json<Thing>(),
  partitions: 2,
  owner: "tests",
  timestamp: ({ n }) => (wrong.has(n) ? null : START + n),
  invalidTimestamp: "halt",
});
const output = topic("out", { key: string, value: json<Thing>(), partitions: 2, owner: "tests" });

const copy: Pipeline = pipeline("copy", ({ from }) => from(timed).to(output));
const summed: Pipeline = pipeline("summed", ({ from }) => {
  from(timed)
    .groupByKey()
    .sum("total", ({ n }) => n)
    .to(sums);
});
const sink: Pipeline = pipeline("sink", ({ from }) => from(timed).upsertInto(rows));

const results: Record<string, (fleet: Fleet) => Promise<unknown> | unknown> = {
  copy: (fleet) => fleet.values(output).map(({ n }) => n),
  summed: (fleet) => fleet.values(sums),
  sink: (fleet) => fleet.ledger("rows"),
};
const before: Record<string, unknown> = {
  copy: [1, 2],
  summed: [1, 3],
  sink: { consumed: 2, emitted: 2 },
};
const after: Record<string, unknown> = {
  copy: [1, 2, 3, 4, 5],
  summed: [1, 3, 6, 10, 15],
  sink: { consumed: 5, emitted: 5 },
};

async function stopped(use: Pipeline): Promise<{ fleet: Fleet; member: FleetMember }> {
  wrong.add(3);
  const fleet = new Fleet([use]);
  const member = await fleet.join();
  const things = [1, 2, 3, 4].map((n) => ({ id: "k", n }));
  await fleet.send(input.name, things);
  await fleet.until("the task has stopped", () => isIn(member, 0, "stopped"));
  await fleet.until("the stop is noted", () => stopOn(fleet, 0) !== null);
  await fleet.clock.advance(5_000);
  return { fleet, member };
}

for (const use of [copy, summed, sink])
  test(`${use.name}: nothing of the record or of those behind it is kept, and mended each counts once`, async () => {
    const { fleet, member } = await stopped(use);
    assert.deepEqual(await results[use.name]?.(fleet), before[use.name]);
    assert.deepEqual(fleet.letters(), []);
    const { code, message } = stopOn(fleet, 0) ?? assert.fail("a stop");
    assert.equal(code, "MILL_TIMESTAMP_HALT");
    assert.match(message, /in-0 at 2: the record has no event time: .* returned null/);
    // The other partition's task goes on.
    assert.ok(isIn(member, 1, "running"));
    wrong.clear();
    assert.equal((await resume(fleet, use.name)).code, 0);
    await fleet.send(input.name, [{ id: "k", n: 5 }]);
    await fleet.drained();
    assert.deepEqual(await results[use.name]?.(fleet), after[use.name]);
  });
