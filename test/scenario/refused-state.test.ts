// The blame for what Kafka refuses of a part with state: what a later record writes may carry what an earlier one
// brought. A refused record is judged at its own time, each time that its task meets it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, string, topic } from "#engine";
import type { OutRecord } from "../../src/engine/core/record.ts";
import { Fleet } from "../support/fleet.ts";
import { things, type Thing } from "../support/plans.ts";

const input = things("in", 1);
const output = things("out", 1);
const totals = (name: string) =>
  topic(name, { key: string, value: json<number>(), partitions: 1, owner: "tests" });
const running = totals("running");
const last = totals("last");

/** The same sum, told at once and at each checkpoint. */
const summing = pipeline("summing", { state: "memory" }, ({ from }) => {
  const byKey = from(input).groupByKey();
  byKey.sum("at-once", (t) => t.n).to(running);
  byKey.sum("held", (t) => t.n, { emit: "checkpoint" }).to(last);
});

const thing = (id: string, n: number, timestamp = 1): OutRecord => ({
  ...{ topic: input.name, partition: 0, headers: [], key: Buffer.from("k"), timestamp },
  value: Buffer.from(JSON.stringify({ id, n })),
});
/** The text in front of the value of a state's entry is no number. */
const numberIn = ({ value }: Pick<OutRecord, "value">): number =>
  Number(/\d+(?=\D*$)/.exec(String(value))?.[0]);

const offsets = (fleet: Fleet): (string | null)[] => fleet.letters().map(({ offset }) => offset);
const sums = (fleet: Fleet, name: string): number[] =>
  fleet.kafka.records(name, { committed: true }).map(numberIn);

for (const where of ["summing-at-once-changelog", "last"])
  test(`a sum that is refused beside what ${where} refuses is no letter when it would pass alone`, async () => {
    const fleet = new Fleet([summing], { breaker: false });
    await fleet.join();
    await fleet.drained();
    // The second record's 10,000 is in the third's sum.
    fleet.kafka.refusing((record) =>
      (record.topic === where && numberIn(record) > 5_000) ||
      (record.topic === running.name && numberIn(record) === 10_003)
        ? { code: "POLICY_VIOLATION", words: null }
        : null,
    );
    await fleet.sendRecords([1, 10_000, 2, 4].map((n) => thing("x", n)));
    await fleet.drained();
    assert.deepEqual(offsets(fleet), ["1"]);
    assert.deepEqual(sums(fleet, running.name), [1, 3, 7]);
    assert.equal(sums(fleet, last.name).at(-1), 7);
    const { consumed, "dead-lettered": letters } = await fleet.ledger("main");
    assert.deepEqual([consumed, letters], [4, 1]);
  });

const BAD = "bad";

const first = pipeline("first", { state: "memory" }, ({ from }) => {
  from(input)
    .distinct("once", { by: (t) => t.n, within: seconds(3) })
    .to(output);
});
const failing = pipeline("failing", { state: "memory" }, ({ from }) => {
  from(input)
    .distinct("once", { by: (t) => t.n, within: seconds(3) })
    .map("strict", (t) => {
      if (t.id === BAD) throw new TypeError("no");
      return t;
    })
    .to(output);
});

for (const [what, flow] of [
  ["a broker refuses", first],
  ["a step refuses", failing],
] as const)
  for (const atOnce of [true, false])
    test(`a record that ${what} is one letter and has moved time, met ${atOnce ? "with others" : "alone"}`, async () => {
      const fleet = new Fleet([flow], { breaker: false });
      fleet.kafka.refusing((record) =>
        record.topic === output.name && (JSON.parse(String(record.value)) as Thing).id === BAD
          ? { code: "POLICY_VIOLATION", words: null }
          : null,
      );
      await fleet.join();
      await fleet.drained();
      const start = fleet.clock.now();
      // At 4,000 the first is forgotten; at 2,000 it would not be.
      const records = [
        thing("a", 1, start),
        thing(BAD, 1, start + 4_000),
        thing("b", 1, start + 2_000),
        thing("c", 1, start + 5_000),
      ];
      for (const some of atOnce ? [records] : records.map((one) => [one])) {
        await fleet.sendRecords(some);
        await fleet.drained();
      }
      assert.deepEqual(offsets(fleet), ["1"]);
      assert.deepEqual(
        fleet.values(output).map(({ id }) => id),
        ["a", "b"],
      );
      const { consumed, emitted, "dead-lettered": letters } = await fleet.ledger("main");
      assert.deepEqual([consumed, emitted, letters], [4, 2, 1]);
    });
