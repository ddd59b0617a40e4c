// Record batches as a broker would hand them over: at an offset, of a producer, data or control.
import type { OutRecord } from "../../../../src/engine/core/record.ts";
import { crc32c } from "../../../../src/engine/clients/kafkajs/protocol/codecs/crc32c.ts";
import { encodeRecordBatch } from "../../../../src/engine/clients/kafkajs/protocol/records/record-batch-encode.ts";

export const at = (index: number, key: Buffer | null = null): OutRecord => ({
  topic: "t",
  partition: 0,
  key,
  value: Buffer.from(`value ${String(index)}`),
  headers: [],
  timestamp: 1_700_000_000_000 + index,
});

export interface DataBatch {
  readonly baseOffset: bigint;
  readonly count: number;
  readonly producerId?: bigint;
  readonly key?: Buffer;
  readonly isTransactional?: boolean;
  readonly lastOffsetDelta?: number;
}

export function dataBatch(of: DataBatch): Buffer {
  const records = Array.from({ length: Math.max(of.count, 1) }, (_, i) => at(i, of.key ?? null));
  const batch = encodeRecordBatch(records, {
    producerId: of.producerId ?? 1n,
    epoch: 0,
    firstSequence: 0,
    transactionalId: (of.isTransactional ?? true) ? "t" : null,
  });
  const cut = of.count === 0 ? Buffer.from(batch.subarray(0, 61)) : batch;
  cut.writeBigInt64BE(of.baseOffset, 0);
  cut.writeInt32BE(cut.length - 12, 8);
  cut.writeInt32BE(of.lastOffsetDelta ?? of.count - 1, 23);
  cut.writeInt32BE(of.count, 57);
  return sealed(cut);
}

export function controlBatch(of: {
  readonly offset: bigint;
  readonly producerId: bigint;
  readonly isAbort: boolean;
}): Buffer {
  const key = Buffer.from([0, 0, 0, of.isAbort ? 0 : 1]);
  const batch = encodeRecordBatch([at(0, key)], {
    producerId: of.producerId,
    epoch: 0,
    firstSequence: -1,
    transactionalId: "t",
  });
  batch.writeBigInt64BE(of.offset, 0);
  batch.writeInt16BE(batch.readInt16BE(21) | 0x20, 21);
  return sealed(batch);
}

/** With the checksum that its bytes have. */
export function sealed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch, 21), 17);
  return batch;
}

/** A batch whose records are these compressed bytes. */
export function compressed(
  codec: number,
  body: Buffer,
  of: { readonly baseOffset: bigint; readonly count: number },
): Buffer {
  const head = dataBatch({ ...of, count: 1, isTransactional: false }).subarray(0, 61);
  const batch = Buffer.concat([head, body]);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt16BE(codec, 21);
  batch.writeInt32BE(of.count - 1, 23);
  batch.writeInt32BE(of.count, 57);
  return sealed(batch);
}
