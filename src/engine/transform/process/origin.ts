// The origin of a record as bytes: its source partition and offset there, the operator and entry that have made it, or the
// records that a join has made it of. Topics between parts hand it on (O3), so that records of one time have an order that no
// way and no worker changes.
import { createHash } from "node:crypto";
import type { BufferedRecord, JoinOrigin } from "../../core/join-buffer.ts";
import type { Part, Plan } from "../../core/plan.ts";
import type { RawRecord, TopicName } from "../../core/record.ts";
import type { Cursor, RecordOrigin } from "../operator.ts";

/** The origin of a record that is at a step, or leaves one. */
export type OriginOf = (raw: RawRecord, origin: RecordOrigin | null) => Buffer;

/** First bytes. Records of sources come before what operators have made at the same time. */
const OF_SOURCE = 1;
const OF_ENTRY = 2;
const OF_JOIN = 3;

/** `rankOf`: the place of a topic among those of its pipeline, in live and in a run alike; `nameOf` names an operator. */
export const originsBy =
  (rankOf: (topic: TopicName) => number, nameOf: (at: number) => string): OriginOf =>
  (raw, origin) => {
    // mistake: pair placed by its newer record
    if (raw.joined !== undefined) return joinedBytes(raw, raw.joined, nameOf);
    if (origin?.due !== undefined) {
      const { at, key } = origin.due;
      return Buffer.concat([madeBy(OF_ENTRY, nameOf(at)), numbers([raw.partition]), key.bytes]);
    }
    // mistake: origin left behind
    if (raw.origin !== undefined) return Buffer.concat([raw.origin, numbers([rankOf(raw.topic)])]);
    const offset = Buffer.allocUnsafe(8);
    offset.writeBigUInt64BE(raw.offset + 1n);
    const place = numbers([rankOf(raw.topic), raw.partition]);
    return Buffer.concat([Buffer.of(OF_SOURCE), place, offset]);
  };

const madeBy = (first: number, name: string): Buffer =>
  Buffer.from(`${String.fromCharCode(first)}${name}\0`, "utf8");

const DIGEST_BYTES = 16;

/**
 * By the times of both records, the left one first, then by all that the join knows of them. It is the same whichever came
 * first; results with the same bytes have the same content.
 */
function joinedBytes(
  { key }: RawRecord,
  { at, sides }: JoinOrigin,
  nameOf: (at: number) => string,
): Buffer {
  const hash = createHash("sha256").update(key ?? "");
  for (const one of sides)
    if (one === null) hash.update(NOBODY);
    else hash.update(sizes(one)).update(one.bytes);
  const digest = hash.digest().subarray(0, DIGEST_BYTES);
  const times = sides.map((one) => ordered(one?.timeMs ?? 0));
  return Buffer.concat([madeBy(OF_JOIN, nameOf(at)), ...times, digest]);
}

/** The side of a result that has found no partner. */
const NOBODY = Buffer.of(0);

/** Its times and length, in front of its value. */
function sizes({ timeMs, originMs, bytes: { length } }: BufferedRecord): Buffer {
  const bytes = Buffer.alloc(21, 1);
  bytes.writeDoubleBE(timeMs, 1);
  bytes.writeDoubleBE(originMs, 9);
  bytes.writeUInt32BE(length, 17);
  return bytes;
}

function ordered(timeMs: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(BigInt(Math.max(0, timeMs)));
  return bytes;
}

/** The origin that a record hands on to another part: several that are made of one are told apart by their number. */
export function sentOrigin({ record: { raw }, trail }: Cursor, originOf: OriginOf): Buffer {
  const made = raw.joined ?? trail;
  const before = made.sent++;
  // mistake: records of one origin not numbered
  const number = numbers([before]);
  return Buffer.concat([originOf(raw, trail.origin), number]);
}

/** Sorts as the numbers do. */
function numbers(all: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(4 * all.length);
  all.forEach((number, i) => bytes.writeUInt32BE(number >>> 0, 4 * i));
  return bytes;
}

/** Topics of a plan and of its run have the same places. */
export function originsOf({ topics }: Plan, { nodes }: Part): OriginOf {
  const ranks = new Map(topics.all.map(({ name }, rank) => [name, rank]));
  return originsBy(
    (topic) => ranks.get(topic) ?? ranks.size,
    (at) => nodes[at]?.name ?? "",
  );
}
