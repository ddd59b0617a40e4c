// A record that keeps the event loop: the log names the operator and the record's place, and a metric counts it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { json, pipeline, seconds, string, topic, type Pipeline } from "#engine";
import { LOOP_MEMORY_BYTES, loopMemory, WORD } from "../../src/engine/core/loop-memory.ts";
import { LoopGuard } from "../../src/engine/runtime/loop/loop-guard.ts";
import {
  TICK_MS,
  type LoopPort,
  type PlacedSteps,
} from "../../src/engine/runtime/loop/loop-port.ts";
import { startLoopWatch } from "../../src/engine/runtime/loop/loop-watch.ts";
import { RecordingLog } from "../../src/engine/testing/doubles/recording-log.ts";
import { Fleet } from "../support/fleet.ts";
import { things, type Thing } from "../support/plans.ts";

const ENDLESS = fileURLToPath(new URL("../support/apps/endless.ts", import.meta.url));
const memory = loopMemory(new ArrayBuffer(LOOP_MEMORY_BYTES));
const { words } = memory;
/** Time as the thread looks at it while a callback keeps the loop. */
let looks: (() => void) | null = null;
const keepLoop = (ms: number): void => {
  words[WORD.ticks] = ((words[WORD.ticks] as number) + ms / TICK_MS) | 0;
  for (let tick = 0; tick < ms / TICK_MS; tick++) looks?.();
};
const turn = (): void => void Atomics.add(words, WORD.turns, 1);
const named: PlacedSteps[] = [];
const loop: LoopPort = {
  memory,
  name(steps) {
    const last = named.at(-1);
    const first = last === undefined ? 1 : last.first + last.operators.length;
    named.push({ ...steps, first });
    return first;
  },
};

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
  await fleet.join({ ports: { loop } });
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
  words[WORD.ticks] = 0x7fff_fff0;
  const fleet = await ran(
    copy,
    Array.from({ length: 60 }, () => 1),
  );
  assert.equal(warnings(fleet).length, 0);
  assert.ok((words[WORD.ticks] as number) < 0);
});

test("a thread counts while the loop does not turn", async () => {
  const log = new RecordingLog();
  const counting = startLoopWatch(log, {
    MILLRACE_LOG_LEVEL: "silent",
    MILLRACE_SLOW_RECORD_MS: 60_000,
  });
  const blocking = pipeline("blocking", ({ from }) => {
    from(input)
      .peek("loop", ({ n }) => {
        const end = Date.now() + (n >= SLOW ? 600 : 0);
        while (Date.now() < end);
      })
      .to(output);
  });
  try {
    while (counting.memory.words[WORD.ticks] === 0) await delay(10);
    const fleet = new Fleet([blocking], { slowRecordMs: 200 });
    await fleet.send(
      input.name,
      [1, SLOW, 1].map((n) => ({ id: "k", n })),
    );
    await fleet.join({ ports: { loop: counting } });
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

/** The lines of a guard that looks on while callbacks keep the loop. */
async function guarded(use: Pipeline, numbers: readonly number[], to?: string) {
  const log = new RecordingLog();
  const guard = new LoopGuard(memory, 1_000, log);
  looks = () => {
    while (named.length > 0) guard.named(named.shift() as PlacedSteps);
    guard.look();
  };
  try {
    named.length = 0;
    await ran(use, numbers, to);
  } finally {
    looks = null;
  }
  return log.lines.map(({ facts }) => ({ ...facts }));
}

for (const use of [copy, summed, failing, calling])
  test(`${use.name}: a step that does not end is named while it is at work`, async () => {
    turn();
    const [line] = await guarded(use, [SLOW]);
    const place = { pipeline: use.name, part: "main", operator: "slow", partition: 0, offset: "0" };
    assert.deepEqual(line, { ...place, ms: 1_000 });
  });

test("so is the reading of a record", async () => {
  const reading = topic("reading", {
    ...{ key: string, value: json<Thing>(), partitions: 1, owner: "tests" },
    timestamp: ({ n }) => (keepLoop(n >= SLOW ? 2_000 : 0), 1),
  });
  turn();
  const use = pipeline("reads", ({ from }) => from(reading).to(output));
  const [line] = await guarded(use, [1, SLOW], reading.name);
  assert.deepEqual(
    [line?.["pipeline"], line?.["operator"], line?.["offset"]],
    ["reads", "decode", "1"],
  );
});

test("a loop that turns is named never; one that stands still outside of records, without an operator", async () => {
  const log = new RecordingLog();
  const guard = new LoopGuard(memory, 1_000, log);
  await ran(copy, [1, 2]);
  for (let at = 0; at < 100; at++) {
    if (at % 19 === 0) turn();
    guard.look();
  }
  assert.equal(log.lines.length, 0);
  for (let at = 0; at < 250; at++) guard.look();
  // After one second, and after ten.
  assert.deepEqual(
    log.lines.map(({ facts }) => ({ ...facts })),
    [{ ms: 1_000 }, { ms: 10_000 }],
  );
});

test("a worker whose callback never ends writes the line itself", async () => {
  const child = spawn(process.execPath, [ENDLESS], { stdio: ["ignore", "ignore", "pipe"] });
  try {
    let line: Record<string, unknown> | null = null;
    for await (const text of createInterface(child.stderr)) {
      line = JSON.parse(text) as Record<string, unknown>;
      if (line["operator"] === "endless") break;
    }
    const { level, pid, pipeline: of, partition, offset } = line ?? {};
    assert.deepEqual([level, pid, of, partition, offset], ["warn", child.pid, "endless", 0, "1"]);
  } finally {
    child.kill("SIGKILL");
  }
});
