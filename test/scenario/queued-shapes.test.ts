// Keys that queue for a call while another version is deployed: a value that no step has changed is read anew from its bytes,
// by the new version's schema; of what the code has made nothing is read that it may not fit.
import assert from "node:assert/strict";
import type { RawRecord } from "../../src/engine/core/record.ts";
import { test } from "node:test";
import {
  json,
  milliseconds,
  pipeline,
  resource,
  string,
  topic,
  type Pipeline,
  type Topic,
} from "#engine";
import { oldPayments, payments, sixOld, writtenBy } from "../support/deploys.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";

interface Bank {
  pay(account: string): Promise<string>;
}
const bank = resource<Bank, Record<never, never>>("bank", {
  env: {},
  open: () => assert.fail("a test hands in its own"),
});
const done: Topic<string, string> = topic("done", {
  key: string,
  value: json<string>(),
  partitions: 2,
  owner: "tests",
});
const calling = {
  client: bank,
  concurrency: 4,
  timeout: milliseconds(500),
  retry: {
    mode: "park-key",
    attempts: 1_000,
    backoff: { first: milliseconds(200), max: milliseconds(400) },
  },
} as const;

const old: Pipeline = pipeline("calls", { state: "memory" }, ({ from }) => {
  from(oldPayments)
    .mapAsync("pay", (p, { client }) => client.pay(p.accountId), calling)
    .to(done);
});
const next: Pipeline = pipeline("calls", { state: "memory" }, ({ from }) => {
  from(payments)
    .mapAsync("pay", (p, { client }) => client.pay(p.account), calling)
    .to(done);
});
const oldMade: Pipeline = pipeline("calls", { state: "memory" }, ({ from }) => {
  from(oldPayments)
    .map("made", ({ accountId }) => ({ accountId }))
    .mapAsync("pay", (p, { client }) => client.pay(p.accountId), calling)
    .to(done);
});
const nextMade: Pipeline = pipeline("calls", { state: "memory" }, ({ from }) => {
  from(payments)
    .map("made", ({ account }) => ({ account }))
    .mapAsync("pay", (p, { client }) => client.pay(p.account), calling)
    .to(done);
});

interface Scene {
  readonly fleet: Fleet;
  readonly bankOf: { isOpen: boolean; readonly paid: string[] };
}

/** Six payments of the first version queue, since the bank is closed; its worker has left. */
async function queued(version: Pipeline): Promise<Scene> {
  const fleet = new Fleet([version]);
  const bankOf = { isOpen: false, paid: [] as string[] };
  fleet.openResource = () =>
    Promise.resolve({
      client: {
        pay: (account: string): Promise<string> => {
          if (!bankOf.isOpen) return Promise.reject(new Error("closed"));
          bankOf.paid.push(String(account));
          return Promise.resolve(String(account));
        },
      },
      close: () => Promise.resolve(),
    });
  const first = await fleet.join();
  await fleet.sendRecords(await writtenBy(fleet, oldPayments, sixOld));
  await fleet.until("all are queued", () => first.worker.queuedRecords === 6);
  await fleet.clock.advance(2_000);
  await fleet.during(first.worker.stop());
  await writtenBy(fleet, payments, []);
  return { fleet, bankOf };
}

const waits = ({ worker }: FleetMember): boolean =>
  worker.health().some((task) => task.state === "paused" && task.why.includes("pay-parked"));

test("a field renamed by an alias reaches queued records", async () => {
  const { fleet, bankOf } = await queued(old);
  await fleet.join({ plans: [next.plan()] });
  bankOf.isOpen = true;
  await fleet.until("all are paid", () => fleet.values(done).length === 6);
  assert.deepEqual([...bankOf.paid].sort(), ["a", "a", "a", "b", "b", "b"]);
  assert.deepEqual(fleet.letters(), []);
});

test("what other code has made waits in the queue, and is paid by its own version", async () => {
  const { fleet, bankOf } = await queued(oldMade);
  bankOf.isOpen = true;
  const member = await fleet.join({ plans: [nextMade.plan()] });
  await fleet.until("it waits", () => waits(member));
  await fleet.clock.advance(30_000);
  assert.deepEqual([bankOf.paid, fleet.letters()], [[], []]);
  await fleet.during(member.worker.stop());
  await fleet.join({ plans: [oldMade.plan()] });
  await fleet.until("all are paid", () => fleet.values(done).length === 6);
  assert.deepEqual([...bankOf.paid].sort(), ["a", "a", "a", "b", "b", "b"]);
});

test("what release 0.1.0 has queued is read as it was written", async () => {
  const { fleet, bankOf } = await queued(old);
  const changelog = "calls-pay-parked-changelog";
  const entries = fleet.kafka.records(changelog, { committed: true });
  // The same entries as 0.1.0 wrote them: without dues and totals, with the value, and without a word of how it is kept.
  const before = entries.flatMap((record): RawRecord[] => {
    const { value: now } = record;
    if (String(record.key) === "t") return [{ ...record, value: null }];
    if (now?.[0] === 3)
      return [
        { ...record, value: Buffer.concat([Buffer.of(1), now.subarray(1, 9), now.subarray(17)]) },
      ];
    const text = String(record.value?.subarray(9));
    if (!text.includes('"isCarried":true')) return [];
    const account = /p[024]/.test(String(record.key)) ? "a" : "b";
    const value = { id: "x", accountId: account, cents: 1 };
    const was = text.replace('"isCarried":true', `"value":${JSON.stringify(value)}`);
    const bytes = Buffer.concat([record.value?.subarray(0, 9) ?? Buffer.of(), Buffer.from(was)]);
    return [{ ...record, value: bytes }];
  });
  assert.ok(before.length > 6 + 2);
  await fleet.sendRecords(before);
  const { worker } = await fleet.join();
  await fleet.until("the queue is counted", () => worker.queuedRecords === 6);
  bankOf.isOpen = true;
  await fleet.until("all are paid", () => fleet.values(done).length === 6);
  assert.deepEqual([...bankOf.paid].sort(), ["a", "a", "a", "b", "b", "b"]);
});
