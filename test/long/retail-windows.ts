// Baskets and store hours of six weeks of a real chain's tills: the rows of a plain script over the file, with one worker and
// three, with lines in another order, as a bounded run, when the worker is killed three times, and with households at other times
// than in the file. MILLRACE_TEST_LINES names another file of such lines, packed by gzip. `npm run test:long`.
import assert from "node:assert/strict";
import { before, describe, test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import { basketsAndHours } from "../../src/pipelines/retail-baskets.ts";
import type { Stack } from "../../src/stack/stack.ts";
import { cleanTransactions, lateTransactions } from "../../topics/retail.ts";
import { AppFigures } from "../support/app-figures.ts";
import { eventually } from "../support/eventually.ts";
import { realOrGenerated, type Expected } from "../support/retail-figures.ts";
import { RetailRun } from "../support/retail-run.ts";
import {
  closingLines,
  shiftedHouseholds,
  shuffledWithinGrace,
  unclosed,
  windowsOf,
  type RetailWindows,
} from "../support/retail-windows.ts";
import { privateStack } from "../support/stack.ts";
import type { WorkerProcess } from "../support/worker-process.ts";

const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);
const otherFile = process.env["MILLRACE_TEST_LINES"];
const expected = realOrGenerated(otherFile);
const isKnown = expected.isReal && otherFile === undefined;
/** Lines a second: a worker keeps up with them, so it is killed with a little in its hands and not with everything. */
const RATE = 3_000;
const KILLS = 3;
/** More lines take longer: two milliseconds each. */
const LIMIT_MS = Math.max(240_000, 2 * expected.records);
const TESTS = 4;

test(
  "the plain script finds the known figures in the real file",
  { skip: !isKnown && "it is not that file: other lines, or as many generated ones, stand in" },
  () => {
    const { baskets, hours } = windowsOf(expected.csv);
    assert.deepEqual([baskets.length, hours.length], [13_921, 12_201]);
    assert.equal(baskets.filter((row) => row.startsWith("900|")).length, 77);
  },
);

/** One run of both pipelines; lines that close all windows come behind the others. */
class WindowsRun {
  readonly lines: RetailRun;
  readonly figures: AppFigures;
  readonly wanted: RetailWindows;
  readonly #sent: Expected;

  private constructor(lines: RetailRun, figures: AppFigures, csv: readonly string[]) {
    this.lines = lines;
    this.figures = figures;
    this.wanted = windowsOf(csv);
    const all = [...csv, ...closingLines(csv, cleanTransactions.partitions ?? 0)];
    this.#sent = { ...expected, csv: all, records: all.length };
  }

  static async prepare(
    t: TestContext,
    { stack, namespace, csv }: { stack: Stack; namespace: string; csv: readonly string[] },
  ): Promise<WindowsRun> {
    t.diagnostic(`MILLRACE_TEST_SEED=${String(seed)}`);
    const env = { ...stack.env, MILLRACE_NAMESPACE: namespace };
    const plan = basketsAndHours.plan(namespace);
    const sweeper = new AppFigures(plan, env);
    const found = await sweeper.admin.listTopics();
    await sweeper.admin.deleteTopics(found.filter((topic) => topic === lateTransactions.name));
    await sweeper.close();
    const lines = await RetailRun.prepare(t, { stack, namespace });
    const figures = new AppFigures(plan, { ...env, DATABASE_URL: lines.database.url });
    t.after(() => figures.close());
    return new WindowsRun(lines, figures, csv);
  }

  worker(): Promise<WorkerProcess> {
    return this.lines.worker([basketsAndHours.name]);
  }

  send(perSecond = 20_000): Promise<void> {
    return this.lines.send(this.#sent, { from: 0, to: this.#sent.records, perSecond });
  }

  async consumed(): Promise<number> {
    return (await this.figures.ledger("main")).consumed;
  }

  async rows(of = ""): Promise<RetailWindows> {
    const query = async (text: string): Promise<string[]> =>
      unclosed((await this.lines.database.query<{ row: string }>(text)).map(({ row }) => row));
    const second = (column: string): string => `extract(epoch FROM ${column})::bigint`;
    return {
      baskets: await query(`SELECT concat_ws('|', household_id, ${second("started_at")},
        ${second("ended_at")}, lines, spend::text) AS row FROM retail_baskets${of}`),
      hours: await query(`SELECT concat_ws('|', store_id, ${second("hour")},
        lines, sales::text) AS row FROM store_hours${of}`),
    };
  }

  /** Until as many rows are there as there must be, and everything has come to its end. */
  async check(t: TestContext): Promise<void> {
    const { wanted } = this;
    await this.lines.drained(this.#sent, LIMIT_MS);
    await eventually(
      "the windows are closed",
      async () => {
        const { baskets, hours } = await this.rows();
        const isThere = baskets.length >= wanted.baskets.length;
        return (isThere && hours.length >= wanted.hours.length) || null;
      },
      LIMIT_MS,
    );
    await this.figures.drained();
    assertSame(await this.rows(), wanted);
    const { baskets, hours } = await this.rows();
    t.diagnostic(`${String(baskets.length)} baskets, ${String(hours.length)} store hours, equal`);
    assert.deepEqual(await this.figures.raw(lateTransactions.name), [], "nothing is late");
  }
}

/** Names the first difference: the lists are long. */
function assertSame(found: RetailWindows, rows: RetailWindows): void {
  for (const name of ["baskets", "hours"] as const) {
    const at = rows[name].findIndex((row, i) => found[name][i] !== row);
    assert.equal(at < 0 ? null : found[name][at], at < 0 ? null : rows[name][at], name);
    assert.equal(found[name].length, rows[name].length, `number of ${name}`);
  }
}

describe("baskets and store hours of six weeks", { timeout: TESTS * LIMIT_MS }, () => {
  let stack: Stack;
  before(async () => {
    stack = await privateStack();
  });

  test("one worker makes the rows of the script, and so does a bounded run over the same lines", async (t) => {
    const { csv } = expected;
    const run = await WindowsRun.prepare(t, { stack, namespace: "one-", csv });
    const worker = await run.worker();
    await run.send();
    await run.check(t);
    const out = await run.lines.command("reprocess", "run", basketsAndHours.name, "--workers", "3");
    t.diagnostic(out.trim());
    assertSame(await run.rows("_r1"), run.wanted);
    assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
  });

  test("three workers make them of lines in another order within the grace", async (t) => {
    const csv = shuffledWithinGrace(expected.csv, seed);
    const run = await WindowsRun.prepare(t, { stack, namespace: "three-", csv });
    const workers = await Promise.all([run.worker(), run.worker(), run.worker()]);
    await run.send();
    await run.check(t);
    for (const worker of workers)
      assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
  });

  test("households at other times than in the file: the rows of the script over them", async (t) => {
    const csv = shiftedHouseholds(expected.csv, seed);
    const run = await WindowsRun.prepare(t, { stack, namespace: "shifted-", csv });
    const worker = await run.worker();
    await run.send();
    await run.check(t);
    assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
  });

  test("three kills in the middle of the flow change no row", async (t) => {
    const random = seededRandom(seed);
    const { csv } = expected;
    const run = await WindowsRun.prepare(t, { stack, namespace: "killed-", csv });
    let worker = await run.worker();
    const sent = run.send(RATE);
    for (let kill = 0; kill < KILLS; kill++) {
      const at = (0.05 + 0.25 * kill + 0.15 * random.next()) * expected.rows;
      await eventually(
        "the flow is where the worker is to be killed",
        async () => {
          assert.ok(!worker.hasEnded, worker.story());
          return (await run.consumed()) >= at || null;
        },
        LIMIT_MS,
      );
      // The look comes right behind a commit; the kill need not.
      await delay(random.next() * 100);
      worker.kill("SIGKILL");
      assert.deepEqual(await worker.exit, { code: null, signal: "SIGKILL" });
      const consumed = await run.consumed();
      t.diagnostic(`killed at ${String(consumed)} of ${String(expected.rows)} lines`);
      assert.ok(consumed < expected.rows, "the kill came too late");
      worker = await run.worker();
    }
    await sent;
    await run.check(t);
    assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
  });
});
