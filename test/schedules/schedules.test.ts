// Schedule independence: the rows of windows are a function of what the source partitions hold. Generated graphs, with topics
// between parts, ways of different length, windows into windows, joins, handlers that take records in order, and parts in a
// circle, run on the real engine under drawn schedules: batches, one to three workers, crashes, rebalances, a wiped Redis,
// partitions that are late. Some are bounded runs over the same contents, in some a source gets another partition. Each row must
// be the one that a second program finds, which knows no order. By hand: run.ts. Ten thousand cases: `npm run test:long`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { playedAll, summed } from "../support/schedules/cases.ts";
import { SHAPES } from "../support/schedules/graph.ts";

const CASES = 500;
/** Minutes of CPU: on a busy machine they take longer. */
const LIMIT_MS = 600_000;

test("rows on close are the same under every schedule", { timeout: LIMIT_MS }, async (t) => {
  const reports = await playedAll({ from: 1, cases: CASES, each: CASES / 2 });
  const struck = summed(reports, (report) => report.struck);
  const rows = reports.reduce((sum, report) => sum + report.rows, 0);
  t.diagnostic(`seeds 1 to ${String(CASES)}, ${String(rows)} rows`);
  t.diagnostic(JSON.stringify(Object.fromEntries([...struck].sort())));
  assert.deepEqual(
    reports.flatMap(({ failures }) => failures),
    [],
  );
  assert.equal(summed(reports, (report) => report.shapes).size, SHAPES.length);
  assert.ok(rows > 10 * CASES, `${String(rows)} rows prove little`);
  const kinds = ["crash", "rebalance", "wipe", "join", "leave", "late markers"];
  for (const kind of [...kinds, "bounded", "grown"])
    assert.ok((struck.get(kind) ?? 0) > 10, `${kind} strikes too seldom`);
});
