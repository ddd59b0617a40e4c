// Results that belong to no record and are late for an operator further down are counted under a name of their own, once,
// whoever works them and whatever dies.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  json,
  milliseconds,
  minutes,
  pipeline,
  seconds,
  string,
  topic,
  tumbling,
  type Pipeline,
} from "#engine";
import { advance, crash, rebalance, send, simulate, type SimulatedStep } from "#testing";

interface View {
  readonly at: number;
}
const BEGIN = Date.UTC(2026, 0, 1);
const of = {
  ...{ key: string, value: json<View>(), partitions: 1, owner: "tests" },
  timestamp: (view: View) => view.at,
};
const lefts = topic("lefts", of);
const rights = topic("rights", of);
const out = topic("rows", { key: string, value: string, partitions: 1, owner: "tests" });
const view = (on: typeof lefts, second: number, key = "k"): SimulatedStep =>
  send(on, key, { at: BEGIN + second * 1_000 });

/** A record without a partner comes with its own time, and its own age. */
const alone: Pipeline = pipeline("alone", ({ from }) => {
  from(lefts)
    .leftJoin("pairs", from(rights), (left) => left, {
      ...{ before: seconds(0), after: seconds(1), grace: seconds(20) },
    })
    .groupByKey()
    .windowedBy(tumbling({ size: seconds(10), grace: seconds(2) }))
    .count("views", { emit: "close" })
    .toStream("row", String)
    .to(out);
});
/** A timer that is set for what has passed is as old as its record. */
const timers: Pipeline = pipeline("timers", ({ from }) => {
  from(lefts)
    .process("remind", {
      timers: { due: "event-time" },
      onRecord(_view, { record, timers: { due } }) {
        due.at(record.timestamp + 1);
        return [];
      },
      onTimer: { due: ({ key }) => [key] },
    })
    .groupByKey()
    .windowedBy(tumbling({ size: seconds(10), grace: seconds(2) }))
    .count("views", { emit: "close" })
    .toStream("row", String)
    .to(out);
});

/** The last record of 9 s has seen its source at so many s. */
const ageing = (second: number): SimulatedStep[] => [view(lefts, second, "x"), view(lefts, 9)];

for (const [second, isLate] of [
  [11.999, false],
  [12, true],
  [12.001, true],
] as const)
  for (const [name, flow] of Object.entries({ alone, timers }))
    for (const [how, last] of Object.entries({
      "among records": [view(lefts, 100, "x")],
      "by itself": [advance(minutes(3))],
    }))
      test(`a result of ${name} of 9 s, whose record came at ${String(second)} s, is ${isLate ? "late" : "taken"} ${how}`, async () => {
        for (const between of [[], [crash], [rebalance]]) {
          const right = flow === alone ? [view(rights, 100, "y")] : [];
          const steps = [...ageing(second), ...right, ...between, ...last, ...between];
          const { ledger, meter, records, stops } = await simulate(flow, steps);
          assert.deepEqual(stops, []);
          const { consumed, emitted, ...beside } = ledger("main");
          assert.equal(consumed, emitted);
          assert.deepEqual(beside, isLate ? { "late-results": 1 } : {});
          const rows = records(out).filter(({ key }) => key === "k");
          assert.equal(rows.length, isLate ? 0 : 1);
          const counted = meter.counter("millrace_late_results_total", { reason: "own" });
          assert.equal(counted, isLate ? 1 : 0);
        }
      });

test("a late result that somebody takes from the stream of late records is none that nobody has", async () => {
  const flow = pipeline("taken", ({ from }) => {
    const rows = from(lefts)
      .process("remind", {
        timers: { due: "event-time" },
        onRecord(_view, { record, timers: { due } }) {
          due.at(record.timestamp + milliseconds(1).ms);
          return [];
        },
        onTimer: { due: ({ key }) => [key] },
      })
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(10), grace: seconds(2) }))
      .count("views", { emit: "close" });
    rows.late.map("late", (key) => `late ${key}`).to(out);
    rows.toStream("row", String).to(out);
  });
  const { records, ledger } = await simulate(flow, [...ageing(30), view(lefts, 100, "x")]);
  assert.deepEqual(
    records(out).map(({ value }) => value),
    ["late k", "1"],
  );
  assert.deepEqual(ledger("main"), { consumed: 3, emitted: 3 });
});
