// Tests that fail on purpose while their processes run; evidence.test.ts runs them in a runner of its own.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { appCommand, appOf } from "../app.ts";
import { ReprocessRun } from "../reprocess-run.ts";
import { WorkerProcess } from "../worker-process.ts";

const program = join(import.meta.dirname, "program.ts");
const app = appOf("totals", { TEST_TOPICS: "failing" });

test("passes", async (t) => {
  const worker = await WorkerProcess.start(t, { args: ["quiet"], env: {}, program });
  await worker.said("listening");
});

test("fails in a subtest", async (t) => {
  const worker = await WorkerProcess.start(t, { args: ["sums"], env: {}, program });
  await worker.said("listening");
  await t.test("the subtest", async () => {
    assert.equal((await worker.health())?.ok, true, "live has counted everything");
  });
});

test("fails behind commands", async (t) => {
  await appCommand(app, ["lag", "nobody"], {});
  const run = new ReprocessRun(t, { app, env: {}, argv: ["nobody"] });
  await run.exit;
  throw new Error("the run has failed");
});
