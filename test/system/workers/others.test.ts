// Topics of others through the commands and a real worker: what they have stays (case S3), and two streams of different
// width run in one pipeline (case S4).
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf } from "../../support/app.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `others-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { both, narrow, narrowCopy, wide, wideCopy } = await import("../../support/apps/others.ts");
const app = appOf("others", { TEST_TOPICS: prefix });
const shorter = appOf("others", { TEST_TOPICS: prefix, TEST_RETENTION_DAYS: "7" });

let env: Record<string, string>;
let figures: AppFigures;
before(async () => {
  env = { ...(await sharedStack()) };
  figures = new AppFigures(both.plan(), env);
});
after(() => figures.close());

const configOf = async (topic: string) =>
  (await figures.admin.describeTopics([topic])).get(topic)?.config;
const made = (topic: string, partitions: number) =>
  figures.admin.createTopics([
    { topic, partitions, replicationFactor: -1, config: { "retention.ms": "1209600000" } },
  ]);

test("an external topic is not made, and what a topic of others has stays (case S3)", async () => {
  await made(wide.name, 4);
  const refused = await appCommand(app, ["topics", "apply"], env);
  assert.equal(refused.code, 78, refused.out);
  assert.match(refused.out, /narrow, which is declared external: its owner makes it/);
  await made(narrow.name, 2);
  const found = await Promise.all([wide.name, narrow.name].map(configOf));
  const applied = await appCommand(app, ["topics", "apply", both.name], env);
  assert.equal(applied.code, 0, applied.out);
  assert.match(applied.out, /narrow +source +2 +external/);
  assert.deepEqual(await Promise.all([wide.name, narrow.name].map(configOf)), found);
  assert.equal(found[0]?.["retention.ms"], "1209600000");
});

test("a shorter retention is done by the command that the refusal prints, as printed", async () => {
  const refused = await appCommand(shorter, ["topics", "apply", both.name], env);
  assert.equal(refused.code, 2, refused.out);
  assert.equal((await configOf(wide.name))?.["retention.ms"], "1209600000");
  const [, printed = ""] = /To do it: npx millrace (.+)/.exec(refused.out) ?? [];
  assert.equal(printed, `topics apply ${both.name} --yes shorten-retention`);
  const done = await appCommand(shorter, printed.split(" "), env);
  assert.equal(done.code, 0, done.out);
  assert.equal((await configOf(wide.name))?.["retention.ms"], "604800000");
});

test("streams of four and of two partitions are two parts that run (case S4)", async (t) => {
  const worker = await WorkerProcess.start(t, { args: [], env, app });
  await worker.ready();
  const producer = figures.clients.kafka.producer();
  const places = [
    ...[0, 1, 2, 3].map((partition) => ({ topic: wide.name, partition })),
    ...[0, 1].map((partition) => ({ topic: narrow.name, partition })),
  ];
  await producer.send(
    places.map((at) => ({
      ...{ ...at, key: Buffer.from(`k${String(at.partition)}`), headers: [] },
      ...{ value: Buffer.from(`{"id":"${String(at.partition)}"}`), timestamp: Date.now() },
    })),
  );
  await producer.close();
  await figures.drained();
  assert.equal((await figures.raw(wideCopy.name)).length, 4);
  assert.equal((await figures.raw(narrowCopy.name)).length, 2);
  const parts = both.plan().parts.map(({ name, partitions }) => [name, partitions]);
  assert.deepEqual(parts, [
    ["main", 4],
    [narrow.name, 2],
  ]);
  assert.deepEqual(await worker.drain(), { code: 0, signal: null });
});
