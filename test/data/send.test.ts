import assert from "node:assert/strict";
import { test } from "node:test";
import { string } from "#engine";
import { batches, type BatchLimits } from "../../src/data/rate.ts";
import { sendAll } from "../../src/data/send.ts";
import { type OutRecord, partitionOf } from "../../src/engine/core/record.ts";
import { compileCodec } from "../../src/engine/decode/codec.ts";
import { FakeClock } from "../../src/engine/testing/doubles/fake-clock.ts";

const text = compileCodec(string.format, { schemas: { get: () => undefined }, writerId: null });

async function* records(count: number, bytes = 10): AsyncGenerator<OutRecord> {
  for (let i = 0; i < count; i++)
    yield {
      topic: "t",
      partition: 0,
      key: null,
      value: Buffer.alloc(bytes),
      headers: [],
      timestamp: 0,
    };
}
const limits: BatchLimits = { recordsMax: 5_000, bytesMax: 900_000, perSecond: null };

test("batches are bounded by count and by bytes, and lose nothing", async () => {
  const sizes = async (count: number, bytes: number): Promise<number[]> =>
    (await Array.fromAsync(batches(records(count, bytes), limits, new FakeClock()))).map(
      (batch) => batch.length,
    );
  assert.deepEqual(await sizes(12_000, 10), [5_000, 5_000, 2_000]);
  assert.deepEqual(await sizes(7, 400_000), [2, 2, 2, 1]);
  assert.deepEqual(await sizes(2, 2_000_000), [1, 1]);
  assert.deepEqual(await sizes(0, 1), []);
});

test("a rate is kept in even steps of a tenth of a second", async () => {
  const clock = new FakeClock(0);
  const given: [number, number][] = [];
  const run = (async () => {
    for await (const batch of batches(records(250), { ...limits, perSecond: 100 }, clock))
      given.push([clock.now(), batch.length]);
  })();
  await clock.advance(1_000);
  assert.deepEqual(given.slice(0, 3), [
    [0, 10],
    [100, 10],
    [200, 10],
  ]);
  const sum = (): number => given.reduce((n, [, length]) => n + length, 0);
  assert.equal(sum(), 110);
  await clock.advance(1_400);
  await run;
  assert.equal(sum(), 250);
  assert.equal(given.at(-1)?.[0], 2_400);
});

test("a rate below ten a second is one record at a time", async () => {
  const clock = new FakeClock(0);
  const times: number[] = [];
  const run = (async () => {
    for await (const batch of batches(records(3), { ...limits, perSecond: 2 }, clock))
      times.push(...batch.map(() => clock.now()));
  })();
  await clock.advance(2_000);
  await run;
  assert.deepEqual(times, [0, 500, 1_000]);
});

test("records go to the partition that every Kafka producer would choose, stamped with the time of sending", async () => {
  const clock = new FakeClock(5_000);
  const sent: OutRecord[] = [];
  const producer = {
    send: (batch: readonly OutRecord[]) => Promise.resolve(void sent.push(...batch)),
    close: () => Promise.resolve(),
  };
  const target = { topic: "t", partitions: 4, key: text, value: text, producer };
  const values = [
    { key: "a", value: "1" },
    { key: "b", value: null },
    { key: null, value: "3" },
    { key: "a", value: "4", damage: (bytes: Buffer) => Buffer.concat([bytes, Buffer.of(255)]) },
  ];
  const counted: number[] = [];
  const total = await sendAll(values, target, {
    clock,
    perSecond: null,
    onSent: (n) => counted.push(n),
  });
  assert.equal(total, 4);
  assert.deepEqual(counted, [4]);
  const ofA = partitionOf(Buffer.from("a"), 4, 0);
  assert.deepEqual(
    sent.map(({ partition }) => partition),
    [ofA, partitionOf(Buffer.from("b"), 4, 0), 2, ofA],
  );
  assert.deepEqual(
    sent.map(({ value }) => value?.toString("latin1") ?? null),
    ["1", null, "3", "4\u00ff"],
  );
  assert.ok(sent.every(({ timestamp }) => timestamp === 5_000));
});

test("one batch is in flight at a time, and no more is read than it needs", async () => {
  let taken = 0;
  let release: () => void = () => undefined;
  const producer = {
    send: () => new Promise<void>((resolve) => (release = resolve)),
    close: () => Promise.resolve(),
  };
  function* many(): Iterable<{ key: string; value: string }> {
    for (; taken < 20_000; taken++) yield { key: "k", value: "v" };
  }
  const clock = new FakeClock();
  const target = { topic: "t", partitions: 1, key: text, value: text, producer };
  const all = sendAll(many(), target, { clock, perSecond: null, onSent: () => undefined });
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(taken <= 5_001, `${String(taken)} taken while the first batch waits`);
  const done = all.then(() => true);
  while (!(await Promise.race([done, new Promise((r) => setImmediate(() => r(false)))]))) release();
  assert.equal(await all, 20_000);
});

test("a failed send ends the sending", async () => {
  const producer = {
    send: () => Promise.reject(new Error("away")),
    close: () => Promise.resolve(),
  };
  const target = { topic: "t", partitions: 1, key: text, value: text, producer };
  const options = { clock: new FakeClock(), perSecond: null, onSent: () => undefined };
  await assert.rejects(sendAll([{ key: "k", value: "v" }], target, options), /away/);
});
