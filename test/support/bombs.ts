// Compressed bytes that become very many: encoders of our own, since Node has none for snappy and lz4.
import { createRequire } from "node:module";
import { pipeline } from "node:stream/promises";
import { createGzip, createZstdCompress } from "node:zlib";
import type { TopicPartition } from "../../src/engine/core/record.ts";

const LZ4_BLOCK_BYTES = 4_194_304;
/** The end of a body that is too short for a match. */
const SHORT_BYTES = 64;

/** A frame without checksums whose blocks are at most 4 MB. */
function lz4Frame(blocks: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73])];
  for (const block of blocks) {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(block.length);
    parts.push(head, block);
  }
  parts.push(Buffer.alloc(4));
  return Buffer.concat(parts);
}

/** A length of 15 or more goes on in bytes of 255. */
function extended(length: number): Buffer {
  const rest = length - 15;
  if (rest < 0) return Buffer.alloc(0);
  return Buffer.concat([Buffer.alloc(Math.floor(rest / 255), 255), Buffer.of(rest % 255)]);
}

const literal = (raw: Buffer): Buffer =>
  Buffer.concat([Buffer.of(Math.min(raw.length, 15) << 4), extended(raw.length), raw]);

export function lz4Literals(raw: Buffer): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at < raw.length; at += LZ4_BLOCK_BYTES)
    blocks.push(literal(raw.subarray(at, at + LZ4_BLOCK_BYTES)));
  return lz4Frame(blocks);
}

/** Zeros: a block for each `blockBytes`, of one match. */
export function lz4Bomb(bytes: number, blockBytes = LZ4_BLOCK_BYTES): Buffer {
  const match = blockBytes - 1 - 5;
  const block = Buffer.concat([
    Buffer.of((1 << 4) | 15, 0, 1, 0),
    extended(match - 4),
    literal(Buffer.alloc(5)),
  ]);
  return lz4Frame(Array.from({ length: Math.ceil(bytes / blockBytes) }, () => block));
}

/** Bytes whose header says another size than they become. */
export async function lieOf(codec: BombCodec, zeros: number, said: number): Promise<Buffer> {
  const body = codec === "snappy" ? snappyBomb(zeros) : await bombOf(codec, zeros);
  if (codec === "gzip") body.writeUInt32LE(said, body.length - 4);
  if (codec === "snappy")
    return Buffer.concat([varint(said), body.subarray(varint(snappySize(zeros)).length)]);
  // The size of the contents is 8 bytes behind the flags, one of which says that it is there.
  if (codec === "lz4") {
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(said));
    return Buffer.concat([body.subarray(0, 4), Buffer.of(0x68, 0x70), size, body.subarray(6)]);
  }
  if (codec === "zstd") return zstdLie(body, said);
  return body;
}

/** A stream's frame has no size; another header gets one, with the same window. */
function zstdLie(body: Buffer, said: number): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(said);
  const flags = ((body[4] as number) & 0x3f) | 0x80;
  return Buffer.concat([
    body.subarray(0, 4),
    Buffer.of(flags),
    body.subarray(5, 6),
    size,
    body.subarray(6),
  ]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}

export function snappyLiterals(raw: Buffer): Buffer {
  const parts: Buffer[] = [varint(raw.length)];
  for (let at = 0; at < raw.length; at += 65_536) {
    const piece = raw.subarray(at, at + 65_536);
    const head = Buffer.alloc(3);
    head[0] = 61 << 2;
    head.writeUInt16LE(piece.length - 1, 1);
    parts.push(head, piece);
  }
  return Buffer.concat(parts);
}

const snappySize = (bytes: number): number => 1 + Math.ceil((bytes - 1) / 64) * 64;

/** Zeros: one literal, then copies of 64 bytes. */
export function snappyBomb(bytes: number): Buffer {
  const copies = Math.ceil((bytes - 1) / 64);
  const body = Buffer.alloc(2 + copies * 3);
  for (let i = 0; i < copies; i++) {
    body[2 + i * 3] = (63 << 2) | 2;
    body[3 + i * 3] = 1;
  }
  return Buffer.concat([varint(snappySize(bytes)), body]);
}

/** The frames in which Java producers put blocks. */
export function xerial(blocks: readonly Buffer[]): Buffer {
  const magic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
  const parts: Buffer[] = [magic];
  for (const block of blocks) {
    const head = Buffer.alloc(4);
    head.writeInt32BE(block.length);
    parts.push(head, block);
  }
  return Buffer.concat(parts);
}

const ZEROS = Buffer.alloc(1_048_576);

/** The beginning of a record whose value has so many zeros; zeros alone follow, up to `size`. */
function bombRecord(
  zeros: number,
  key: string | null,
): { readonly begin: Buffer; readonly size: number } {
  const keyBytes =
    key === null ? Buffer.of(1) : Buffer.concat([varint(key.length * 2), Buffer.from(key)]);
  // Attributes and two deltas, the key, the value's length; then the value, and no headers.
  const inner = Buffer.concat([Buffer.of(0, 0, 0), keyBytes, varint(zeros * 2)]);
  const begin = Buffer.concat([varint((inner.length + zeros + 1) * 2), inner]);
  return { begin, size: begin.length + zeros + 1 };
}

export type BombCodec = "gzip" | "snappy" | "lz4" | "zstd";

/** The compressed records of a batch: a single one, of very many zeros. */
export async function bombOf(
  codec: BombCodec,
  zeros: number,
  key: string | null = null,
): Promise<Buffer> {
  const { begin, size } = bombRecord(zeros, key);
  if (codec === "lz4") return lz4Record(begin, size);
  if (codec === "snappy") return snappyRecord(begin, size);
  const pack = codec === "gzip" ? createGzip({ level: 9 }) : createZstdCompress();
  const chunks: Buffer[] = [];
  await pipeline(
    function* () {
      yield begin;
      for (let left = size - begin.length; left > 0; left -= ZEROS.length)
        yield ZEROS.subarray(0, Math.min(left, ZEROS.length));
    },
    pack,
    async (packed: AsyncIterable<Buffer>) => {
      for await (const chunk of packed) chunks.push(chunk);
    },
  );
  return Buffer.concat(chunks);
}

function lz4Record(begin: Buffer, size: number): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at < size; at += LZ4_BLOCK_BYTES) {
    const first = Buffer.concat([at === 0 ? begin : Buffer.alloc(0), Buffer.of(0)]);
    if (size - at < SHORT_BYTES) {
      blocks.push(literal(Buffer.alloc(size - at)));
      break;
    }
    const match = Math.min(LZ4_BLOCK_BYTES, size - at) - first.length - 5;
    const token = Buffer.of((Math.min(first.length, 15) << 4) | 15);
    const behind = Buffer.concat([Buffer.of(1, 0), extended(match - 4), literal(Buffer.alloc(5))]);
    blocks.push(Buffer.concat([token, extended(first.length), first, behind]));
  }
  return lz4Frame(blocks);
}

function snappyRecord(begin: Buffer, size: number): Buffer {
  const frames: Buffer[] = [];
  const copies = 65_535;
  for (let at = 0; at < size;) {
    const first = Buffer.concat([at === 0 ? begin : Buffer.alloc(0), Buffer.of(0)]);
    const whole = Math.min(copies, Math.floor((size - at - first.length) / 64));
    const body = Buffer.alloc(whole * 3);
    for (let i = 0; i < whole; i++) body.set([(63 << 2) | 2, 1, 0], i * 3);
    const isLast = whole < copies;
    const rest = isLast ? size - at - first.length - whole * 64 : 0;
    const tail = rest === 0 ? Buffer.alloc(0) : Buffer.concat([shortLiteral(Buffer.alloc(rest))]);
    const bytes = first.length + whole * 64 + rest;
    frames.push(Buffer.concat([varint(bytes), shortLiteral(first), body, tail]));
    at += bytes;
  }
  return xerial(frames);
}

/** Of at most 60 bytes, or 64 in one more. */
const shortLiteral = (raw: Buffer): Buffer =>
  raw.length <= 60
    ? Buffer.concat([Buffer.of((raw.length - 1) << 2), raw])
    : Buffer.concat([Buffer.of(60 << 2, raw.length - 1), raw]);

interface Driver {
  readonly Kafka: new (options: object) => { producer(options: object): DriverProducer };
  readonly logLevel: { readonly NOTHING: number };
  readonly CompressionCodecs: Record<number, () => { compress(): Promise<Buffer> }>;
}
interface DriverProducer {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  send(of: object): Promise<{ baseOffset: string }[]>;
}

export const codecNumbers: Readonly<Record<BombCodec, number>> = {
  ...{ gzip: 1, snappy: 2, lz4: 3, zstd: 4 },
};

/** Sends a batch of one record whose compressed bytes are given; returns its offset. */
export async function sendCompressed(
  brokers: string,
  at: TopicPartition,
  codec: BombCodec,
  body: Buffer,
): Promise<bigint> {
  const { Kafka, logLevel, CompressionCodecs } = createRequire(import.meta.url)(
    "kafkajs",
  ) as Driver;
  const compression = codecNumbers[codec];
  const before = CompressionCodecs[compression];
  CompressionCodecs[compression] = () => ({ compress: () => Promise.resolve(body) });
  const options = { brokers: brokers.split(","), logLevel: logLevel.NOTHING, clientId: "bombs" };
  const producer = new Kafka({ ...options, requestTimeout: 120_000 }).producer({
    retry: { retries: 0 },
  });
  try {
    await producer.connect();
    const messages = [
      { key: null, value: "x", partition: at.partition, timestamp: String(Date.now()) },
    ];
    const [sent] = await producer.send({
      topic: at.topic,
      compression,
      timeout: 120_000,
      messages,
    });
    return BigInt(sent?.baseOffset ?? -1);
  } finally {
    await producer.disconnect();
    if (before !== undefined) CompressionCodecs[compression] = before;
  }
}
