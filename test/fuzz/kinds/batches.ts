// Record batches of a fetch: compressed or not, whole or cut, with heads and lengths that lie behind a checksum that is right. Records
// come out in order and within the bound, or an error says from where to go on.
import { gzipSync, zstdCompressSync } from "node:zlib";
import { BatchError } from "../../../src/engine/core/errors.ts";
import type { OutRecord, RawRecord } from "../../../src/engine/core/record.ts";
import { crc32c } from "../../../src/engine/clients/kafkajs/protocol/codecs/crc32c.ts";
import { BatchBounds } from "../../../src/engine/clients/kafkajs/protocol/records/batch-bounds.ts";
import { encodeRecordBatch } from "../../../src/engine/clients/kafkajs/protocol/records/record-batch-encode.ts";
import {
  RecordSet,
  type FetchedSet,
  type RecordPiece,
} from "../../../src/engine/clients/kafkajs/protocol/records/record-set.ts";
import { lz4Bomb, lz4Literals, snappyBomb, snappyLiterals, xerial } from "../../support/bombs.ts";
import type { Draw } from "../draw.ts";
import { kindOf, must, mustBeSame, type AnyKind, type Read } from "../kind.ts";
import { mutated } from "../mutate/bytes.ts";
import { oddNumbers, oddText } from "../mutate/words.ts";

const HEAD = 61;
const AT = { topic: "t", partition: 0 };
const BYTES_MAX = 2_000_000;

const codecs: readonly ((bytes: Buffer) => Buffer)[] = [
  (bytes) => bytes,
  (bytes) => gzipSync(bytes),
  (bytes) => (bytes.length % 2 === 0 ? snappyLiterals(bytes) : xerial([snappyLiterals(bytes)])),
  lz4Literals,
  (bytes) => zstdCompressSync(bytes),
];
/** Ten times the bound, in few bytes. */
const ZEROS = Buffer.alloc(10 * BYTES_MAX);
const bombs: readonly Buffer[] = [
  ZEROS.subarray(0, 100),
  gzipSync(ZEROS),
  snappyBomb(ZEROS.length),
  lz4Bomb(ZEROS.length),
  zstdCompressSync(ZEROS),
];

const headerName = (draw: Draw): string =>
  draw.chance(0.5) ? "trace" : oddText(draw).slice(0, 99);
const bytesOrNull = (draw: Draw): Buffer | null =>
  draw.chance(0.2) ? null : draw.bytes(draw.size(300));

const recordOf = (draw: Draw): OutRecord => ({
  ...{ ...AT, key: bytesOrNull(draw), value: bytesOrNull(draw), timestamp: 1_000 + draw.below(99) },
  headers: draw.chance(0.6) ? [] : draw.list(1, 4, () => [headerName(draw), bytesOrNull(draw)]),
});

const ownProducer = { producerId: 5n, epoch: 0, firstSequence: 0 };

function batchOf(draw: Draw, baseOffset: number): Buffer {
  const transactionalId = draw.chance(0.3) ? "tx" : null;
  const records = draw.list(1, 6, () => recordOf(draw));
  const plain = encodeRecordBatch(records, { ...ownProducer, transactionalId });
  const head = Buffer.from(plain.subarray(0, HEAD));
  const codec = draw.below(codecs.length);
  const raw = draw.chance(0.4) ? mutated(draw, plain.subarray(HEAD)) : plain.subarray(HEAD);
  const packed = draw.chance(0.03) ? (bombs[codec] as Buffer) : (codecs[codec]?.(raw) ?? raw);
  const body = draw.chance(0.3) ? mutated(draw, packed) : packed;
  head.writeBigInt64BE(BigInt(baseOffset), 0);
  const said = draw.chance(0.02) ? draw.below(8) : codec;
  head.writeInt16BE(head.readInt16BE(21) | said, 21);
  if (draw.chance(0.2)) lie(draw, head);
  return sealed(head, body);
}

/** Attributes, deltas, times, producer, or the number of records. */
function lie(draw: Draw, head: Buffer): void {
  const number = BigInt.asIntN(64, BigInt(Math.trunc(draw.of(oddNumbers.filter(Number.isFinite)))));
  const [small, int] = [Number(BigInt.asIntN(16, number)), Number(BigInt.asIntN(32, number))];
  const lies = [
    (): unknown => head.writeUInt16BE(head.readUInt16BE(21) ^ (1 << draw.below(16)), 21),
    (): unknown => head.writeInt16BE(small, 21),
    (): unknown => head.writeInt32BE(int, 23),
    (): unknown => head.writeBigInt64BE(number, draw.of([27, 35, 43])),
    (): unknown => head.writeInt32BE(int, 57),
    (): unknown => head.writeInt32BE(head.readInt32BE(57) + draw.of([-1, 1]), 57),
    (): unknown => head.writeBigInt64BE(number, 0),
    (): unknown => head.writeInt8(draw.below(256) - 128, 16),
  ];
  draw.of(lies)();
}

/** With the length and the checksum that it has. */
function sealed(head: Buffer, body: Buffer): Buffer {
  const batch = Buffer.concat([head, body]);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17);
  return batch;
}

function make(draw: Draw): FetchedSet {
  let offset = draw.below(3);
  const batches = draw.list(1, 3, () => {
    const batch = batchOf(draw, offset);
    offset += 6;
    return batch;
  });
  const whole = Buffer.concat(batches);
  return {
    ...{ ...AT, fetchedOffset: BigInt(draw.below(4)) },
    recordSet: draw.chance(0.15) ? mutated(draw, whole) : whole,
    aborted: draw.chance(0.2)
      ? draw.list(1, 3, () => ({
          producerId: BigInt(draw.below(7)),
          firstOffset: BigInt(draw.below(9)),
        }))
      : [],
  };
}

function read(set: FetchedSet): Read {
  const bounds = new BatchBounds({ bytesMax: BYTES_MAX, growthMax: 100 });
  bounds.learn(AT.topic, 1_000_000);
  const reader = new RecordSet(set, bounds);
  const pieces: RecordPiece[] = [];
  try {
    for (let piece = reader.next(); piece !== null; piece = reader.next()) pieces.push(piece);
  } catch (error) {
    const next = pieces.at(-1)?.nextOffset ?? set.fetchedOffset;
    const leadsBack = error instanceof BatchError && error.nextOffset < next;
    must(!leadsBack, "the offset behind a bad batch leads back");
    throw error;
  } finally {
    reader.close();
  }
  return { look: () => checkPieces(set, pieces) };
}

function checkPieces({ fetchedOffset }: FetchedSet, pieces: readonly RecordPiece[]): void {
  let next = fetchedOffset;
  for (const piece of pieces) {
    must(piece.fetchedOffset === next && piece.nextOffset >= next, "a piece does not follow");
    checkRecords(piece.records, next, piece.nextOffset);
    next = piece.nextOffset;
  }
}

function checkRecords(records: readonly RawRecord[], from: bigint, to: bigint): void {
  let last = from - 1n;
  for (const { offset } of records) {
    must(offset > last && offset < to, "records are out of order");
    last = offset;
  }
  if (records.length === 0) return;
  const written = records.map((one) => ({ ...one, timestamp: 0 }));
  const batch = encodeRecordBatch(written, { ...ownProducer, transactionalId: null });
  const again = new RecordSet(
    { ...AT, fetchedOffset: 0n, recordSet: batch, aborted: [] },
    new BatchBounds(),
  );
  mustBeSame(
    again.next()?.records.map(({ key, value, headers }) => ({ key, value, headers })),
    written.map(({ key, value, headers }) => ({ key, value, headers })),
    "a record is another when it is written",
  );
}

export const batchKind: AnyKind = kindOf({
  ...{ name: "batches", codes: /^MILL_BATCH_(TOO_LARGE|CORRUPT|FORMAT)$|^MILL_KAFKA_UNAVAILABLE$/ },
  ...{ weight: 4, make, read },
});
