// A broker that is killed and comes back, under a transactional producer and a consumer: nothing is lost or doubled,
// nobody is told of a failure that heals.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { isRetriable } from "../../../src/engine/core/errors.ts";
import type { TxProducer } from "../../../src/engine/core/kafka.ts";
import { startService, stopService, stopStack } from "../../../src/stack/stack.ts";
import { Member } from "../../contract/kafka-port/world.ts";
import { KafkaFixture, record } from "../../support/kafka.ts";
import { privateStack } from "../../support/stack.ts";

test("transactions and a consumer outlive a killed broker", { timeout: 600_000 }, async (t) => {
  const stack = await privateStack(["kafka"]);
  t.after(() => stopStack(stack.dir, () => undefined, { purge: true }));
  const kafka = await KafkaFixture.for(t, stack.kafka.brokers.join(","));
  const topic = await kafka.topic();
  // Nobody commits progress here: a member that had to join anew goes on where its batches ended.
  const member: Member = new Member(kafka.consumer(kafka.port(), kafka.name("group"), [topic]), {
    starts: ({ partitions }) =>
      partitions.map((at) => ({ ...at, nextOffset: member.nextOffset(at.partition) ?? 0n })),
  });
  t.after(() => member.consumer.stop());
  await member.start();
  const id = kafka.name("tx");
  const port = kafka.port();
  const committed: string[] = [];
  const unknown: string[] = [];
  let producer: TxProducer | null = null;
  const restarting = delay(1_000).then(async () => {
    await stopService(stack.dir, "kafka", { signal: "SIGKILL" });
    await delay(1_000);
    await startService(stack.dir, "kafka");
  });
  let hasRestarted = false;
  void restarting.then(() => (hasRestarted = true));
  for (let i = 0; !hasRestarted || i < 60; i++) {
    const value = String(i);
    try {
      producer ??= await kafka.producer(port, id, 60_000);
      producer.begin();
      await producer.send([record(topic, value)]);
    } catch (error) {
      assert.ok(isRetriable(error), String(error));
      producer = null;
      continue;
    }
    await producer.commit().then(
      () => committed.push(value),
      (error: unknown) => {
        assert.ok(isRetriable(error), String(error));
        unknown.push(value);
        producer = null;
      },
    );
    await delay(10);
  }
  await restarting;
  const giveUpAt = Date.now() + 60_000;
  while (!member.values.includes(committed.at(-1) ?? "") && Date.now() < giveUpAt) await delay(50);
  const seen = member.values.map(String);
  assert.equal(new Set(seen).size, seen.length, "nothing twice");
  assert.deepEqual(
    seen.filter((value) => !unknown.includes(value)),
    committed,
  );
  assert.ok(unknown.length <= 1);
  assert.deepEqual(member.fatal, []);
  t.diagnostic(`${String(committed.length)} committed, ${String(unknown.length)} unknown`);
});
