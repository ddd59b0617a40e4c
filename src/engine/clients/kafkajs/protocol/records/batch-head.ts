// The head of a record batch, magic 2 (protocol guide, "Record Batch"): read and verified before anything behind it.
import { BatchError, DependencyError } from "../../../../core/errors.ts";
import type { AppendMark } from "../../../../core/kafka.ts";
import { addressOf, type TopicPartition } from "../../../../core/record.ts";
import { crc32c } from "../codecs/crc32c.ts";

export const headBytes = 61;
/** Offset and length, which stand before what the length counts. */
const frameBytes = 12;
const transactionalBit = 0x10;
const controlBit = 0x20;
const logAppendBit = 0x08;
const codecMask = 0x07;
const magic = 2;

export interface BatchHead {
  readonly at: TopicPartition;
  readonly baseOffset: bigint;
  readonly lastOffset: bigint;
  readonly codec: number;
  readonly isControl: boolean;
  readonly isTransactional: boolean;
  readonly hasAppendTime: boolean;
  readonly firstTimestamp: number;
  readonly maxTimestamp: number;
  readonly producerId: bigint;
  readonly count: number;
  readonly body: Buffer;
  /** The place of the next batch. */
  readonly end: number;
}

/** Null where the byte limit of the fetch has cut the batch: it is left for the next one. */
export function readHead(buffer: Buffer, start: number, at: TopicPartition): BatchHead | null {
  if (start + headBytes > buffer.length) return null;
  const baseOffset = buffer.readBigInt64BE(start);
  const length = buffer.readInt32BE(start + 8);
  const end = start + frameBytes + length;
  if (end > buffer.length) return null;
  refuseFormat(buffer.readInt8(start + 16), baseOffset, at);
  const isWhole = end >= start + headBytes;
  if (!isWhole || crc32c(buffer, start + 21, end) !== buffer.readUInt32BE(start + 17))
    throw new DependencyError(
      "MILL_KAFKA_UNAVAILABLE",
      `a record batch of ${addressOf(at)} at ${String(baseOffset)} fails its checksum`,
      { where: { ...at, offset: baseOffset } },
    );
  const attributes = buffer.readInt16BE(start + 21);
  return {
    at,
    baseOffset,
    lastOffset: baseOffset + BigInt(buffer.readInt32BE(start + 23)),
    codec: attributes & codecMask,
    isControl: (attributes & controlBit) !== 0,
    isTransactional: (attributes & transactionalBit) !== 0,
    hasAppendTime: (attributes & logAppendBit) !== 0,
    firstTimestamp: Number(buffer.readBigInt64BE(start + 27)),
    maxTimestamp: Number(buffer.readBigInt64BE(start + 35)),
    producerId: buffer.readBigInt64BE(start + 43),
    count: buffer.readInt32BE(start + 57),
    body: buffer.subarray(start + headBytes, end),
    end,
  };
}

/** A message set before magic 2 has the offset of its last record in front. */
function refuseFormat(found: number, offset: bigint, at: TopicPartition): void {
  if (found === magic) return;
  const how = `it is in message format ${String(found)}, and only ${String(magic)} is read`;
  throw unreadable("MILL_BATCH_FORMAT", { at, baseOffset: offset, lastOffset: offset }, how);
}

type BatchPlace = Pick<BatchHead, "at" | "baseOffset" | "lastOffset">;

/** The error for a batch that cannot be read, however often it is asked for. */
export function unreadable(
  code: BatchError["code"],
  { at, baseOffset, lastOffset }: BatchPlace,
  how: string,
  cause?: unknown,
): BatchError {
  const { topic, partition } = at;
  // Offsets only grow: a head that says otherwise is not to lead back.
  const last = lastOffset < baseOffset ? baseOffset : lastOffset;
  const offsets = `offsets ${String(baseOffset)} to ${String(last)}`;
  const where = { topic, partition, offset: baseOffset };
  return new BatchError(code, `${addressOf(at)}, ${offsets}: ${how}`, last + 1n, { where, cause });
}

/** The clock that has stamped the batch; null: a transaction's records may carry event time, and its marker says when. */
export function clockOf(head: BatchHead): AppendMark["by"] | null {
  if (head.hasAppendTime || head.isControl) return "broker";
  return head.isTransactional ? null : "producer";
}
