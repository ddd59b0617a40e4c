// A hand-written kafkajs loop hands over to a pipeline: `offsets reset --to group:NAME` begins where the loop has committed,
// so each record is counted by one of the two, and by one only.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { Kafka, logLevel } from "kafkajs";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf, applyApp } from "../../support/app.ts";
import type { Sale } from "../../support/apps/totals.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `handover-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { sales, summing } = await import("../../support/apps/totals.ts");
const app = appOf("totals", { TEST_TOPICS: prefix });
const loopGroup = `${prefix}-loop`;

const RECORDS = 300;
/** More than one partition holds, so that it commits on both. */
const BY_THE_LOOP = 237;
const amountOf = (n: number): number => 1 + (n % 13);

let database: FreshDatabase;
let env: Record<string, string>;
let figures: AppFigures;

before(async () => {
  database = await freshDatabase();
  env = { ...(await sharedStack()), DATABASE_URL: database.url };
  figures = new AppFigures(summing.plan(), env);
  await applyApp(app, env);
});
after(async () => {
  await figures.close();
  await database.drop();
});

async function send(): Promise<number> {
  const records = Array.from({ length: RECORDS }, (_, n) => {
    const sale: Sale = { shop: `shop-${String(n % 7)}`, amount: amountOf(n) };
    const value = Buffer.from(JSON.stringify(sale));
    const key = Buffer.from(`till-${String(n)}`);
    return { topic: sales.name, partition: n % 2, key, value, headers: [], timestamp: n };
  });
  const producer = figures.clients.kafka.producer();
  await producer.send(records);
  await producer.close();
  return records.reduce((sum, _, n) => sum + amountOf(n), 0);
}

/** The loop that teams write: one message, one effect, one commit. Ends after so many; returns what it added up. */
async function loop(messages: number): Promise<number> {
  const kafka = new Kafka({
    brokers: (env["KAFKA_BROKERS"] ?? "").split(","),
    logLevel: logLevel.NOTHING,
  });
  const consumer = kafka.consumer({ groupId: loopGroup });
  await consumer.connect();
  await consumer.subscribe({ topics: [sales.name], fromBeginning: true });
  let sum = 0;
  let seen = 0;
  const { promise: isDone, resolve } = Promise.withResolvers<void>();
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ topic, partition, message }) => {
      if (seen === messages) return;
      sum += (JSON.parse(String(message.value)) as Sale).amount;
      const offset = String(BigInt(message.offset) + 1n);
      await consumer.commitOffsets([{ topic, partition, offset }]);
      if (++seen === messages) resolve();
    },
  });
  await isDone;
  await consumer.disconnect();
  return sum;
}

test("a pipeline takes over from a kafkajs loop: nothing is lost and nothing is counted twice", async (t) => {
  const whole = await send();
  const byTheLoop = await loop(BY_THE_LOOP);
  const argv = ["offsets", "reset", prefix, "--topic", sales.name, "--to", `group:${loopGroup}`];
  const reset = await appCommand(app, [...argv, "--yes"], env);
  assert.equal(reset.code, 0, reset.out);
  t.diagnostic(reset.out);

  const worker = await WorkerProcess.start(t, { args: [], env, app });
  await figures.drained();
  const [row] = await database.query<{ total: string }>("SELECT sum(total) AS total FROM totals");
  assert.equal(byTheLoop + Number(row?.total), whole);
  assert.equal((await figures.ledger("main")).consumed, RECORDS - BY_THE_LOOP);
  assert.deepEqual(await worker.drain(), { code: 0, signal: null });
});
