// A wall clock that is set while a worker runs: spans, pauses and intervals go on as if nobody had touched it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, json, pipeline, postgresTable, seconds, string, topic, tumbling } from "#engine";
import { Fleet } from "../support/fleet.ts";
import { things, type Thing } from "../support/plans.ts";

const HOURS_MS = 5 * 3_600_000;
const input = things("in", 1);
const output = things("out", 1);
const copy = pipeline("copy", ({ from }) => {
  from(input).to(output);
});
const row = avro<Thing>({
  type: "record",
  name: "Row",
  fields: [
    { name: "id", type: "string" },
    { name: "n", type: "int" },
  ],
});
const rows = pipeline("rows", ({ from }) => {
  from(input).upsertInto(postgresTable<Thing>("rows", { row, key: ["id"] }));
});

const numbered = (...ns: readonly number[]): Thing[] => ns.map((n) => ({ id: `k${String(n)}`, n }));
const copied = (fleet: Fleet): number[] => fleet.values(output).map(({ n }) => n);

test("a task that is paused goes on after its pause, although the clock was set back by hours", async () => {
  const fleet = new Fleet([copy], { breaker: false });
  await fleet.join();
  await fleet.send(input.name, numbered(1));
  await fleet.drained();
  fleet.kafka.forbid(output.name);
  await fleet.send(input.name, numbered(2));
  const paused = (): number =>
    fleet.meter.counter("millrace_pauses_total", { pipeline: "copy", part: "main" });
  await fleet.until("its writes are refused, and it waits", () => paused() > 2);
  fleet.clock.jump(-HOURS_MS);
  fleet.kafka.forbid(output.name, false);
  await fleet.clock.advance(15_000);
  assert.deepEqual(copied(fleet), [1, 2]);
});

for (const [way, ms] of [
  ["back", -HOURS_MS],
  ["forward", HOURS_MS],
] as const)
  test(`checkpoints of streams and sinks come when the clock is set ${way}`, async () => {
    const fleet = new Fleet([copy, rows]);
    await fleet.join();
    await fleet.send(input.name, numbered(1));
    await fleet.drained();
    fleet.clock.jump(ms);
    await fleet.send(input.name, numbered(2));
    await fleet.clock.advance(5_000);
    assert.deepEqual(copied(fleet), [1, 2]);
    const progress = await fleet.progress();
    assert.deepEqual(
      progress.map(({ nextOffset }) => nextOffset),
      progress.map(() => 2n),
    );
  });

interface Row {
  readonly views: number;
}
const out = { key: string, value: json<Row>(), partitions: 1, owner: "tests" };
const views = topic("views", { ...out, value: json<{ n: number }>(), idleAfter: seconds(30) });
const counted = topic("counted", out);
const counting = pipeline("counting", ({ from }) => {
  from(views)
    .groupByKey()
    .windowedBy(tumbling({ size: seconds(10), grace: seconds(2) }))
    .count("views-by-key", { emit: "close" })
    .toStream("row", (count) => ({ views: count }))
    .to(counted);
});

test("a source is not quiet because the clock was set forward: idleAfter has to pass", async () => {
  const fleet = new Fleet([counting]);
  await fleet.join();
  await fleet.send(views.name, [{ n: 1 }]);
  await fleet.clock.advance(5_000);
  fleet.clock.jump(HOURS_MS);
  await fleet.clock.advance(20_000);
  assert.deepEqual(fleet.values(counted), []);
  await fleet.clock.advance(10_000);
  assert.deepEqual(fleet.values(counted), [{ views: 1 }]);
});
