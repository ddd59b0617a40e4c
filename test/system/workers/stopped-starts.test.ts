// A worker that is stopped while it starts, by either signal and at whatever point, is in no group a moment later; so what
// needs empty groups need not wait for a session to end.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { AppFigures } from "../../support/app-figures.ts";
import { appOf, applyApp } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `starts-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { summing } = await import("../../support/apps/totals.ts");
const app = appOf("totals", { TEST_TOPICS: prefix });
const plan = summing.plan();

/** So nobody is forgotten by the coordinator in the time that the test allows, which is for a machine under load. */
const SESSION_MS = 30_000;
const WITHIN_MS = 10_000;

let database: FreshDatabase;
let env: Record<string, string>;
let figures: AppFigures;

before(async () => {
  database = await freshDatabase();
  env = {
    ...(await sharedStack()),
    DATABASE_URL: database.url,
    MILLRACE_SESSION_TIMEOUT_MS: String(SESSION_MS),
  };
  figures = new AppFigures(plan, env);
  await applyApp(app, env);
});
after(async () => {
  await figures.close();
  await database.drop();
});

const start = (t: TestContext, settings: Readonly<Record<string, string>> = {}) =>
  WorkerProcess.start(t, { args: [], env: { ...env, ...settings }, app });

/** The members of each of the pipeline's groups. */
const members = (): Promise<number[]> =>
  Promise.all(
    plan.parts.map(async ({ group }) => (await figures.admin.describeGroup(group)).members.length),
  );

async function empty(t: TestContext, left: readonly WorkerProcess[]): Promise<void> {
  const began = Date.now();
  const exits = await Promise.all(left.map((worker) => worker.exit));
  await eventually("no group has a member", async () =>
    (await members()).every((n) => n === 0) ? true : null,
  );
  const tookMs = Date.now() - began;
  t.diagnostic(`empty after ${String(tookMs)} ms`);
  // A member that comes back later would be one too.
  await delay(500);
  assert.deepEqual(new Set(await members()), new Set([0]));
  assert.ok(tookMs < WITHIN_MS, `${String(tookMs)} ms`);
  for (const { code, signal } of exits) assert.ok(code === 0 || signal !== null, String(code));
}

/** Points of a start, by what the groups show of it beside so many members of before. */
const points: readonly (readonly [
  string,
  (counts: readonly number[], before: number) => boolean,
])[] = [
  ["its process runs", () => true],
  ["it is a member of the first group", (counts, n) => counts.some((count) => count > n)],
  ["it is a member of every group", (counts, n) => counts.every((count) => count > n)],
];

for (const signal of ["SIGTERM", "SIGINT"] as const)
  for (const [point, isReached] of points)
    test(`${signal} when ${point}: the groups are empty at once`, async (t) => {
      const worker = await start(t);
      await eventually(point, async () => (isReached(await members(), 0) ? true : null));
      worker.kill(signal);
      await empty(t, [worker]);
    });

for (const pauseMs of [0, 50])
  test(`a worker that joins beside another, both stopped ${String(pauseMs)} ms later: the groups are empty at once`, async (t) => {
    const first = await start(t);
    await first.ready();
    const second = await start(t);
    await eventually("the second joins", async () =>
      (await members()).some((count) => count > 1) ? true : null,
    );
    await delay(pauseMs);
    for (const worker of [first, second]) worker.kill("SIGTERM");
    await empty(t, [first, second]);
  });

test("several workers of one parent that is stopped while they start", async (t) => {
  const parent = await WorkerProcess.start(t, { args: ["--workers", "3"], env, app });
  await eventually("the first joins", async () =>
    (await members()).some((count) => count > 0) ? true : null,
  );
  parent.kill("SIGTERM");
  await empty(t, [parent]);
});
