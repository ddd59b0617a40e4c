// Cases: records that a broker refuses for what they are, alone and among others, within a transaction and without.
import assert from "node:assert/strict";
import { RecordsRefusedError } from "../../../src/engine/core/errors.ts";
import type { OutRecord } from "../../../src/engine/core/record.ts";
import type { Cases } from "../kafka-port.ts";
import { aRecord, someRecords, throwsCode, type World } from "./world.ts";

/** Further ahead than any clock is wrong. */
const AHEAD_MS = 10 * 365 * 86_400_000;
const timely = { "message.timestamp.after.max.ms": "3600000" };
const compacted = { "cleanup.policy": "compact" };
const key = Buffer.from("k");

/** Index and reason of each record that was refused. */
async function refusedOf(sending: Promise<unknown>): Promise<(readonly [number, string])[]> {
  const error: unknown = await sending.then(
    () => assert.fail("nothing was refused"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof RecordsRefusedError, String(error));
  return error.refused.map(({ index, code }) => [index, code] as const);
}

const send = (world: World, records: readonly OutRecord[]): Promise<unknown> =>
  world.port().producer().send(records);

export const refusalCases: Cases = {
  "names each record that a compacted topic refuses for want of a key, and writes the others":
    async (world) => {
      const topic = await world.topic(1, compacted);
      const records = [
        aRecord(topic, "a", { key }),
        aRecord(topic, "no"),
        aRecord(topic, "b", { key }),
        aRecord(topic, "never"),
        aRecord(topic, "c", { key }),
      ];
      assert.deepEqual(await refusedOf(send(world, records)), [
        [1, "INVALID_RECORD"],
        [3, "INVALID_RECORD"],
      ]);
      assert.deepEqual(await world.valuesBelow(topic, 3n), ["a", "b", "c"]);
    },

  "names records whose time lies too far ahead or behind": async (world) => {
    const topic = await world.topic(1, {
      ...timely,
      "message.timestamp.before.max.ms": "86400000",
    });
    const records = [
      aRecord(topic, "ahead", { timestamp: Date.now() + AHEAD_MS }),
      aRecord(topic, "now"),
      aRecord(topic, "behind", { timestamp: 1 }),
    ];
    assert.deepEqual(await refusedOf(send(world, records)), [
      [0, "INVALID_TIMESTAMP"],
      [2, "INVALID_TIMESTAMP"],
    ]);
    assert.deepEqual(await world.valuesBelow(topic, 1n), ["now"]);
  },

  "finds a record that is too large, with its headers, among others": async (world) => {
    const topic = await world.topic(1, { "max.message.bytes": "20000" });
    const large = aRecord(topic, "large", { headers: [["h", Buffer.alloc(25_000)]] });
    const records = [...someRecords(topic, ["a", "b", "c"]), large, ...someRecords(topic, ["d"])];
    assert.deepEqual(await refusedOf(send(world, records)), [[3, "MESSAGE_TOO_LARGE"]]);
    assert.deepEqual(await world.valuesBelow(topic, 4n), ["a", "b", "c", "d"]);
  },

  "makes batches smaller where the topic's limit was lowered": async (world) => {
    const topic = await world.topic();
    const producer = world.port().producer();
    await producer.send(someRecords(topic, ["before"]));
    await world.port().admin().alterTopicConfig(topic, { "max.message.bytes": "20000" });
    const texts = Array.from({ length: 40 }, (_, i) => String(i).padEnd(4_000, "."));
    await producer.send(someRecords(topic, texts));
    assert.deepEqual(await world.valuesBelow(topic, 41n), ["before", ...texts]);
    const open = await world.transaction();
    await open.send(someRecords(topic, texts));
    await open.commit();
    assert.deepEqual((await world.valuesBelow(topic, 81n)).slice(41), texts);
  },

  "goes on in order with the same producer after a refusal": async (world) => {
    const topic = await world.topic(1, compacted);
    const producer = world.port().producer();
    for (const value of ["a", "b", "c"]) {
      const records = [aRecord(topic, value, { key }), aRecord(topic, "no")];
      assert.deepEqual(await refusedOf(producer.send(records)), [[1, "INVALID_RECORD"]]);
    }
    await producer.send([aRecord(topic, "d", { key })]);
    assert.deepEqual(await world.valuesBelow(topic, 4n), ["a", "b", "c", "d"]);
  },

  "commits nothing of a transaction in which a record was refused, and names it in every topic":
    async (world) => {
      const [topic, other] = [await world.topic(1, compacted), await world.topic(1, timely)];
      const id = world.name("tx");
      const producer = await world.transaction({ id });
      await producer.send([aRecord(topic, "never", { key })]);
      const records = [
        aRecord(other, "ahead", { timestamp: Date.now() + AHEAD_MS }),
        aRecord(topic, "no"),
        aRecord(other, "never"),
      ];
      assert.deepEqual(await refusedOf(producer.send(records)), [
        [0, "INVALID_TIMESTAMP"],
        [1, "INVALID_RECORD"],
      ]);
      assert.equal(producer.state, "dead");
      await assert.rejects(
        producer.send([aRecord(other, "nor this")]),
        throwsCode("MILL_OUTPUT_REFUSED"),
      );
      await assert.rejects(producer.commit(), throwsCode("MILL_OUTPUT_REFUSED"));
      await world.passTime(1);
      await producer.abort();
      producer.begin();
      await producer.send([aRecord(topic, "after", { key })]);
      await producer.commit();
      const next = await world.transaction({ id });
      await next.send([aRecord(topic, "yes", { key }), aRecord(other, "yes")]);
      await next.commit();
      assert.deepEqual(await world.valuesBelow(topic, 6n), ["after", "yes"]);
      assert.deepEqual(await world.valuesBelow(other, 4n), ["yes"]);
    },
};
