// Twelve faults on real processes in one flow, whatever their order: nothing lost, nothing doubled, every sum to the
// cent, and every fault has fired. Those that other tests of the system show one by one are not among them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { faults } from "./catalogue.ts";
import { linesOf } from "./result.ts";
import { chaosRun } from "./run.ts";
import { Home } from "./world/home.ts";

/** Of workers 1, 4, 5, 9 · of Redis 14 · of Postgres 21, 24, 25 · of records 30, 33, 36 · of the network 42. */
const rows = [1, 4, 5, 9, 14, 21, 24, 25, 30, 33, 36, 42];
const ENDING_MS = 20_000;
const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);

test(
  "twelve faults in one flow lose nothing and double nothing",
  { timeout: 580_000 },
  async (t) => {
    t.diagnostic(`MILLRACE_TEST_SEED=${String(seed)}`);
    const home = new Home();
    t.after(() => home.close());
    // A run whose time is over goes on waiting for servers that have gone, and the runner for it.
    let isOver = false;
    const end = (): void => void (isOver || process.exit(1));
    t.signal.addEventListener("abort", () => setTimeout(end, ENDING_MS).unref());
    const chosen = { faults: faults.filter(({ row }) => rows.includes(row)), scenarios: [] };
    assert.equal(chosen.faults.length, rows.length);
    const say = (line: string): void => t.diagnostic(line);
    const result = await chaosRun(home, chosen, { seed, minutes: 0, perSecond: 200, say });
    isOver = true;
    t.diagnostic(linesOf(result).at(-1) ?? "");
    assert.deepEqual(result.problems, []);
    assert.deepEqual([result.lost, result.doubled, result.wrong], [0, 0, 0]);
    assert.deepEqual(
      result.rows.map(({ row, planned, fired }) => [row, fired > 0 && fired === planned]),
      rows.map((row) => [row, true]),
    );
  },
);
