// A run of windows, sessions, a join of streams, timers and suppressed counts on real servers, while live goes on reading: what they
// make is the same, row by row.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { appOf, type App, type Ended } from "../support/app.ts";
import { eventually } from "../support/eventually.ts";
import { reprocess, ReprocessRun } from "../support/reprocess-run.ts";
import { sharedStack } from "../support/stack.ts";
import type { Owner, WorkerProcess } from "../support/worker-process.ts";

const prefix = `verify-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { sizeOf, TimedScene, timedTables } = await import("../support/timed-scene.ts");
const app: App = appOf("timed", { TEST_TOPICS: prefix });
/** A run does not wait for live, which may lag on a busy machine. */
const RUN = [prefix, "--lag-limit", "600000"] as const;

interface Compared {
  readonly table: string;
  readonly live: { readonly rows: number };
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  readonly newer: number;
  readonly below: number;
  readonly behind: { readonly live: number; readonly run: number };
  readonly isEqual: boolean;
}

describe("windows, live and in a run", { concurrency: false, timeout: 1_200_000 }, () => {
  const work: (() => Promise<void>)[] = [];
  const owner: Owner = { after: (one) => void work.unshift(one) };
  let scene: Awaited<ReturnType<typeof TimedScene.open>>;
  let worker: WorkerProcess;

  before(async () => {
    scene = await TimedScene.open(owner, app, await sharedStack());
    worker = await scene.worker(owner);
    await eventually("live has closed windows", async () =>
      (await scene.rows()).stays.length > 0 ? true : null,
    );
  });
  after(async () => {
    for (const one of work) await one();
  });

  /** Of the run's tables. */
  const suffixOf = ({ out }: Ended): string => `_r${/^run (\d+) of/m.exec(out)?.[1] ?? ""}`;
  const readSoFar = async (): Promise<number> => (await scene.figures.ledger("main")).consumed;

  async function verified(...argv: string[]): Promise<{ code: unknown; tables: Compared[] }> {
    const { code, out } = await reprocess(app, scene.env, "verify", prefix, "--json", ...argv);
    const lines = out.split("\n").filter((line) => line.startsWith("{"));
    const tables = lines
      .map((line) => JSON.parse(line) as Compared)
      .filter((one) => "table" in one);
    assert.equal(tables.length, timedTables.length, out);
    return { code, tables };
  }

  const counts = (tables: readonly Compared[]): Record<string, readonly number[]> =>
    Object.fromEntries(
      tables.map((one) => [
        one.table.replace("public.", ""),
        [one.missing, one.extra, one.different],
      ]),
    );
  const equal = Object.fromEntries(timedTables.map((table) => [table, [0, 0, 0]]));

  test("a run over what was there is equal to live, which goes on: missing 0, extra 0, different 0", async (t) => {
    const before = await readSoFar();
    const run = await reprocess(app, scene.env, "run", ...RUN, "--end", "keep");
    assert.equal(run.code, 0, run.out);
    const { code, tables } = await verified();
    assert.deepEqual(counts(tables), equal);
    assert.equal(code, 0);
    for (const { behind } of tables) assert.deepEqual(behind, { live: 0, run: 0 });
    assert.ok((await readSoFar()) > before, "live did not go on");
    const rows = await scene.rows(suffixOf(run));
    for (const table of timedTables) assert.ok(rows[table].length > 20, `few rows of ${table}`);
    const newer = tables.reduce((sum, one) => sum + one.newer, 0);
    t.diagnostic(`${String(sizeOf(rows))} rows equal, ${String(newer)} newer`);
  });

  test("B2: a run from a time on is equal but for the rows that reach below it", async () => {
    const from = scene.timeOf(Math.floor(scene.feeder.next / 2));
    const argv = ["--from", String(from), "--end", "keep"];
    const run = await reprocess(app, scene.env, "run", ...RUN, ...argv);
    assert.equal(run.code, 0, run.out);
    const byRange = await verified();
    const known = new Map(byRange.tables.map((one) => [one.table.replace("public.", ""), one]));
    for (const table of ["page_views", "paid_visits"] as const) {
      assert.deepEqual(counts(byRange.tables)[table], [0, 0, 0], table);
      assert.ok((known.get(table)?.below ?? 0) > 0, `${table} has no rows from before`);
    }
    // A stay begins no longer ago than this; counts of all time are others.
    const since = await verified("--since", String(from + 10_000));
    for (const table of ["page_views", "paid_visits", "stays", "departures"] as const)
      assert.deepEqual(counts(since.tables)[table], [0, 0, 0], table);
    const told = await reprocess(app, scene.env, "verify", prefix);
    assert.equal(told.code, 1, told.out);
    assert.match(
      told.out,
      /public\.page_views: [\d,]+ rows from before \S+Z reach below the range/,
    );
    assert.match(told.out, /public\.stays: rows may be made of records however old: --since/);
  });

  test("a run that follows is equal at a barrier, where nothing is newer", async (t) => {
    const run = new ReprocessRun(t, { app, env: scene.env, argv: [...RUN, "--follow"] });
    await run.until("it follows", ({ step }) => step === "following");
    const { code, tables } = await verified("--barrier");
    assert.deepEqual(counts(tables), equal);
    assert.deepEqual([code, tables.reduce((sum, one) => sum + one.newer, 0)], [0, 0]);
    t.diagnostic(`${String(tables.reduce((sum, { live }) => sum + live.rows, 0))} rows equal`);
    assert.equal((await reprocess(app, scene.env, "cancel", prefix)).code, 0);
    await run.exit;
    assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
  });
});
