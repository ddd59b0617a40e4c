// A record that Kafka refuses is judged at its own time, each time that its task meets it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pipeline, seconds } from "#engine";
import type { OutRecord } from "../../src/engine/core/record.ts";
import { Fleet } from "../support/fleet.ts";
import { things, type Thing } from "../support/plans.ts";

const input = things("in", 1);
const output = things("out", 1);

const thing = (id: string, n: number, timestamp = 1): OutRecord => ({
  ...{ topic: input.name, partition: 0, headers: [], key: Buffer.from("k"), timestamp },
  value: Buffer.from(JSON.stringify({ id, n })),
});
const offsets = (fleet: Fleet): (string | null)[] => fleet.letters().map(({ offset }) => offset);

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
