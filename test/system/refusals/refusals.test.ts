// Records that a real broker refuses: times, keys, sizes with headers, limits that are lowered under way. Each is one
// letter, the others arrive, the worker lives and its other pipeline goes on.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { headerText, type OutRecord, type RawRecord } from "../../../src/engine/core/record.ts";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf, applyApp } from "../../support/app.ts";
import type { Event } from "../../support/apps/refused-outputs.ts";
import { eventually } from "../../support/eventually.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `refused-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { refused, events, timely, keyed, numbers, copies } =
  await import("../../support/apps/refused-outputs.ts");
const app = appOf("refused-outputs", { TEST_TOPICS: prefix });
const plan = refused.plan();

let env: Record<string, string>;
let figures: AppFigures;
let worker: WorkerProcess;
let sentNumbers = 0;
const ending: (() => Promise<void>)[] = [];

before(async () => {
  env = { ...(await sharedStack()) };
  figures = new AppFigures(plan, env);
  await applyApp(app, env);
  worker = await WorkerProcess.start(
    { after: (work) => void ending.push(work) },
    {
      ...{ args: [], env, app },
    },
  );
  await worker.ready();
});
after(async () => {
  for (const end of ending) await end();
  await figures.close();
});

const event = (n: number, more: Partial<OutRecord> = {}, text = "x"): OutRecord => ({
  ...{ topic: events.name, partition: 0, headers: [], timestamp: Date.now() },
  key: Buffer.from(`k${String(n % 3)}`),
  value: Buffer.from(JSON.stringify({ n, text })),
  ...more,
});

async function send(records: readonly OutRecord[]): Promise<void> {
  const producer = figures.clients.kafka.producer();
  await producer.send(records);
  // A record for the pipeline beside, which nothing may hold up.
  await producer.send([event(++sentNumbers, { topic: numbers.name })]);
  await producer.close();
}

const letters = (): Promise<RawRecord[]> => figures.raw(plan.deadLetters);
const factOf = ({ headers }: RawRecord, name: string) => headerText(headers, `dlq.${name}`);
const numbersOf = async (topic: string, from = 0): Promise<number[]> =>
  (await figures.raw(topic))
    .map(({ value }) => (JSON.parse(String(value)) as Event).n)
    .filter((n) => n >= from);

const limit = (topic: string, bytes: number): Promise<void> =>
  figures.admin.alterTopicConfig(topic, { "max.message.bytes": String(bytes) });

/** Everything has ended once, and the neighbour has everything. */
async function assertSettled(): Promise<void> {
  await figures.drained();
  await eventually("the pipeline beside has copied all", async () => {
    const found = await numbersOf(copies.name);
    return found.length === sentNumbers ? true : null;
  });
  assert.ok(!worker.hasEnded, worker.story());
}

test("a time two hours ahead, and a record without a key, are one letter each among many", async () => {
  const good = Array.from({ length: 60 }, (_, n) => event(n));
  const ahead = event(1_000, { timestamp: Date.now() + 2 * 3_600_000 });
  const keyless = event(1_001, { key: null });
  await send([...good.slice(0, 20), ahead, ...good.slice(20, 40), keyless, ...good.slice(40)]);
  await assertSettled();
  const expected = good.map((_, n) => n);
  for (const topic of [timely.name, keyed.name])
    assert.deepEqual(
      (await numbersOf(topic)).sort((a, b) => a - b),
      expected,
      topic,
    );
  const found = await letters();
  assert.deepEqual(
    found.map((letter) => ["step", "code", "offset"].map((name) => factOf(letter, name))),
    [
      [keyed.name, "MILL_OUTPUT_REFUSED", "41"],
      [timely.name, "MILL_OUTPUT_REFUSED", "20"],
    ].sort((a, b) => Number(a[2]) - Number(b[2])),
  );
  const [time] = found;
  assert.match(time === undefined ? "" : (factOf(time, "message") ?? ""), /INVALID_TIMESTAMP/);
});

test("a limit that is lowered makes batches smaller, and a letter of what is too large alone, headers included", async () => {
  await limit(timely.name, 20_000);
  const text = "y".repeat(2_000);
  const good = Array.from({ length: 40 }, (_, i) => event(2_000 + i, {}, text));
  const headers = [["h", Buffer.alloc(30_000)]] as const;
  const large = event(2_500, { headers }, text);
  await send([...good.slice(0, 10), large, ...good.slice(10)]);
  await assertSettled();
  assert.deepEqual(
    (await numbersOf(timely.name, 2_000)).sort((a, b) => a - b),
    good.map((_, i) => 2_000 + i),
  );
  const found = (await letters()).filter((letter) => factOf(letter, "class") === "size");
  assert.deepEqual(
    found.map((letter) => [factOf(letter, "step"), factOf(letter, "code")]),
    [[timely.name, "MILL_RECORD_TOO_LARGE"]],
  );
  await limit(timely.name, 1_000_000);
});

test("state that its changelog refuses: the record that made it so is the letter, and adds nothing", async () => {
  const [store] = plan.parts.flatMap(({ stores }) => stores);
  assert.ok(store !== undefined);
  const before = (await letters()).length;
  await limit(store.changelog.name, 60_000);
  const texts = ["a", "b", "z".repeat(80_000), "c", "d"];
  const key = Buffer.from("changes");
  await send(texts.map((text, i) => event(3_000 + i, { key }, text)));
  await assertSettled();
  const found = (await letters()).slice(before);
  assert.deepEqual(
    found.map((letter) => [factOf(letter, "step"), factOf(letter, "class")]),
    [[store.changelog.name, "size"]],
  );
  assert.deepEqual((await numbersOf(timely.name, 3_000)).sort(), [3_000, 3_001, 3_003, 3_004]);
  const lengths = (await figures.raw(`${prefix}.joined`))
    .filter((record) => String(record.key) === "changes")
    .map(({ value }) => JSON.parse(String(value)) as string);
  assert.deepEqual(lengths, ["1", "2", "3", "4"]);
  await limit(store.changelog.name, 1_000_000);
});

test("a letter that is refused goes as pointer and hash", async () => {
  const before = (await letters()).length;
  await limit(plan.deadLetters, 4_000);
  await send([event(4_000, { key: null }, "w".repeat(20_000)), event(4_001)]);
  await assertSettled();
  const [letter, ...more] = (await letters()).slice(before);
  assert.deepEqual(more, []);
  assert.ok(letter !== undefined);
  assert.equal(letter.value, null);
  assert.match(factOf(letter, "pointer") ?? "", new RegExp(`^${prefix}.events/0/\\d+$`));
  assert.match(factOf(letter, "value-sha256") ?? "", /^[0-9a-f]{64}$/);
  assert.deepEqual(await numbersOf(timely.name, 4_000), [4_001]);
});

test("an output topic that is missing pauses its tasks with the command to run, and they go on when it is there", async () => {
  await figures.admin.deleteTopics([keyed.name]);
  await send([event(5_000), event(5_001)]);
  await eventually("the task says what is missing", async () => {
    const { reasons = [] } = (await worker.health()) ?? {};
    const line = `the topic ${keyed.name} is missing: run npx millrace topics apply`;
    return reasons.some((reason) => reason.includes(line)) ? true : null;
  });
  const applied = await appCommand(app, ["topics", "apply"], env);
  assert.equal(applied.code, 0, applied.out);
  await assertSettled();
  assert.deepEqual((await numbersOf(keyed.name, 5_000)).sort(), [5_000, 5_001]);
  assert.deepEqual((await numbersOf(timely.name, 5_000)).sort(), [5_000, 5_001]);
});
