// The main guarantee on six weeks of a real chain's tills: every line once, in order, to the cent, whether or not the
// worker is killed in the middle. `npm run test:long`.
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import type { Stack } from "../../src/stack/stack.ts";
import { eventually } from "../support/eventually.ts";
import { realOrGenerated } from "../support/retail-figures.ts";
import { RetailRun } from "../support/retail-run.ts";
import { privateStack } from "../support/stack.ts";

const expected = realOrGenerated();
const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);

/** Lines a second: a worker keeps up with them, so it is killed with a little in its hands and not with everything. */
const RATE = 12_000;
/** Without a pause between commits, so that a kill mostly hits the middle of one. */
const COMMITS = { MILLRACE_CHECKPOINT_INTERVAL_MS: "1" };
/** The lines are sent in slices; a worker dies in the middle of each of the first three. */
const SLICE = Math.ceil(expected.records / 7);
const KILLS = 3;
/** A busy machine may finish a slice before the kill arrives: such a kill counts for nothing, and the next slice tries. */
const TRIES = 6;

test(
  "the naive program finds the known figures in the real file",
  { skip: !expected.isReal && "the file is not here: as many generated lines stand in" },
  () => {
    const { records, rows, refused, sales } = expected;
    assert.deepEqual(
      { records, rows, letters: refused.length, sales },
      { records: 148_193, rows: 147_501, letters: 692, sales: "446455.37" },
    );
  },
);

describe("six weeks of a chain", () => {
  let stack: Stack;
  before(async () => {
    stack = await privateStack(["kafka", "registry", "postgres"]);
  });

  test("every line ends once, in its household's order, when nothing goes wrong", async (t) => {
    const run = await RetailRun.prepare(t, { stack, namespace: "calm-" });
    const [worker] = await Promise.all([run.worker(), run.produce(expected.origin)]);
    await run.drained(expected);
    assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
    await run.check(expected);
  });

  test("three kills in the middle of the flow lose nothing and double nothing", async (t) => {
    t.diagnostic(`MILLRACE_TEST_SEED=${String(seed)}`);
    const random = seededRandom(seed);
    const run = await RetailRun.prepare(t, { stack, namespace: "killed-" });
    let worker = await run.worker([], COMMITS);
    let kills = 0;
    let sent = 0;
    while (kills < KILLS && sent < TRIES * SLICE) {
      await worker.ready();
      const end = sent + SLICE;
      const sending = sendLines(run, sent, end);
      const at = sent + (0.05 + 0.3 * random.next()) * SLICE;
      await eventually("the worker is where it is to be killed", async () => {
        const { main } = await run.decided();
        return main >= at || null;
      });
      // The look comes right behind a commit; the kill need not.
      await delay(random.next() * 100);
      worker.kill("SIGKILL");
      assert.deepEqual(await worker.exit, { code: null, signal: "SIGKILL" });
      const { main, rows } = await run.decided();
      t.diagnostic(
        `killed at ${String(main)} of ${String(expected.records)}, ${String(rows)} rows`,
      );
      if (main < end) kills++;
      worker = await run.worker([], COMMITS);
      await sending;
      sent = end;
    }
    assert.equal(kills, KILLS, "kills came too late: their slices were over");
    await sendLines(run, sent, expected.records);
    await run.drained(expected);
    assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
    await run.check(expected);
  });
});

const sendLines = (run: RetailRun, from: number, to: number): Promise<void> =>
  run.send(expected, { from, to, perSecond: RATE });
