// A record that keeps the event loop: the log names the operator and the record's place, and a metric counts it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { json, pipeline, seconds, string, topic, type Pipeline } from "#engine";
import { startTicks, TICK_MS } from "../../src/engine/runtime/slow-records.ts";
import { RecordingLog } from "../../src/engine/testing/doubles/recording-log.ts";
import { Fleet } from "../support/fleet.ts";
import { things, type Thing } from "../support/plans.ts";

const ticks = new Int32Array(1);
/** As the thread that counts time does while a callback keeps the loop. */
const keepLoop = (ms: number): void => void (ticks[0] = ((ticks[0] as number) + ms / TICK_MS) | 0);

const input = things("in", 1);
const output = things("out", 1);
const sums = topic("sums", { key: string, value: json<number>(), partitions: 1, owner: "tests" });

const SLOW = 3;
const slowly = (thing: Thing): Thing => {
  if (thing.n >= SLOW) keepLoop(1_500);
  return thing;
};
const copy = pipeline("copy", ({ from }) => {
  from(input)
    .map("quick", (thing) => (keepLoop(thing.n < SLOW ? 50 : 0), thing))
    .filter("slow", (thing) => slowly(thing).n > 0)
    .to(output);
});
const summed = pipeline("summed", ({ from }) => {
  from(input)
    .map("quick", (thing) => thing)
    .groupByKey()
    .sum("slow", (thing) => slowly(thing).n)
    .to(sums);
});
const parts = pipeline("parts", ({ from }) => {
  from(input)
    .map("shorter", (thing) => (keepLoop(thing.n >= SLOW ? 450 : 0), thing))
    .map("longer", (thing) => (keepLoop(thing.n >= SLOW ? 600 : 0), thing))
    .to(output);
});
const bounds = { concurrency: 2, timeout: seconds(30) };
const calling = pipeline("calling", ({ from }) => {
  from(input)
    .mapAsync(
      "slow",
      async (thing) => {
        slowly(thing);
        await Promise.resolve();
        // The counter goes on while nobody works, too.
        keepLoop(5_000);
        return thing;
      },
      bounds,
    )
    .to(output);
});
const failing = pipeline("failing", ({ from }) => {
  from(input)
    .map("slow", (thing) => {
      slowly(thing);
      if (thing.n >= SLOW) throw new Error("no");
      return thing;
    })
    .to(output);
});

async function ran(use: Pipeline, numbers: readonly number[], to = input.name): Promise<Fleet> {
  const fleet = new Fleet([use]);
  await fleet.send(
    to,
    numbers.map((n) => ({ id: "k", n })),
  );
  await fleet.join({ ports: { ticks } });
  await fleet.drained();
  return fleet;
}

const warnings = ({ log }: Fleet) =>
  log.lines.filter(({ message }) => message.startsWith("a record has kept the event loop"));

for (const use of [copy, summed, failing, calling])
  test(`${use.name}: the warning names pipeline, part, operator and offset, and no value`, async () => {
    const fleet = await ran(use, [1, 2, SLOW, 1]);
    const [line, ...others] = warnings(fleet);
    assert.equal(others.length, 0);
    assert.deepEqual(
      { ...line?.facts },
      {
        ...{ pipeline: use.name, part: "main", operator: "slow" },
        ...{ topic: "in", partition: 0, offset: "2", ms: 1_500 },
      },
    );
    assert.equal(fleet.meter.counter("millrace_slow_records_total"), 1);
  });

test("a record that is slow in several operators together is named with the slowest of them", async () => {
  const fleet = await ran(parts, [1, SLOW, 1]);
  assert.deepEqual(
    warnings(fleet).map(({ facts }) => [facts["operator"], facts["offset"], facts["ms"]]),
    [["longer", "1", 1_050]],
  );
});

test("the reading of a record counts as decode", async () => {
  const late = topic("late", {
    ...{ key: string, value: json<Thing>(), partitions: 1, owner: "tests" },
    timestamp: ({ n }) => (keepLoop(n >= SLOW ? 2_000 : 0), 1),
  });
  const fleet = await ran(
    pipeline("reading", ({ from }) => from(late).to(output)),
    [1, SLOW],
    late.name,
  );
  assert.deepEqual(
    warnings(fleet).map(({ facts }) => [facts["operator"], facts["offset"]]),
    [["decode", "1"]],
  );
});

test("the wait for a call keeps no loop", async () => {
  assert.deepEqual(warnings(await ran(calling, [1, 2, 1])), []);
});

test("an operator that is slow for every record is named once a minute, and every record is counted", async () => {
  const fleet = await ran(copy, [SLOW, SLOW, SLOW, SLOW, SLOW]);
  assert.equal(warnings(fleet).length, 1);
  assert.equal(fleet.meter.counter("millrace_slow_records_total"), 5);
  await fleet.clock.advance(60_000);
  await fleet.send(input.name, [{ id: "k", n: SLOW }]);
  await fleet.drained();
  assert.deepEqual(
    warnings(fleet).map(({ facts }) => facts["others"]),
    [undefined, 4],
  );
});

test("a counter that goes around is no slow record, and many quick ones are none", async () => {
  ticks[0] = 0x7fff_fff0;
  const fleet = await ran(
    copy,
    Array.from({ length: 60 }, () => 1),
  );
  assert.equal(warnings(fleet).length, 0);
  assert.ok((ticks[0] as number) < 0);
});

test("a thread counts while the loop does not turn", async () => {
  const log = new RecordingLog();
  const counting = startTicks(log);
  const blocking = pipeline("blocking", ({ from }) => {
    from(input)
      .peek("loop", ({ n }) => {
        const end = Date.now() + (n >= SLOW ? 600 : 0);
        while (Date.now() < end);
      })
      .to(output);
  });
  try {
    while (counting.ticks[0] === 0) await delay(10);
    const fleet = new Fleet([blocking], { slowRecordMs: 200 });
    await fleet.send(
      input.name,
      [1, SLOW, 1].map((n) => ({ id: "k", n })),
    );
    await fleet.join({ ports: { ticks: counting.ticks } });
    await fleet.drained();
    const [line, ...others] = warnings(fleet);
    assert.deepEqual(
      [line?.facts["operator"], line?.facts["offset"], others.length],
      ["loop", "1", 0],
    );
  } finally {
    await counting.stop();
  }
  assert.deepEqual(log.lines, []);
});
