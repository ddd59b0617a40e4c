// Faults on real processes in one flow, whatever their order: nothing lost, nothing doubled, every sum to the cent, and
// every fault has fired.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { faults } from "./catalogue.ts";
import { linesOf } from "./result.ts";
import { chaosRun } from "./run.ts";
import { Home } from "./world/home.ts";

const ENDING_MS = 20_000;
const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);

/** One strike of each row. */
export async function mixed(t: TestContext, rows: readonly number[]): Promise<void> {
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
}
