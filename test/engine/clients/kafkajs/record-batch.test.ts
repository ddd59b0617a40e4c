import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import fc from "fast-check";
import { MillraceError } from "../../../../src/engine/core/errors.ts";
import { headerNameOf } from "../../../../src/engine/core/header-name.ts";
import type { OutRecord } from "../../../../src/engine/core/record.ts";
import { crc32c } from "../../../../src/engine/clients/kafkajs/protocol/codecs/crc32c.ts";
import type { AbortedTransaction } from "../../../../src/engine/clients/kafkajs/protocol/records/aborted-filter.ts";
import {
  encodeRecordBatch,
  recordBytesMax,
} from "../../../../src/engine/clients/kafkajs/protocol/records/record-batch-encode.ts";
import { decodeRecordSet } from "../../../support/record-sets.ts";
import { controlBatch, dataBatch, at } from "./batches.ts";

const require = createRequire(import.meta.url);
const kafkajsBatch = require("kafkajs/src/protocol/recordBatch/v0") as {
  RecordBatch(of: object): Promise<{ buffer: Buffer }>;
};
const kafkajsRecord = require("kafkajs/src/protocol/recordBatch/record/v0") as (
  of: object,
) => object;

const origin = { producerId: 7n, epoch: 3, firstSequence: 11, transactionalId: "t" };
const bytes = (max: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength: max }).map((array) => Buffer.from(array));
const nullable = (max: number): fc.Arbitrary<Buffer | null> => fc.option(bytes(max));
const records = fc.array(
  fc.record({
    topic: fc.constant("t"),
    partition: fc.constant(0),
    key: nullable(200),
    value: nullable(9_000),
    timestamp: fc.integer({ min: 1_000_000_000_000, max: 9_999_999_999_999 }),
    headers: fc.array(fc.tuple(fc.string({ maxLength: 20 }), nullable(100)), { maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 30 },
);

const set = (recordSet: Buffer, fetchedOffset = 0n, aborted: AbortedTransaction[] = []) => ({
  topic: "t",
  partition: 0,
  fetchedOffset,
  recordSet,
  aborted,
});

test("a header name that is not UTF-8 keeps its bytes, empty and repeated names and null values too", () => {
  const odd = Buffer.from([0x61, 0xff, 0xc3, 0x28, 0x80]);
  const headers: [string, Buffer | null][] = [
    [headerNameOf(odd, 0, odd.length), Buffer.from("x")],
    ["", null],
    ["größe", Buffer.alloc(0)],
    ["", Buffer.from("y")],
    [headerNameOf(odd, 0, odd.length), null],
  ];
  const sent = [{ topic: "t", partition: 0, key: null, value: null, headers, timestamp: 1 }];
  const batch = encodeRecordBatch(sent, origin);
  const found = [batch.indexOf(odd), batch.lastIndexOf(odd)];
  assert.ok(found[0] !== undefined && found[0] > 0 && found[0] !== found[1], "byte for byte");
  assert.deepEqual(decodeRecordSet(set(batch)).records[0]?.headers, headers);
});

test("records come back as they went in: nulls, repeated header names and their order", () => {
  fc.assert(
    fc.property(records, (sent) => {
      const { records: read, nextOffset } = decodeRecordSet(set(encodeRecordBatch(sent, origin)));
      assert.equal(nextOffset, BigInt(sent.length));
      assert.deepEqual(
        read,
        sent.map((record, i) => ({ ...record, offset: BigInt(i) })),
      );
    }),
    { numRuns: 200 },
  );
});

test("the size of a record is never underestimated", () => {
  fc.assert(
    fc.property(records, (sent) => {
      const total = sent.reduce((sum, record) => sum + recordBytesMax(record), 61);
      assert.ok(encodeRecordBatch(sent, origin).length <= total);
    }),
  );
});

test("a batch is byte-identical to kafkajs' own, where that can say the same", async () => {
  const expressible = records.map((sent) =>
    sent.map((record) => ({
      ...record,
      headers: Object.entries(
        // kafkajs takes headers as an object, in its order of keys.
        Object.fromEntries(record.headers.map(([name, value]) => [`h${name}`, value])),
      ).flatMap(([name, value]) => (value === null ? [] : [[name, value] as const])),
    })),
  );
  await fc.assert(
    fc.asyncProperty(expressible, async (sent) => {
      assert.deepEqual(encodeRecordBatch(sent, origin), await byKafkajs(sent));
    }),
    { numRuns: 200 },
  );
});

async function byKafkajs(sent: readonly OutRecord[]): Promise<Buffer> {
  const timestamps = sent.map((record) => record.timestamp);
  const firstTimestamp = Math.min(...timestamps);
  const batch = await kafkajsBatch.RecordBatch({
    firstTimestamp,
    maxTimestamp: Math.max(...timestamps),
    producerId: "7",
    producerEpoch: 3,
    firstSequence: 11,
    transactional: true,
    lastOffsetDelta: sent.length - 1,
    records: sent.map(({ key, value, headers, timestamp }, offsetDelta) =>
      kafkajsRecord({
        key,
        value,
        headers: Object.fromEntries(headers),
        offsetDelta,
        timestampDelta: timestamp - firstTimestamp,
      }),
    ),
  });
  return batch.buffer;
}

test("the checksum is CRC-32C", () => {
  // RFC 3720, appendix B.4.
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  assert.equal(crc32c(Buffer.from("123456789")), 0xe3069283);
});

test("a batch with a flipped bit is refused", () => {
  const batch = encodeRecordBatch([at(0)], origin);
  batch[70] = (batch[70] as number) ^ 1;
  assert.throws(
    () => decodeRecordSet(set(batch)),
    (error: unknown) => error instanceof MillraceError && error.code === "MILL_KAFKA_UNAVAILABLE",
  );
});

test("a batch that the byte limit has cut is left for the next fetch", () => {
  const first = dataBatch({ baseOffset: 0n, count: 3 });
  const second = dataBatch({ baseOffset: 3n, count: 3 });
  const cut = Buffer.concat([first, second.subarray(0, second.length - 1)]);
  const { records: read, nextOffset } = decodeRecordSet(set(cut));
  assert.deepEqual([read.length, nextOffset], [3, 3n]);
});

test("records before the offset that was asked for are left out", () => {
  const { records: read, nextOffset } = decodeRecordSet(
    set(dataBatch({ baseOffset: 10n, count: 5 }), 12n),
  );
  assert.deepEqual(
    read.map((record) => record.offset),
    [12n, 13n, 14n],
  );
  assert.equal(nextOffset, 15n);
});

const rangeOf = (of: Parameters<typeof decodeRecordSet>[0]) => {
  const { records: read, nextOffset } = decodeRecordSet(of);
  return { records: read, nextOffset };
};

test("each batch is marked with whose time it has; those of a transaction by its marker alone", () => {
  const sets = Buffer.concat([
    dataBatch({ baseOffset: 0n, count: 2, producerId: 1n }),
    dataBatch({ baseOffset: 2n, count: 3, isTransactional: false }),
    controlBatch({ offset: 5n, producerId: 1n, isAbort: true }),
  ]);
  const { marks } = decodeRecordSet(set(sets, 0n, [{ producerId: 1n, firstOffset: 0n }]));
  assert.deepEqual(
    marks.map(({ nextOffset, by }) => [nextOffset, by]),
    [
      [5n, "producer"],
      [6n, "broker"],
    ],
  );
});

test("a compacted batch without records still moves the next offset", () => {
  const empty = dataBatch({ baseOffset: 40n, count: 0, lastOffsetDelta: 9 });
  assert.deepEqual(rangeOf(set(empty, 40n)), { records: [], nextOffset: 50n });
});

test("two aborted transactions of two producers that overlap are both left out", () => {
  const sets = Buffer.concat([
    dataBatch({ baseOffset: 0n, count: 2, producerId: 1n }),
    dataBatch({ baseOffset: 2n, count: 2, producerId: 2n }),
    dataBatch({ baseOffset: 4n, count: 2, producerId: 1n }),
    controlBatch({ offset: 6n, producerId: 1n, isAbort: true }),
    dataBatch({ baseOffset: 7n, count: 2, producerId: 2n }),
    controlBatch({ offset: 9n, producerId: 2n, isAbort: true }),
    dataBatch({ baseOffset: 10n, count: 1, producerId: 1n }),
    controlBatch({ offset: 11n, producerId: 1n, isAbort: false }),
  ]);
  const aborted = [
    { producerId: 2n, firstOffset: 2n },
    { producerId: 1n, firstOffset: 0n },
  ];
  const { records: read, nextOffset } = decodeRecordSet(set(sets, 0n, aborted));
  assert.deepEqual(
    read.map((record) => record.offset),
    [10n],
  );
  assert.equal(nextOffset, 12n);
});

test("two aborted transactions of one producer, one after the other, are both left out", () => {
  const sets = Buffer.concat([
    dataBatch({ baseOffset: 0n, count: 3, producerId: 1n }),
    controlBatch({ offset: 3n, producerId: 1n, isAbort: true }),
    dataBatch({ baseOffset: 4n, count: 3, producerId: 1n }),
    controlBatch({ offset: 7n, producerId: 1n, isAbort: true }),
  ]);
  const aborted = [
    { producerId: 1n, firstOffset: 0n },
    { producerId: 1n, firstOffset: 4n },
  ];
  assert.deepEqual(rangeOf(set(sets, 0n, aborted)), { records: [], nextOffset: 8n });
});

test("a record whose key looks like an abort marker does not end an aborted transaction", () => {
  const sets = Buffer.concat([
    dataBatch({ baseOffset: 0n, count: 2, producerId: 1n, key: Buffer.from([0, 0, 0, 0]) }),
    dataBatch({ baseOffset: 2n, count: 2, producerId: 1n }),
    controlBatch({ offset: 4n, producerId: 1n, isAbort: true }),
  ]);
  const aborted = [{ producerId: 1n, firstOffset: 0n }];
  assert.deepEqual(rangeOf(set(sets, 0n, aborted)), { records: [], nextOffset: 5n });
});

test("an aborted transaction whose marker lies beyond the fetch is left out", () => {
  const sets = dataBatch({ baseOffset: 0n, count: 40, producerId: 1n });
  const aborted = [{ producerId: 1n, firstOffset: 0n }];
  assert.deepEqual(rangeOf(set(sets, 0n, aborted)), { records: [], nextOffset: 40n });
});

test("records outside transactions of a producer that aborts are kept", () => {
  const sets = dataBatch({ baseOffset: 0n, count: 2, producerId: 1n, isTransactional: false });
  const aborted = [{ producerId: 1n, firstOffset: 0n }];
  assert.equal(decodeRecordSet(set(sets, 0n, aborted)).records.length, 2);
});

test("200,000 records of one fetch are read", () => {
  const one = dataBatch({ baseOffset: 0n, count: 200_000 });
  assert.equal(decodeRecordSet(set(one)).records.length, 200_000);
});

test("headers that are absent share one frozen list", () => {
  const { records: read } = decodeRecordSet(set(dataBatch({ baseOffset: 0n, count: 2 })));
  assert.equal(read[0]?.headers, read[1]?.headers);
  assert.ok(Object.isFrozen(read[0]?.headers));
});
