// A run with windows takes the place of live: windows that are open at the hand-over go on, and each closes once, whatever dies.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, string, topic, tumbling } from "#engine";
import { WorkerSwitch } from "../../src/engine/testing/doubles/worker-switch.ts";
import { checkPromotable } from "../../src/engine/reprocess/promote/readiness.ts";
import type { PromotePorts } from "../../src/engine/reprocess/promote/ports.ts";
import { input, PromoteScene } from "../support/promoting.ts";

interface Row {
  readonly id: string;
  readonly from: number;
  readonly n: number;
}

const SIZE_MS = 2_000;
const closed = topic("closed", { key: string, value: json<Row>(), partitions: 2, owner: "tests" });
const windowed = () =>
  pipeline("windowed", { state: "memory" }, ({ from }) => {
    from(input)
      .groupBy("by-id", ({ id }) => id)
      .windowedBy(tumbling({ size: seconds(SIZE_MS / 1_000), grace: seconds(0) }))
      .count("n", { emit: "close" })
      .toStream("row", (n, { key: id, start }) => ({ id, from: Number(start), n }))
      .to(closed);
  });

/** What was sent, counted by key and window, of windows that have ended before the least time of a partition, or of all. */
function expected({ fleet }: PromoteScene, isQuiet: boolean): Map<string, number> {
  const sent = fleet.kafka.records(input.name, { committed: true });
  const ends = [0, 1].map((p) =>
    Math.max(...sent.filter(({ partition }) => partition === p).map(({ timestamp }) => timestamp)),
  );
  const counts = new Map<string, number>();
  for (const { key, timestamp } of sent) {
    const start = Math.floor(timestamp / SIZE_MS) * SIZE_MS;
    if (!isQuiet && start + SIZE_MS > Math.min(...ends)) continue;
    const name = `${String(key)}/${String(start)}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

/** Every row that live has written, before and behind the promotion. */
function made({ fleet }: PromoteScene): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { id, from, n } of fleet.values(closed)) {
    const name = `${id}/${String(from)}`;
    assert.ok(!counts.has(name), `${name} has closed twice`);
    counts.set(name, n);
  }
  return counts;
}

const sorted = (counts: Map<string, number>): [string, number][] => [...counts].toSorted();

async function scene(): Promise<PromoteScene> {
  const here = new PromoteScene(0, windowed);
  await here.send(20);
  await here.joinLive();
  await here.startRun();
  await here.fleet.clock.advance(3_000);
  here.flow();
  await here.fleet.clock.advance(3_000);
  return here;
}

async function isExact(here: PromoteScene, quietMs = 0): Promise<void> {
  await here.fleet.clock.advance(5_000);
  here.end();
  await here.fleet.clock.advance(5_000 + quietMs);
  assert.deepEqual(sorted(made(here)), sorted(expected(here, quietMs > 0)));
  assert.ok(made(here).size > 10);
}

test("B1: a run that keeps its windows is promoted: each window closes once, with all of its records", async () => {
  const here = await scene();
  await here.fleet.during(here.promote());
  assert.equal(here.runs.row.state, "promoted");
  await isExact(here);
});

test("B1: the same when the promotion dies at a step, and somebody goes on with it", async () => {
  for (const step of ["freezing", "closing", "catching-up", "stopping", "swapping", "swapped"]) {
    const here = await scene();
    const life = new WorkerSwitch();
    here.runs.onStep = (now) => {
      if (now === step) life.crash();
    };
    void here.promote(life).catch(() => undefined);
    await here.fleet.until("it has died", () => life.state === "crashed");
    here.runs.onStep = () => undefined;
    await here.fleet.during(here.promote());
    await isExact(here);
  }
});

test("B1: windows that live has closed since its source was quiet are closed in the run too, and never again", async () => {
  const here = await scene();
  here.pause();
  await here.fleet.clock.advance(60_000);
  const before = made(here).size;
  assert.deepEqual(sorted(made(here)), sorted(expected(here, true)));
  await here.fleet.during(here.promote());
  await here.fleet.clock.advance(40_000);
  assert.equal(made(here).size, before);
  here.flow();
  await isExact(here, 60_000);
});

test("B1: a run that has closed its windows is not promoted", async () => {
  const here = await scene();
  here.end();
  const row = { ...here.runs.row, options: { ...here.runs.row.options, end: "close" as const } };
  await assert.rejects(checkPromotable(row, here.live, {} as PromotePorts), (error: Error) => {
    assert.match(error.message, /has closed every window at the end of its range: .* --end keep/);
    return true;
  });
});
