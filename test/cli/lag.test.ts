import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, string, topic, tumbling } from "#engine";
import { lagVerb } from "../../src/cli/lag.ts";
import { lagsOf } from "../../src/data/lag.ts";
import { openGate, shutGate } from "../../src/engine/operate/gate/gate.ts";
import type { StoredTime } from "../../src/engine/core/event-time.ts";
import type { KafkaPort } from "../../src/engine/core/kafka.ts";
import { emptyLedger } from "../../src/engine/core/ledger.ts";
import { encodeMetadata } from "../../src/engine/core/task-inputs.ts";
import { command, MemoryServers } from "../support/command.ts";

const options = { key: string, value: json<unknown>(), partitions: 2, owner: "tests" };
const [source, target] = [topic("in", options), topic("out", options)];
const copy = pipeline("copy", ({ from }) => from(source).to(target));
const plans = () => [copy.plan()];

const NOW = 1_000_000;
const lags = (kafka: KafkaPort) => lagsOf(plans(), { kafka, clock: { now: () => NOW } });
const record = (partition: number, timestamp: number) => ({
  topic: "in",
  partition,
  key: Buffer.from("k"),
  value: Buffer.from("{}"),
  headers: [],
  timestamp,
});

async function commit(kafka: KafkaPort, nextOffset: bigint): Promise<void> {
  const consumer = kafka.consumer({
    group: "copy.main",
    topics: ["in"],
    identity: "t",
    maxBytes: 1_000,
    sessionTimeoutMs: 10_000,
    heartbeatIntervalMs: 1_000,
    rebalanceTimeoutMs: 10_000,
  });
  const done = new Promise<void>((resolve, reject) => {
    void consumer.start({
      onAssigned: async ({ generation }) => {
        await consumer
          .commit([{ topic: "in", partition: 0, nextOffset, metadata: "" }], generation)
          .then(resolve, reject);
      },
      onRevoked: () => Promise.resolve(),
      onBatch: () => undefined,
      onOutOfRange: () => undefined,
      onUnreadable: () => undefined,
      onRefused: () => undefined,
      onFatal: reject,
    });
  });
  await done;
  await consumer.stop();
}

test("without progress everything that is kept is behind, and as old as its first record", async () => {
  const kafka = new MemoryServers(plans()).kafka.port();
  await kafka
    .producer()
    .send([record(0, NOW - 9_000), record(0, NOW - 5_000), record(1, NOW - 2_000)]);
  const facts = (await lags(kafka)).map(({ part, partition, nextOffset, records, seconds }) => ({
    part,
    partition,
    nextOffset,
    records,
    seconds,
  }));
  assert.deepEqual(facts, [
    { part: "main", partition: 0, nextOffset: null, records: 2, seconds: 9 },
    { part: "main", partition: 1, nextOffset: null, records: 1, seconds: 2 },
  ]);
  await kafka.close();
});

test("lag counts from committed progress, and its age is that of the record that waits", async () => {
  const kafka = new MemoryServers(plans()).kafka.port();
  await kafka.producer().send([record(0, NOW - 9_000), record(0, NOW - 5_000)]);
  await commit(kafka, 1n);
  const [first] = await lags(kafka);
  assert.equal(first?.nextOffset, 1n);
  assert.equal(first.records, 1);
  assert.equal(first.seconds, 5);
  await kafka.close();
});

test("caught up is 0 records and 0 seconds", async () => {
  const kafka = new MemoryServers(plans()).kafka.port();
  await kafka.producer().send([record(0, NOW - 9_000)]);
  await commit(kafka, 1n);
  const [first, second] = await lags(kafka);
  assert.deepEqual([first?.records, first?.seconds], [0, 0]);
  assert.deepEqual([second?.records, second?.seconds], [0, 0]);
  await kafka.close();
});

test("an aborted transaction behind the progress is no lag; an open one cannot be read yet", async () => {
  const kafka = new MemoryServers(plans()).kafka.port();
  const producer = kafka.txProducer({ transactionalId: "t", timeoutMs: 60_000 });
  await producer.init();
  producer.begin();
  await producer.send([record(0, NOW - 9_000)]);
  const [open] = await lags(kafka);
  assert.deepEqual([open?.records, open?.seconds], [0, 0]);
  await producer.abort();
  const [aborted] = await lags(kafka);
  assert.deepEqual([aborted?.records, aborted?.seconds], [0, 0]);
  producer.begin();
  await producer.send([record(0, NOW - 4_000)]);
  await producer.commit();
  // The marker has the time of the commit.
  const clock = { now: () => Date.now() + 4_000 };
  const [committed] = await lagsOf(plans(), { kafka, clock });
  assert.equal(Math.round(committed?.seconds ?? 0), 4);
  assert.equal(committed?.atLeast, false);
  await kafka.close();
});

test("the verb prints a line a partition and a total, or one JSON object each", async () => {
  const servers = new MemoryServers(plans());
  const kafka = servers.kafka.port();
  await kafka.producer().send([record(0, Date.now() - 9_000), record(1, Date.now())]);
  const { code, out } = await command(lagVerb(servers.connect, plans), ["lag"]);
  assert.equal(code, 0);
  assert.match(out[0] ?? "", /^GROUP +TOPIC +PARTITION +RECORDS +BEHIND$/);
  assert.match(out[1] ?? "", /^copy\.main +in +0 +1 +9(\.\d)? s$/);
  assert.match(out[3] ?? "", /^2 records behind, 9(\.\d)? s$/);
  const data = await command(lagVerb(servers.connect, plans), ["lag", "--json"]);
  const { seconds, ...rest } = JSON.parse(data.out[0] ?? "") as { seconds: number };
  assert.ok(seconds >= 9);
  assert.deepEqual(rest, {
    pipeline: "copy",
    part: "main",
    group: "copy.main",
    topic: "in",
    partition: 0,
    records: 1,
    atLeast: false,
    nextOffset: null,
    endOffset: 1,
  });
  await kafka.close();
});

test("a record with an event time is behind since it was seen, and the command says so", async () => {
  const servers = new MemoryServers(plans());
  const kafka = servers.kafka.port();
  await kafka.producer().send([record(0, Date.now() - 365 * 86_400_000)]);
  const { code, out, err } = await command(lagVerb(servers.connect, plans), ["lag"]);
  assert.equal(code, 0);
  assert.match(out[1] ?? "", /^copy\.main +in +0 +1 +at least 0(\.\d)? s$/);
  assert.match(out[3] ?? "", /^1 records behind, at least 0(\.\d)? s$/);
  assert.match(err.join("\n"), /At least: nothing tells when .*--watch/);
  const data = await command(lagVerb(servers.connect, plans), ["lag", "--json"]);
  assert.equal((JSON.parse(data.out[0] ?? "") as { atLeast: boolean }).atLeast, true);
  assert.deepEqual(data.err, []);
  await kafka.close();
});

test("a pipeline that is named is shown alone; one that is not there is an error", async () => {
  const other = pipeline("other", ({ from }) => from(source).to(topic("other-out", options)));
  const both = () => [copy.plan(), other.plan()];
  const servers = new MemoryServers(both());
  const shown = async (...names: string[]) =>
    command(lagVerb(servers.connect, both), ["lag", ...names]);
  assert.equal((await shown()).out.length, 6);
  const { code, out } = await shown("other");
  assert.deepEqual([code, out.length], [0, 4]);
  assert.match(out[1] ?? "", /^other\.main +in +0 /);
  const missing = await shown("nobody");
  assert.equal(missing.code, 3);
  assert.match(missing.err.join("\n"), /nobody.*copy, other/s);
});

test("letters on their way back are told, and what has shut a pipeline", async () => {
  const servers = new MemoryServers(plans());
  const kafka = servers.kafka.port();
  const plan = copy.plan();
  servers.kafka.createTopic({ topic: plan.redrive, partitions: 2 });
  await kafka.producer().send([{ ...record(1, Date.now()), topic: plan.redrive }]);
  const ports = { kafka, admin: kafka.admin() };
  const facts = { owner: "w1", code: "MILL_PIPELINE_HALTED", message: "too many", atMs: 0 };
  await shutGate(plan, { ...facts, by: "breaker", state: "halted" }, { ports });
  const { out, err } = await command(lagVerb(servers.connect, plans), ["lag"]);
  assert.match(out.at(-2) ?? "", /^copy\.main +copy-redrive +1 +1 /);
  assert.match(err.join("\n"), /^copy is halted since 1970.* npx millrace resume copy$/m);
  await openGate(plan, "w1", { ports });
  const later = await command(lagVerb(servers.connect, plans), ["lag"]);
  assert.doesNotMatch(later.err.join("\n"), /halted/);
  await kafka.close();
});

test("what is loaded first is told, with how far it is", async () => {
  const known = topic("known", options);
  const joined = pipeline("joined", ({ from }) => {
    from(known, { loadFirst: true }).merge("both", from(source)).to(target);
  });
  const loading = () => [joined.plan()];
  const servers = new MemoryServers(loading());
  const kafka = servers.kafka.port();
  await kafka.producer().send([0, 1, 0].map((at) => ({ ...record(at, NOW), topic: "known" })));
  const said = async (progress: readonly [partition: number, next: bigint, loadTo: bigint][]) => {
    await kafka.admin().commitOffsets(
      "joined.main",
      progress.map(([partition, nextOffset, loadTo]) => {
        const metadata = encodeMetadata({ owner: "w", ledger: emptyLedger(), loadTo });
        return { topic: "known", partition, nextOffset, metadata };
      }),
    );
    return (await command(lagVerb(servers.connect, loading), ["lag"])).err.filter((line) =>
      line.startsWith("joined"),
    );
  };
  assert.deepEqual(await said([[0, 1n, 2n]]), [
    "joined.main: known-0 is loaded first, 1 of 2; other sources wait",
  ]);
  assert.deepEqual(await said([[0, 2n, 2n]]), []);
  await kafka.close();
});

test("the partition that keeps windows open is named, with how far it is behind and through which topics", async () => {
  const start = Date.UTC(2026, 0, 1);
  const views = topic("in", { ...options, value: json<{ shop: string }>() });
  const flow = pipeline("shop", ({ from }) => {
    from(views)
      .groupBy("by-shop", ({ shop }) => shop)
      .windowedBy(tumbling({ size: seconds(10), grace: seconds(0) }))
      .count("sold", { emit: "close" })
      .toStream("row", (n) => n)
      .to(target);
  });
  const timed = () => [flow.plan()];
  const servers = new MemoryServers(timed());
  const kafka = servers.kafka.port();
  const between = "shop-by-shop-repartition";
  const commitTimes = (group: string, name: string, times: readonly StoredTime[]) =>
    kafka.admin().commitOffsets(
      group,
      times.map((time, partition) => {
        const metadata = encodeMetadata({ owner: "w", ledger: emptyLedger(), time });
        return { topic: name, partition, nextOffset: 0n, metadata };
      }),
    );
  const lines = async () =>
    (await command(lagVerb(servers.connect, timed), ["lag"])).out.filter((line) =>
      line.startsWith("shop.by-shop sold"),
    );
  const quiet = "read to its end: 30 s behind its last record it follows the wall clock";
  assert.deepEqual(await lines(), [
    `shop.by-shop sold waits for in-0: it has no time yet (through ${between}; ${quiet})`,
  ]);
  await commitTimes("shop.main", "in", [{ time: start + 95_000 }, { time: start + 5_000 }]);
  const heard = { channels: [start + 90_000, start + 5_000] };
  await commitTimes("shop.by-shop", between, [heard, heard]);
  assert.ok((await lines())[0]?.endsWith(`(through ${between}; ${quiet})`));
  // A record that was not read yet: nothing says when its time goes on.
  const producer = kafka.producer();
  const ahead = {
    topic: "in",
    partition: 1,
    key: null,
    value: null,
    headers: [],
    timestamp: start,
  };
  await producer.send([ahead]);
  await producer.close();
  const [line = "", ...more] = await lines();
  assert.deepEqual(more, []);
  assert.match(
    line,
    /^shop\.by-shop sold waits for in-1: its time is 2026-01-01T00:00:05\.000Z, .* behind the wall clock and 85 seconds behind the fastest \(through shop-by-shop-repartition\)$/,
  );
  const { out } = await command(lagVerb(servers.connect, timed), ["lag", "--json"]);
  const last = JSON.parse(out.at(-1) ?? "") as Record<string, unknown>;
  assert.equal(last["behindFastestSeconds"], 85);
  assert.ok(Number(last["behindSeconds"]) > 86_400);
  const { operator, topic: of, partition, through } = last;
  assert.deepEqual(
    { operator, topic: of, partition, through },
    {
      ...{ operator: "sold", topic: "in", partition: 1 },
      through: [between],
    },
  );
  await kafka.close();
});
