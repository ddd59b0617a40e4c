// B1 on real servers: windows, sessions, a join, timers and suppressed counts that are open at the end of a run's range are closed there, or
// kept as live keeps them; and a run that keeps them is promoted under traffic and given back. `npm run test:long`.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { appOf, type App, type Ended } from "../support/app.ts";
import { eventually } from "../support/eventually.ts";
import { reprocess, ReprocessRun } from "../support/reprocess-run.ts";
import { sharedStack } from "../support/stack.ts";
import type { Owner, WorkerProcess } from "../support/worker-process.ts";

const prefix = `ends-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { visits } = await import("../support/apps/timed.ts");
const { assertSameRows, sizeOf, TimedScene, timedTables } =
  await import("../support/timed-scene.ts");
const app: App = appOf("timed", { TEST_TOPICS: prefix });
/** A run does not wait for live, which may lag on a busy machine. */
const RUN = [prefix, "--lag-limit", "600000"] as const;
/** Visits that live reads on, so that windows have closed on both sides of a change of places. */
const MORE = 1_500n;

describe("windows that are open at an end", { concurrency: false, timeout: 890_000 }, () => {
  const work: (() => Promise<void>)[] = [];
  const owner: Owner = { after: (one) => void work.unshift(one) };
  let scene: Awaited<ReturnType<typeof TimedScene.open>>;
  let worker: WorkerProcess;

  before(async () => {
    scene = await TimedScene.open(owner, app, await sharedStack());
    worker = await scene.worker(owner);
    await moved(MORE);
  });
  after(async () => {
    for (const one of work) await one();
  });

  async function moved(by: bigint): Promise<void> {
    const end = await scene.figures.end(visits.name);
    await eventually("visits come", async () =>
      (await scene.figures.end(visits.name)) >= end + by ? true : null,
    );
  }

  const suffixOf = ({ out }: Ended): string => `_r${/^run (\d+) of/m.exec(out)?.[1] ?? ""}`;
  const run = async (...argv: string[]): Promise<Ended> => {
    const ended = await reprocess(app, scene.env, "run", ...RUN, ...argv);
    assert.equal(ended.code, 0, ended.out);
    return ended;
  };
  /** Missing, extra and different rows of each table. */
  async function verified(): Promise<Record<string, readonly number[]>> {
    const { out } = await reprocess(app, scene.env, "verify", prefix, "--json");
    const lines = out.split("\n").filter((line) => line.startsWith("{"));
    const tables = lines.map((line) => JSON.parse(line) as Record<string, string & number>);
    return Object.fromEntries(
      tables.map((one) => [
        String(one["table"]).replace("public.", ""),
        [one["missing"] ?? -1, one["extra"] ?? -1, one["different"] ?? -1],
      ]),
    );
  }

  test("B1: at rest a run closes every window at its end, or keeps what live keeps", async (t) => {
    await scene.feeder.pause();
    const live = await scene.reached();
    const closed = await run("--end", "close");
    const all = await scene.expected("close");
    assertSameRows(await scene.rows(suffixOf(closed)), all);
    assert.deepEqual(
      await verified(),
      Object.fromEntries(
        timedTables.map((table) => [table, [0, all[table].length - live[table].length, 0]]),
      ),
    );
    const refused = await reprocess(app, scene.env, "promote", prefix, "--yes");
    assert.equal(refused.code, 5, refused.out);
    assert.match(refused.out, /--end keep/);
    const kept = await run("--end", "keep");
    assertSameRows(await scene.rows(suffixOf(kept)), live);
    assert.deepEqual(
      await verified(),
      Object.fromEntries(timedTables.map((table) => [table, [0, 0, 0]])),
    );
    t.diagnostic(`${String(sizeOf(live))} rows kept, ${String(sizeOf(all))} closed`);
    scene.feeder.resume();
  });

  /** Live goes on: more rows in each table, all of them exact. */
  async function goesOn(what: string): Promise<string> {
    const before = await scene.rows();
    await moved(MORE);
    await scene.feeder.pause();
    const rows = await scene.reached();
    for (const table of timedTables)
      assert.ok(rows[table].length > before[table].length, `${table} ${what}`);
    return `${String(sizeOf(rows))} rows exact ${what}, ${String(sizeOf(rows) - sizeOf(before))} of them since`;
  }

  test("B1: a run is promoted with open windows, and undone: each closes once, with all of its records", async (t) => {
    const following = new ReprocessRun(t, { app, env: scene.env, argv: [...RUN, "--follow"] });
    await following.until("it follows", ({ step }) => step === "following");
    const promoted = await reprocess(app, scene.env, "promote", prefix, "--yes");
    assert.equal(promoted.code, 0, promoted.out);
    await following.exit;
    t.diagnostic(await goesOn("behind the promotion"));
    scene.feeder.resume();
    await moved(300n);
    const undone = await reprocess(app, scene.env, "undo", prefix, "--yes");
    assert.equal(undone.code, 0, undone.out);
    t.diagnostic(await goesOn("behind its undo"));
    assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
  });
});
