// The repository's own pipelines on real servers, with orders whose times cannot be true: each is a letter that says why,
// the good ones arrive in every topic and table, and the worker lives, also after a restart.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { appCommand, type App, type Ended } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";
import { privateStack, serverEnv } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";
import { stopStack, type Stack } from "../../../src/stack/stack.ts";

const HOUR = 3_600_000;
const own: App = { execArgv: [], env: {} };
const dir = mkdtempSync(join(tmpdir(), "millrace-future-"));
let stack: Stack;

before(async () => {
  stack = await privateStack();
  for (const what of ["topics", "tables"]) await millrace(what, "apply");
});
after(async () => {
  await stopStack(stack.dir, () => undefined, { purge: true });
  rmSync(dir, { recursive: true, force: true });
});

async function millrace(...argv: readonly string[]): Promise<Ended> {
  const ended = await appCommand(own, argv, { ...serverEnv(), ...stack.env });
  assert.equal(ended.code, 0, ended.out);
  return ended;
}

/** The JSON objects that a command prints, one a line. */
async function lines<T>(...argv: readonly string[]): Promise<T[]> {
  const { out } = await millrace(...argv, "--json");
  return out
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as T);
}

async function order(orderId: string, updatedAt: number): Promise<void> {
  const file = join(dir, `${orderId}.ndjson`);
  const of = { customerId: "c-0001", productId: "p-001", quantity: 1, status: "shipped" };
  const times = { orderDate: Date.now(), updatedAt };
  writeFileSync(file, JSON.stringify({ orderId, ...of, totalAmount: "5.00", ...times }) + "\n");
  await millrace("produce", "customer_orders", "--file", file);
}

interface Consumed {
  readonly value: { readonly orderCount: number } | null;
}
interface LetterLine {
  readonly code: string;
  readonly offset: string;
  readonly message: string;
}

const valueOf = (count: number): Promise<Consumed> =>
  eventually(`customer.value has ${String(count)} orders`, async () => {
    const all = await lines<Consumed>("consume", "customer.value");
    return all.find(({ value }) => value?.orderCount === count) ?? null;
  });
const letters = (pipeline: string): Promise<LetterLine[]> =>
  lines<LetterLine>("dlq", "list", pipeline, "--letters");

const run = async (t: Parameters<typeof WorkerProcess.start>[0]): Promise<WorkerProcess> => {
  const args = ["customer-orders", "customer-value"];
  const worker = await WorkerProcess.start(t, { args, env: stack.env as Record<string, string> });
  await worker.ready();
  return worker;
};

test("orders from the future, and in microseconds and seconds, are letters; the good ones arrive", async (t) => {
  const now = Date.now();
  const worker = await run(t);
  await order("o-future", now + 2 * HOUR);
  await order("o-micros", now * 1_000);
  await order("o-seconds", Math.floor(now / 1_000));
  await order("o-good", now);
  await valueOf(1);
  assert.ok(!worker.hasEnded, worker.story());

  const found = await letters("customer-orders");
  assert.deepEqual(found.map(({ code }) => code).sort(), [
    "MILL_DECODE_FUTURE_TIMESTAMP",
    "MILL_DECODE_FUTURE_TIMESTAMP",
    "MILL_DECODE_TIMESTAMP_UNIT",
  ]);
  const said = found.map(({ message }) => message).join("\n");
  for (const words of [/more than 1 hour, the topic's futureMax/, /microseconds/, /seconds: mult/])
    assert.match(said, words);
  assert.deepEqual(await letters("customer-value"), []);

  // Less than an hour ahead is taken, by the internal topics too, which lie further from their broker's clock then.
  await order("o-soon", now + HOUR - 60_000);
  await valueOf(2);
  await worker.drain();

  const again = await run(t);
  await order("o-later", now);
  await valueOf(3);
  assert.equal((await letters("customer-orders")).length, 3);
  assert.ok(!again.hasEnded, again.story());
});

test("every internal topic takes any timestamp; a second apply has nothing to do", async () => {
  const plans = await lines<{ topic: string; state: string; config: unknown[] }>("topics", "plan");
  assert.ok(plans.length > 20);
  assert.deepEqual(
    plans.filter(({ state }) => state !== "ok"),
    [],
  );
});
