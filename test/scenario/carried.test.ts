// Values that no step changes between their topic and a topic of ours: they keep their bytes, and with them the schema of
// their writer, so a version with another reader's schema reads what an earlier one has left there.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  avro,
  bytes,
  json,
  minutes,
  pipeline,
  string,
  topic,
  type Pipeline,
  type Schema,
  type Topic,
} from "#engine";
import { send, sendBytes, simulate } from "#testing";
import {
  newSchema,
  oldPayments,
  oldSchema,
  only,
  paid,
  payments,
  rows,
  sixOld,
  writtenBy,
  type OldPayment,
  type Payment,
} from "../support/deploys.ts";
import { MemoryRegistry } from "../../src/engine/testing/doubles/memory-registry.ts";
import { subjectOf } from "../../src/engine/core/schema.ts";
import { desiredTopics } from "../../src/engine/provision/desired-topics.ts";
import { planTopics } from "../../src/engine/provision/topics.ts";
import { Fleet } from "../support/fleet.ts";

const committed = { committed: true } as const;

const oldSums: Pipeline = pipeline("sums", ({ from }) => {
  from(oldPayments)
    .filter("some", (p) => p.cents > 0)
    .expect("named", (p) => p.accountId !== "", { otherwise: "dead-letter" })
    .rekey("by-account", (p) => p.accountId)
    .peek("seen", () => undefined)
    .groupByKey()
    .sum("paid", (p) => p.cents)
    .to(paid);
});
const sums: Pipeline = pipeline("sums", ({ from }) => {
  from(payments)
    .filter("some", (p) => p.cents > 0)
    .expect("named", (p) => p.account !== "", { otherwise: "dead-letter" })
    .rekey("by-account", (p) => p.account)
    .peek("seen", () => undefined)
    .groupByKey()
    .sum("paid", (p) => p.cents)
    .to(paid);
});

const sumsOf = (fleet: Fleet): Record<string, number> => {
  const found: Record<string, number> = {};
  for (const { key, value } of fleet.kafka.records(paid.name, committed))
    found[String(key)] = Number(String(value));
  return found;
};

test("a field renamed by an alias reaches records that the earlier version has left in a repartition topic", async () => {
  const fleet = new Fleet([oldSums]);
  const plan = oldSums.plan();
  const old = await fleet.join({ plans: [only(plan, "main")] });
  await fleet.sendRecords(await writtenBy(fleet, oldPayments, sixOld));
  const topicName = "sums-by-account-repartition";
  await fleet.until("all are there", () => fleet.kafka.records(topicName, committed).length === 6);
  await fleet.during(old.worker.stop());
  const source = fleet.kafka.records(oldPayments.name, committed).map(({ value }) => String(value));
  const carried = fleet.kafka.records(topicName, committed).map(({ value }) => String(value));
  assert.deepEqual([...carried].sort(), [...source].sort());
  await fleet.join({ plans: [sums.plan()] });
  const progress = await fleet.drained();
  assert.deepEqual(sumsOf(fleet), { a: 306, b: 309 });
  assert.deepEqual(fleet.letters(), []);
  assert.ok(progress.length > 0);
  assert.deepEqual(await fleet.ledger("by-account"), { consumed: 6, emitted: 6 });
});

test("the same for a table's own topic", async () => {
  const draw = pipeline("rows", ({ from }) => {
    from(oldPayments)
      .distinct("once", { by: (p) => p.id, within: minutes(5) })
      .upsertInto(rows as never);
  });
  const next = pipeline("rows", ({ from }) => {
    from(payments)
      .distinct("once", { by: (p) => p.id, within: minutes(5) })
      .upsertInto(rows);
  });
  const fleet = new Fleet([draw]);
  const old = await fleet.join({ plans: [only(draw.plan(), "main")] });
  await fleet.sendRecords(await writtenBy(fleet, oldPayments, sixOld));
  await fleet.until(
    "all are there",
    () => fleet.kafka.records("rows-paid_rows-sink", committed).length === 6,
  );
  await fleet.during(old.worker.stop());
  await fleet.join({ plans: [next.plan()] });
  await fleet.drained();
  assert.deepEqual(fleet.letters(), []);
  const found = [...fleet.tables.rows(rows as never)] as { id: string; account: string }[];
  assert.deepEqual(
    found.map(({ id, account }) => [id, account]).sort(),
    sixOld.map(({ id, accountId }) => [id, accountId]),
  );
});

const things = <V>(name: string, value: Schema<V>): Topic<string, V> =>
  topic(name, { key: string, value, partitions: 1, owner: "tests" });

test("whatever the format, and through two topics, a value comes out as it was decoded first", async () => {
  const texts = things("texts", string);
  const plain = things("plain", json());
  const raw = things("raw", bytes);
  const out = things("out", json());
  const flow = pipeline("formats", ({ from }) => {
    from(texts)
      .merge("two", from(plain))
      .merge("three", from(raw))
      .rekey("first", () => "one")
      .filter("all", () => true)
      .rekey("second", () => "two")
      .map("told", (value) => (value instanceof Uint8Array ? [...value] : value))
      .to(out);
  });
  const values = ["{}", "\u0000\u0001", { $d: "1.5", n: null }, null, [1, "$"]];
  const { records, deadLetters } = await simulate(flow, [
    send(texts, "k", values[0] as string),
    send(texts, "k", values[1] as string),
    ...values
      .slice(2)
      .map((value) =>
        sendBytes(plain as never, Buffer.from("k"), Buffer.from(JSON.stringify(value))),
      ),
    send(raw, "k", Uint8Array.of(0, 1, 2)),
    send(raw, "k", Uint8Array.of()),
  ]);
  assert.deepEqual(deadLetters, []);
  const came = records(out).map(({ value }) => JSON.stringify(value));
  assert.deepEqual(came.sort(), [...values, [0, 1, 2], []].map((v) => JSON.stringify(v)).sort());
});

test("two topics with other Avro schemas are told apart", async () => {
  const a = things("a", avro(oldSchema));
  const b = things("b", avro({ ...newSchema, name: "Other" }));
  const out = things("out", json());
  const flow = pipeline("two", ({ from }) => {
    from(a)
      .merge("both", from(b) as never)
      .rekey("one", () => "k")
      .map("told", (value) => value)
      .to(out);
  });
  const { records } = await simulate(flow, [
    send(a, "k", { id: "1", accountId: "x", cents: 1 }),
    send(b, "k", { id: "2", account: "y", cents: 2 }),
  ]);
  assert.deepEqual(
    records(out).map(({ value }) => value),
    [
      { id: "1", accountId: "x", cents: 1 },
      { id: "2", account: "y", cents: 2 },
    ],
  );
});

test("what release 0.1.0 has left in a repartition topic is read", async () => {
  const fleet = new Fleet([oldSums]);
  const record = (text: string) => ({
    topic: "sums-by-account-repartition",
    partition: 0,
    key: Buffer.from("a"),
    value: Buffer.from(text),
    headers: [],
    timestamp: fleet.clock.now(),
  });
  await writtenBy(fleet, oldPayments, []);
  await fleet.sendRecords([
    record('{"id":"p1","accountId":"a","cents":5}'),
    record('{"id":"p2","accountId":"a","cents":7}'),
  ]);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(sumsOf(fleet), { a: 12 });
});

test("a repartition topic takes what its source takes", async () => {
  const config = { "max.message.bytes": String(6_000_000) };
  const large = topic("large", {
    key: string,
    value: string,
    partitions: 1,
    owner: "tests",
    config,
  });
  const out = topic("out", { key: string, value: string, partitions: 1, owner: "tests", config });
  const flow = pipeline("large-flow", ({ from }) => {
    from(large)
      .rekey("by-long", () => "k".repeat(10_000))
      .distinct("once", { by: () => 1, within: minutes(1) })
      .to(out);
  });
  const text = "x".repeat(5_000_000);
  const { records, deadLetters } = await simulate(flow, [send(large, "k", text)]);
  assert.deepEqual(deadLetters, []);
  assert.equal(records(out)[0]?.value?.length, text.length);
  const [internal] = flow.plan().topics.internal.filter((one) => one.internal === "repartition");
  assert.ok(Number(internal?.config["max.message.bytes"]) > 6_000_000);
});

const declaredFlow = <V extends { readonly cents: number }>(
  source: Topic<string, V>,
  value: Schema<{ id: string } & Record<string, unknown>>,
  keyOf: (value: never) => string,
) =>
  pipeline("declared", ({ from }) => {
    from(source)
      .map("same", (p) => ({ ...p, cents: p.cents * 2 }) as never)
      .groupBy("by-account", keyOf, { value: value as never })
      .sum("paid", (p: { cents: number }) => p.cents)
      .to(paid);
  });

test("values of a declared schema are Avro, which evolves: what the code had made before is read by the new schema", async () => {
  const old = declaredFlow(oldPayments, avro(oldSchema), (p: OldPayment) => p.accountId);
  const next = declaredFlow(payments, avro(newSchema), (p: Payment) => p.account);
  const fleet = new Fleet([old]);
  const internal = "declared-by-account-repartition";
  const register = (schema: object): Promise<number> =>
    fleet.registry.register(subjectOf(internal, "value"), JSON.stringify(schema));
  const id = await register(oldSchema);
  const first = await fleet.join({ plans: [only(old.plan(), "main")] });
  await fleet.sendRecords(await writtenBy(fleet, oldPayments, sixOld));
  await fleet.until("all are there", () => fleet.kafka.records(internal, committed).length === 6);
  await fleet.during(first.worker.stop());
  for (const { value } of fleet.kafka.records(internal, committed))
    assert.deepEqual([value?.[0], value?.readInt32BE(1)], [0, id]);
  await register(newSchema);
  await writtenBy(fleet, payments, []);
  await fleet.join({ plans: [next.plan()] });
  await fleet.drained();
  assert.deepEqual(sumsOf(fleet), { a: 612, b: 618 });
  assert.deepEqual(fleet.letters(), []);
});

test("a declared schema is registered with its topic, and an incompatible one is refused", async () => {
  const plan = declaredFlow(payments, avro(newSchema), (p: Payment) => p.account).plan();
  const desired = desiredTopics([plan]);
  const own = desired.find(({ spec }) => spec.topic === "declared-by-account-repartition");
  assert.equal(own?.valueSchema?.subject, "declared-by-account-repartition-value");
  const registry = new MemoryRegistry();
  await registry.register(
    "declared-by-account-repartition-value",
    JSON.stringify({ ...newSchema, fields: [{ name: "id", type: "string" }] }),
  );
  const admin = new Fleet([]).kafka.port().admin();
  const plans = await planTopics([own ?? assert.fail()], admin, registry);
  assert.deepEqual(
    plans.flatMap(({ problems }) => problems.map(({ code }) => code)),
    ["MILL_SCHEMA_INCOMPATIBLE"],
  );
});
