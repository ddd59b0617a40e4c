import assert from "node:assert/strict";
import { test } from "node:test";
import type { OutRecord } from "../../../../src/engine/core/record.ts";
import { chunkBytesMax, chunksOf } from "../../../../src/engine/clients/kafkajs/produce/chunks.ts";
import { encodeRecordBatch } from "../../../../src/engine/clients/kafkajs/protocol/records/record-batch-encode.ts";

const record = (partition: number, index: number, valueBytes = 1_000): OutRecord => ({
  topic: "t",
  partition,
  key: Buffer.from(String(index)),
  value: Buffer.alloc(valueBytes),
  headers: [],
  timestamp: index,
});
const origin = { producerId: 1n, epoch: 0, firstSequence: 0, transactionalId: null };

test("each partition keeps its order across chunks", () => {
  const records = Array.from({ length: 5_000 }, (_, i) => record(i % 3, i));
  const queues = chunksOf(records);
  assert.deepEqual([...queues.keys()], ["t-0", "t-1", "t-2"]);
  for (const { partition, chunks } of queues.values())
    assert.deepEqual(
      chunks.flat(),
      records.filter((sent) => sent.partition === partition),
    );
});

test("no chunk is larger than the limit when encoded", () => {
  const records = Array.from({ length: 5_000 }, (_, i) => record(0, i));
  const [queue] = chunksOf(records).values();
  assert.equal(queue?.chunks.length, 6);
  for (const chunk of queue?.chunks ?? [])
    assert.ok(encodeRecordBatch(chunk, origin).length <= chunkBytesMax + 61);
});

test("a record that is larger than a chunk is one of its own", () => {
  const [queue] = chunksOf([record(0, 0), record(0, 1, 2_000_000), record(0, 2)]).values();
  assert.deepEqual(
    queue?.chunks.map((chunk) => chunk.length),
    [1, 1, 1],
  );
});
