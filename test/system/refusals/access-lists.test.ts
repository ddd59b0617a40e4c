// Rights that a real authoriser takes away under a running worker, and gives back: the tasks that need them wait, by name;
// the other pipeline goes on; nothing is lost or doubled, and no worker ends.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import kafkajs, { type AclEntry, type Admin } from "kafkajs";
import type { OutRecord } from "../../../src/engine/core/record.ts";
import { AppFigures } from "../../support/app-figures.ts";
import { appOf, applyApp } from "../../support/app.ts";
import type { Event } from "../../support/apps/refused-outputs.ts";
import { eventually } from "../../support/eventually.ts";
import { startGuardedKafka, type GuardedKafka } from "../../support/guarded-kafka.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const { Kafka, AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } =
  kafkajs;
const prefix = `guarded-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { refused, events, timely, keyed, numbers, copies } =
  await import("../../support/apps/refused-outputs.ts");
const app = appOf("refused-outputs", { TEST_TOPICS: prefix });
const group = `${prefix}.main`;

let broker: GuardedKafka;
let admin: Admin;
let figures: AppFigures;
let worker: WorkerProcess;
let sent = 0;
let sentNumbers = 0;
const ending: (() => Promise<void>)[] = [];

before(async () => {
  broker = await startGuardedKafka();
  ending.push(() => broker.stop());
  const env = { ...(await sharedStack()), KAFKA_BROKERS: broker.address };
  admin = new Kafka({ brokers: [broker.address], logLevel: 0 }).admin();
  await admin.connect();
  figures = new AppFigures(refused.plan(), env);
  await applyApp(app, env);
  const owner = { after: (work: () => Promise<void>) => void ending.unshift(work) };
  worker = await WorkerProcess.start(owner, {
    args: [],
    env: { ...env, ...broker.workerEnv },
    app,
  });
  await worker.ready();
});
after(async () => {
  await figures.close();
  await admin.disconnect();
  for (const end of ending) await end();
});

const event = (n: number, topic: string): OutRecord => ({
  ...{ topic, partition: n % 2, headers: [], timestamp: Date.now() },
  key: Buffer.from(`k${String(n)}`),
  value: Buffer.from(JSON.stringify({ n, text: "x" })),
});

const producing = async (records: readonly OutRecord[]): Promise<void> => {
  const producer = figures.clients.kafka.producer();
  await producer.send(records);
  await producer.close();
};

const sendEvents = (count: number): Promise<void> =>
  producing(Array.from({ length: count }, () => event(sent++, events.name)));

const numbersOf = async (topic: string): Promise<number[]> =>
  (await figures.raw(topic))
    .map(({ value }) => (JSON.parse(String(value)) as Event).n)
    .sort((a, b) => a - b);

async function neighbourCopies(): Promise<void> {
  await producing([event(sentNumbers++, numbers.name)]);
  await eventually("the pipeline beside has copied all", async () =>
    (await numbersOf(copies.name)).length === sentNumbers ? true : null,
  );
}

const aclOf = (more: Partial<AclEntry>): AclEntry => ({
  resourceType: AclResourceTypes.TOPIC,
  resourceName: events.name,
  resourcePatternType: ResourcePatternTypes.LITERAL,
  principal: "User:worker",
  host: "*",
  operation: AclOperationTypes.READ,
  permissionType: AclPermissionTypes.DENY,
  ...more,
});

for (const [what, entries, why] of [
  [
    "to write an output topic",
    [aclOf({ resourceName: timely.name, operation: AclOperationTypes.WRITE })],
    new RegExp(`is paused: .*the topic ${timely.name} needs the right Write`),
  ],
  [
    "to read the source topic, which it may still see",
    [
      aclOf({}),
      aclOf({
        operation: AclOperationTypes.DESCRIBE,
        permissionType: AclPermissionTypes.ALLOW,
      }),
    ],
    new RegExp(`is paused: .*the topic ${events.name} needs the right Read`),
  ],
  [
    "to see the source topic at all",
    [aclOf({ operation: AclOperationTypes.ALL })],
    new RegExp(`is paused: .*the topic ${events.name} needs the right Read`),
  ],
  [
    "to be in its group",
    [aclOf({ resourceType: AclResourceTypes.GROUP, resourceName: group })],
    new RegExp(`${group} .*: .*the group ${group} needs the right Read`),
  ],
] as const)
  test(`the right ${what} is taken away under way, and given back`, async () => {
    await sendEvents(20);
    await admin.createAcls({ acl: [...entries] });
    await sendEvents(20);
    try {
      await eventually("/ready names it", async () => {
        const reasons = (await worker.health())?.reasons ?? [];
        return reasons.some((reason) => why.test(reason)) ? reasons : null;
      });
      for (let i = 0; i < 5; i++) await neighbourCopies();
      assert.ok(!worker.hasEnded, worker.story());
    } finally {
      await admin.deleteAcls({ filters: entries.map((entry) => ({ ...entry })) });
    }
    await sendEvents(20);
    await figures.drained();
    const expected = Array.from({ length: sent }, (_, n) => n);
    for (const topic of [timely.name, keyed.name])
      assert.deepEqual(await numbersOf(topic), expected, topic);
    assert.deepEqual(await figures.raw(refused.plan().deadLetters), []);
    await worker.ready();
    assert.ok(!worker.hasEnded, worker.story());
  });
