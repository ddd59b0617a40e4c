// A promotion to other code on real servers: what differs is named, a worker is deployed while live waits, and one that was
// frozen all the while writes nothing when it wakes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { appCommand } from "../support/app.ts";
import {
  app,
  BONUS,
  other,
  PER_SECOND,
  prefix,
  PromotionServers,
} from "../support/promotion-servers.ts";
import { reprocess, ReprocessRun } from "../support/reprocess-run.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let live: PromotionServers;
let env: Record<string, string>;
let sales: PromotionServers["sales"];
let figures: PromotionServers["figures"];

before(async () => {
  live = await PromotionServers.open();
  ({ env, sales, figures } = live);
});
after(() => live.close());

test("another rule: verify names exactly the keys that differ; held, deployed, resumed, it holds for all records", async (t) => {
  const old = await WorkerProcess.start(t, { args: [prefix], env, app });
  const flow = sales.flow(PER_SECOND);
  t.after(() => flow.stop());
  const run = new ReprocessRun(t, { app: other, env, argv: [prefix, "--follow"] });
  await run.until("it follows", ({ step }) => step === "following");
  const verified = await reprocess(other, env, "verify", prefix, "--barrier", "--keys");
  assert.equal(verified.code, 1, verified.out);
  const keys = verified.out
    .split("\n")
    .flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as object] : []));
  const key = { table: "public.totals", kind: "different", key: [BONUS], columns: ["total"] };
  assert.deepEqual(keys, [key], verified.out);
  const held = await reprocess(
    other,
    env,
    "promote",
    prefix,
    "--hold",
    "--emit-corrections",
    "--yes",
  );
  assert.equal(held.code, 0, held.out);
  assert.match(held.out, /corrections in output topics: 1/);
  await run.exit;
  await old.drain();
  const worker = await WorkerProcess.start(t, { args: [prefix], env, app: other });
  const resumed = await appCommand(other, ["resume", prefix], env);
  assert.equal(resumed.code, 0, resumed.out);
  await flow.stop();
  await live.reaches(() => sales.totals(BONUS));
  await worker.drain();
  const { totals } = await import("../support/apps/totals.ts");
  const values = await figures.values<{ shop: string; total: number }>(totals.name);
  const last = Object.fromEntries(values.map(({ shop, total }) => [shop, total]));
  assert.deepEqual(
    last,
    Object.fromEntries(sales.totals(BONUS).map(({ shop, total }) => [shop, total])),
  );
});

test("a live worker that is stopped through all of it commits nothing when it wakes, and goes on in the new place", async (t) => {
  const short = { ...env, MILLRACE_SESSION_TIMEOUT_MS: "6000" };
  const start = () => WorkerProcess.start(t, { args: [prefix], env: short, app: other });
  const [zombie, worker] = [await start(), await start()];
  const flow = sales.flow(PER_SECOND);
  t.after(() => flow.stop());
  await reprocess(other, env, "status", prefix);
  await Promise.all([zombie.ready(), worker.ready()]);
  const run = new ReprocessRun(t, { app: other, env, argv: [prefix, "--follow"] });
  await run.until("it follows", ({ step }) => step === "following");
  zombie.kill("SIGSTOP");
  const promoted = await reprocess(other, env, "promote", prefix, "--yes");
  assert.equal(promoted.code, 0, promoted.out);
  zombie.kill("SIGCONT");
  await flow.stop();
  await live.reaches(() => sales.totals(BONUS));
  await worker.drain();
  await sales.send(1_000);
  await live.reaches(() => sales.totals(BONUS));
  await zombie.drain();
});
