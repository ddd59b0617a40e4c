// Every right that `millrace acls` prints for a worker is needed: taken away alone, it is missed and named. Topics and groups
// are named one by one here, the redrive topic among them; the system test has them by prefix.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { RightsScene } from "../support/rights-scene.ts";

let scene: RightsScene;

before(async () => {
  scene = await RightsScene.open();
  await scene.apply("--literal");
});
after(() => scene.close());

/** What this app never comes to: entries that are due or deleted, copies made anew, scripts that Redis does not know. */
const NOT_MET =
  /^\+(eval|zadd|zrem|hdel|zrange|zrangebyscore|hscan|zscore|hget|type|persist|unlink|rename|pexpire)$|^~.*-r|^on$/;

/**
 * Topics that are read or written at other times: a changelog when a copy is behind, notes at a first
 * start or a stop, letters and their states when there are redriven ones.
 */
const NOT_USED =
  /(Read|Write) topic \S+-(parked|letter-states|dead-letters)$|Read topic \S+-changelog$|Write topic \S+-meta$/;

test("letters go back through topics that are granted by their names", async (t) => {
  const { servers } = scene;
  const worker = await scene.startWorker(t);
  await worker.ready();
  await scene.sell(10);
  await scene.spoil(3);
  await scene.summed();
  const { out } = await servers.command("operator", "dlq", "redrive", servers.name, "--wait");
  assert.match(out, /3 letters sent back, 0 refused\s+3 +open: MILL_DECODE_JSON/);
  assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
});

test("each right of a worker that is taken away is named", async (t) => {
  const worker = `${scene.servers.name}_worker`;
  const own = scene.given.filter(({ user }) => user === worker);
  for (const grant of own) {
    if (NOT_MET.test(grant.text) || NOT_USED.test(grant.text)) continue;
    await t.test(grant.text, (t2) => scene.workerWithout(t2, grant));
  }
});
