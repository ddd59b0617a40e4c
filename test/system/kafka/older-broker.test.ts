// The newest broker of Kafka 3 instead of the stack's: state, outputs and letters are right to the record, although a
// worker is killed under way and the broker refuses some of its outputs.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { headerText, type OutRecord } from "../../../src/engine/core/record.ts";
import { stopStack, type Stack } from "../../../src/stack/stack.ts";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf } from "../../support/app.ts";
import type { Event } from "../../support/apps/refused-outputs.ts";
import { eventually } from "../../support/eventually.ts";
import { privateStack, sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const VERSION = "3.9.2";
const prefix = `older-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { refused, events, timely, keyed, joined } =
  await import("../../support/apps/refused-outputs.ts");
const app = appOf("refused-outputs", { TEST_TOPICS: prefix });
const plan = refused.plan();

const COUNT_MIN = 1_000;
/** A send has as many records of each key. */
const SEND = 20;
const KEYS = 4;
let stack: Stack;
let env: Record<string, string>;
let figures: AppFigures;

before(async () => {
  stack = await privateStack(["kafka"], { MILLRACE_KAFKA_VERSION: VERSION });
  const [KAFKA_BROKERS = ""] = stack.kafka.brokers;
  env = { ...(await sharedStack()), KAFKA_BROKERS, MILLRACE_SESSION_TIMEOUT_MS: "2000" };
  figures = new AppFigures(plan, env);
  const applied = await appCommand(app, ["topics", "apply"], env);
  assert.equal(applied.code, 0, applied.out);
});
after(async () => {
  await figures.close();
  await stopStack(stack.dir, () => undefined, { purge: true });
});

/** Keys keep to one partition each. */
const event = (n: number, more: Partial<OutRecord> = {}): OutRecord => ({
  ...{ topic: events.name, partition: n % 2, headers: [], timestamp: Date.now() },
  key: Buffer.from(`k${String(n % KEYS)}`),
  value: Buffer.from(JSON.stringify({ n, text: "x" })),
  ...more,
});

/** Records of the input that are decided. */
const decided = async (): Promise<number> =>
  (await figures.progress())
    .filter(({ topic }) => topic === events.name)
    .reduce((sum, { nextOffset }) => sum + Number(nextOffset ?? 0n), 0);

test("a broker of Kafka 3: nothing is lost, doubled or wrong under a kill and refusals", async (t) => {
  const { kafka: pid = 0 } = stack.pids;
  const commandLine = readFileSync(`/proc/${String(pid)}/cmdline`, "utf8");
  assert.ok(commandLine.includes(`kafka-${VERSION}`), "the broker is of another version");
  const killed = await WorkerProcess.start(t, { args: [], env, app });
  await killed.ready();
  const producer = figures.clients.kafka.producer();
  let count = 0;
  let hasDied = false;
  const produced = (async () => {
    for (; !hasDied || count < COUNT_MIN; count += SEND)
      await producer.send(Array.from({ length: SEND }, (_, i) => event(count + i)));
  })();
  await eventually("the flow is under way", async () => (await decided()) >= 200 || null);
  killed.kill("SIGKILL");
  await killed.exit;
  hasDied = true;
  const worker = await WorkerProcess.start(t, { args: [], env, app });
  await produced;
  const ahead = event(count, { timestamp: Date.now() + 2 * 3_600_000 });
  await producer.send([ahead, event(count + 1, { key: null })]);
  await producer.close();
  await figures.drained();
  for (const topic of [timely.name, keyed.name]) {
    const values = await figures.values<Event>(topic);
    assert.deepEqual(
      values.map(({ n }) => n).sort((a, b) => a - b),
      Array.from({ length: count }, (_, n) => n),
      topic,
    );
  }
  const sums = await figures.raw(joined.name);
  for (let key = 0; key < KEYS; key++) {
    const lengths = sums.filter((record) => String(record.key) === `k${String(key)}`);
    assert.deepEqual(
      lengths.map(({ value }) => JSON.parse(String(value)) as string),
      Array.from({ length: count / KEYS }, (_, n) => String(n + 1)),
    );
  }
  const letters = (await figures.raw(plan.deadLetters)).map(({ headers }) =>
    ["step", "code"].map((fact) => headerText(headers, `dlq.${fact}`)),
  );
  assert.deepEqual(letters.sort(), [
    [keyed.name, "MILL_OUTPUT_REFUSED"],
    [timely.name, "MILL_OUTPUT_REFUSED"],
  ]);
  t.diagnostic(`${String(count)} records`);
  assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
});
