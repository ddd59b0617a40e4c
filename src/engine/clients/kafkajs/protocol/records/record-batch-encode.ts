// A record batch, magic 2, written straight into one buffer (byte-identical to kafkajs' encoder where that can say the
// same; it cannot say a null header value, nor the order of repeated header names). Uncompressed.
import { headerNameLength, writeHeaderName } from "../../../../core/header-name.ts";
import type { Headers, OutRecord } from "../../../../core/record.ts";
import type { ProducerIdentity } from "../request.ts";
import { crc32c } from "../codecs/crc32c.ts";

interface BatchOrigin extends ProducerIdentity {
  readonly firstSequence: number;
}

const headBytes = 61;
const lengthAt = 8;
const magicAt = 16;
const crcAt = 17;
const attributesAt = 21;
const transactionalBit = 0x10;
/** Length, attributes, two deltas, two lengths and a header count at their largest. */
const recordOverheadMax = 36;

/** At least as many bytes as the record takes in a batch. */
export function recordBytesMax(record: OutRecord): number {
  let bytes = recordOverheadMax + (record.key?.length ?? 0) + (record.value?.length ?? 0);
  for (const [name, value] of record.headers)
    bytes += 10 + name.length * 3 + (value === null ? 0 : value.length);
  return bytes;
}

export function encodeRecordBatch(records: readonly OutRecord[], origin: BatchOrigin): Buffer {
  let bytesMax = headBytes;
  let firstTimestamp = Infinity;
  let maxTimestamp = -Infinity;
  for (const record of records) {
    bytesMax += recordBytesMax(record);
    if (record.timestamp < firstTimestamp) firstTimestamp = record.timestamp;
    if (record.timestamp > maxTimestamp) maxTimestamp = record.timestamp;
  }
  const buffer = Buffer.allocUnsafe(bytesMax);
  const body = new BodyWriter(buffer, headBytes);
  for (let i = 0; i < records.length; i++) {
    const record = records[i] as OutRecord;
    body.record(record, i, record.timestamp - firstTimestamp);
  }
  const end = body.at;
  writeHead(buffer, end, { ...origin, count: records.length, firstTimestamp, maxTimestamp });
  buffer.writeUInt32BE(crc32c(buffer, attributesAt, end), crcAt);
  return buffer.subarray(0, end);
}

interface Head extends BatchOrigin {
  readonly count: number;
  readonly firstTimestamp: number;
  readonly maxTimestamp: number;
}

function writeHead(buffer: Buffer, end: number, head: Head): void {
  buffer.writeBigInt64BE(0n, 0);
  buffer.writeInt32BE(end - lengthAt - 4, lengthAt);
  buffer.writeInt32BE(0, lengthAt + 4);
  buffer.writeInt8(2, magicAt);
  buffer.writeInt16BE(head.transactionalId === null ? 0 : transactionalBit, attributesAt);
  buffer.writeInt32BE(head.count - 1, 23);
  buffer.writeBigInt64BE(BigInt(head.firstTimestamp), 27);
  buffer.writeBigInt64BE(BigInt(head.maxTimestamp), 35);
  buffer.writeBigInt64BE(head.producerId, 43);
  buffer.writeInt16BE(head.epoch, 51);
  buffer.writeInt32BE(head.firstSequence, 53);
  buffer.writeInt32BE(head.count, 57);
}

/** Bytes of a zigzag varint of a length or delta that is not negative. */
function varintBytes(value: number): number {
  if (value < 0x40) return 1;
  if (value < 0x2000) return 2;
  if (value < 0x100000) return 3;
  if (value < 0x8000000) return 4;
  let bytes = 4;
  for (let rest = Math.floor(value / 0x8000000); rest > 0; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

const fieldBytes = (field: Buffer | null): number =>
  field === null ? 1 : varintBytes(field.length) + field.length;

function headersBytes(headers: Headers): number {
  let bytes = varintBytes(headers.length);
  for (const [name, value] of headers) {
    const nameBytes = headerNameLength(name);
    bytes += varintBytes(nameBytes) + nameBytes + fieldBytes(value);
  }
  return bytes;
}

class BodyWriter {
  readonly #buffer: Buffer;
  at: number;

  constructor(buffer: Buffer, at: number) {
    this.#buffer = buffer;
    this.at = at;
  }

  record(record: OutRecord, offsetDelta: number, timestampDelta: number): void {
    const { key, value, headers } = record;
    this.#varint(
      1 +
        varintBytes(timestampDelta) +
        varintBytes(offsetDelta) +
        fieldBytes(key) +
        fieldBytes(value) +
        (headers.length === 0 ? 1 : headersBytes(headers)),
    );
    this.#buffer[this.at++] = 0;
    this.#varint(timestampDelta);
    this.#varint(offsetDelta);
    this.#field(key);
    this.#field(value);
    this.#varint(headers.length);
    for (const [name, headerValue] of headers) {
      this.#varint(headerNameLength(name));
      this.at += writeHeaderName(name, this.#buffer, this.at);
      this.#field(headerValue);
    }
  }

  #field(field: Buffer | null): void {
    if (field === null) {
      this.#buffer[this.at++] = 1;
      return;
    }
    this.#varint(field.length);
    this.#buffer.set(field, this.at);
    this.at += field.length;
  }

  /** Zigzag of a number that is not negative is twice that number; beyond 31 bits the bit operators would wrap. */
  #varint(value: number): void {
    let rest = value * 2;
    while (rest > 0x7fffffff) {
      this.#buffer[this.at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      this.#buffer[this.at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[this.at++] = rest;
  }
}
