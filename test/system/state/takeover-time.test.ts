// One of two workers is killed: its partitions go on soon after its session has ended, and that takes no longer with many
// keys than with few, since the copies in Redis are warm.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test, type TestContext } from "node:test";
import { appOf } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";
import { freshDatabase } from "../../support/fresh-database.ts";
import { sharedStack } from "../../support/stack.ts";
import type { WorkerProcess } from "../../support/worker-process.ts";
import type { SpendScene as Scene } from "./spend-scene.ts";

const prefix = `spend-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
// The app takes its names when it is loaded.
const { lines } = await import("../../support/apps/spend.ts");
const { listen, PARTITIONS, SpendScene, stateful, tasksOf } = await import("./spend-scene.ts");

const SESSION_MS = 2_000;
/** The first that is in time will do: the machine has other things to do as well. */
const KILLS_MAX = 3;

const owned = async (worker: WorkerProcess): Promise<number[]> =>
  stateful(await tasksOf(worker))
    .filter(({ state }) => state === "running")
    .map(({ partition }) => partition);

/** Two workers that share the partitions. */
async function shared(scene: Scene, worker: WorkerProcess): Promise<WorkerProcess> {
  const other = await scene.worker();
  await eventually("each has half of the partitions", async () => {
    const parts = await Promise.all([worker, other].map(owned));
    return parts.every(({ length }) => length === PARTITIONS / 2) ? true : null;
  });
  await scene.caughtUp(worker);
  return other;
}

/** Milliseconds from the kill to commits of records that came after it, on every partition that the dead one had. */
async function killed(scene: Scene, worker: WorkerProcess): Promise<number> {
  const other = await shared(scene, worker);
  const partitions = await owned(other);
  const { admin } = scene.sums;
  const killedMs = performance.now();
  other.kill("SIGKILL");
  await other.exit;
  const ends = new Map(
    (await admin.watermarks(lines.name)).map(({ partition, high }) => [partition, high]),
  );
  await eventually("its partitions go on", async () => {
    const progress = await scene.sums.progress();
    const theirs = progress.filter(
      ({ part, partition }) => part === "main" && partitions.includes(partition),
    );
    const isOn = theirs.every(({ partition, nextOffset }) => {
      return (nextOffset ?? 0n) > (ends.get(partition) ?? 0n);
    });
    return isOn || null;
  });
  return performance.now() - killedMs;
}

/** Kills until one takeover was in time; returns what each took. */
async function takeovers(scene: Scene, worker: WorkerProcess): Promise<number[]> {
  const ear = listen(worker);
  const times: number[] = [];
  for (let kill = 0; kill < KILLS_MAX && !times.some((ms) => ms <= SESSION_MS + 2_000); kill++)
    times.push(await killed(scene, worker));
  const up = ear.broughtUp();
  const most = Math.max(0, ...up.map(({ changes }) => changes));
  assert.ok(
    up.every(({ kind }) => kind === "forward") && most < 2_000,
    `a takeover restores nothing: ${JSON.stringify(up)}`,
  );
  return times;
}

test(
  "the partitions of a killed worker go on within its session and two seconds, however many keys",
  { timeout: 600_000 },
  async (t: TestContext) => {
    const database = await freshDatabase();
    t.after(() => database.drop());
    const env = {
      ...(await sharedStack()),
      DATABASE_URL: database.url,
      MILLRACE_SESSION_TIMEOUT_MS: String(SESSION_MS),
    };
    const scene = await SpendScene.open(t, { app: appOf("spend", { TEST_TOPICS: prefix }), env });
    const worker = await scene.worker();
    for (const keys of [10_000, 100_000]) {
      await scene.grow(keys);
      await scene.flows(worker);
      const times = await takeovers(scene, worker);
      const text = times.map((ms) => ms.toFixed(0)).join(", ");
      t.diagnostic(
        `${String(keys)} keys: taken over in ${text} ms, session ${String(SESSION_MS)} ms`,
      );
      assert.ok((times.at(-1) ?? 0) <= SESSION_MS + 2_000, `taken over in ${text} ms`);
    }
    assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
  },
);
