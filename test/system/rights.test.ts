// What `millrace acls` prints is enough, on servers that give nothing else: the operator applies, the worker runs, letters go
// back, a run is made, promoted and undone, a reader looks. And a right that is missing is named, with exit code 4.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ReprocessRun } from "../support/reprocess-run.ts";
import { RightsScene } from "../support/rights-scene.ts";
import type { GrantedServers, RoleName } from "../support/granted.ts";

let scene: RightsScene;
let servers: GrantedServers;
let name = "";

before(async () => {
  scene = await RightsScene.open();
  ({ servers } = scene);
  ({ name } = servers);
});
after(() => scene.close());

const succeeds = (role: RoleName, ...argv: string[]): Promise<string> =>
  scene.succeeds(role, ...argv);

test("without any right a command ends with exit code 4 and names the first", async () => {
  const { code, out } = await servers.command("operator", "topics", "plan");
  assert.equal(code, 4, out);
  assert.match(
    out,
    /MILL_KAFKA_AUTH .*the topic \S+ needs the right Describe; for the grants: npx millrace acls/,
  );
});

test("the operator applies topics and tables with what is printed, and again", async () => {
  await scene.apply();
  await succeeds("operator", "topics", "apply");
  await succeeds("operator", "tables", "apply");
});

test("worker, operator and reader do all their work with what is printed", async (t) => {
  const worker = await scene.startWorker(t);
  await worker.ready();
  await scene.sell(20);
  await scene.spoil(2);
  await scene.summed();
  await t.test("the reader looks", async () => {
    await succeeds("reader", "lag", name);
    assert.match(await succeeds("reader", "dlq", "list", name), /decode/);
    await succeeds("reader", "describe", name, "--live");
    await succeeds("reader", "ledger", "check", name);
    await succeeds("reader", "state", "get", name, "shop-total", "--key", "s1");
    await succeeds("reader", "consume", `${name}.totals`, "--max", "1");
    await succeeds("reader", "reprocess", "list", name);
  });
  await t.test("letters go back through the redrive topic, which the operator makes", async () => {
    const { code, out } = await servers.command("operator", "dlq", "redrive", name, "--wait");
    // They are no JSON still.
    assert.equal(code, 1, out);
    assert.match(out, /2 letters sent back, 0 refused\s+2 +open: MILL_DECODE_JSON/);
    await succeeds("operator", "dlq", "discard", name, "--yes", "--reason", "spoilt");
  });
  await t.test("a run is made, promoted and undone, and live goes on", async () => {
    const env = servers.envOf("operator");
    const run = new ReprocessRun(t, { app: servers.app, env, argv: [name, "--follow"] });
    await run.until("it follows", ({ step }) => step === "following");
    await succeeds("operator", "reprocess", "verify", name, "--barrier");
    await succeeds("operator", "reprocess", "promote", name, "--yes");
    await run.exit;
    await scene.sell(10);
    await scene.summed();
    await succeeds("operator", "reprocess", "undo", name, "--yes");
    await scene.sell(10);
    await scene.summed();
    await succeeds("operator", "reprocess", "drop", name, "--run", "1", "--yes");
  });
  await t.test("the operator works on state and stops", async () => {
    await succeeds("operator", "state", "verify", name);
    await succeeds("operator", "state", "rebuild", name, "shop-total");
    await succeeds("operator", "resume", name);
  });
  assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
  await succeeds("operator", "offsets", "reset", name, "--to", "latest", "--yes");
  assert.doesNotMatch(worker.story(), /AUTH|NOPERM|42501/);
});

test("a worker that lacks one right names it", async (t) => {
  const some = [
    `Read topic ${name}.sales`,
    `Write topic ${name}-`,
    `Read group ${name}.`,
    "+hmget",
    `GRANT SELECT, INSERT, UPDATE ON "public"."totals" TO "${name}_worker"`,
  ];
  for (const text of some) {
    const of = `${name}_worker`;
    const grant = scene.given.find((one) => one.text.replace(/;$/, "") === text && one.user === of);
    assert.ok(grant !== undefined, text);
    await t.test(text, (t2) => scene.workerWithout(t2, grant));
  }
});

test("an operator that lacks one right names it, with exit code 4", async (t) => {
  for (const [operation, argv] of [
    ["Create", ["topics", "apply"]],
    ["Write", ["offsets", "reset", name, "--to", "latest", "--yes"]],
  ] as const)
    await t.test(operation, async () => {
      const text = `${operation} topic ${name}-`;
      const of = `${name}_operator`;
      const grant = scene.given.find((one) => one.text === text && one.user === of);
      assert.ok(grant !== undefined, text);
      if (operation === "Create") await servers.deleteTopic(`${name}-dead-letters`);
      await grant.take();
      const { code, out } = await servers.command("operator", ...argv);
      await grant.give();
      assert.equal(code, 4, out);
      assert.match(out, new RegExp(`the topic ${name}-\\S+ needs the right ${operation}; `));
      if (operation === "Create") await succeeds("operator", "topics", "apply");
    });
});
