// Ten thousand cases of schedule independence (test/schedules/). A run that was ended goes on by the seed that it printed last:
//   MILLRACE_TEST_SEED=40500 MILLRACE_TEST_CASES=9500 node --test test/long/schedules.ts
import assert from "node:assert/strict";
import { test } from "node:test";
import { playedAll } from "../support/schedules/cases.ts";

const cases = Number(process.env["MILLRACE_TEST_CASES"] ?? 10_000);
/** Other ones every time. */
const from = Number(process.env["MILLRACE_TEST_SEED"] ?? 1_000 * (Date.now() % 100_000));
const EACH = 250;

test(
  "rows on close are the same under ten thousand schedules",
  { timeout: 7_200_000 },
  async (t) => {
    process.stderr.write(`MILLRACE_TEST_SEED=${String(from)}\n`);
    let done = 0;
    const reports = await playedAll({ from, cases, each: EACH }, () => {
      done += EACH;
      if (done % 1_000 === 0)
        process.stderr.write(`${String(done)} cases from ${String(from)} on\n`);
    });
    const rows = reports.reduce((sum, report) => sum + report.rows, 0);
    t.diagnostic(`seeds ${String(from)} to ${String(from + cases - 1)}, ${String(rows)} rows`);
    assert.deepEqual(
      reports.flatMap(({ failures }) => failures),
      [],
    );
  },
);
