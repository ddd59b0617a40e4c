// The origin of a record as bytes: its source partition and offset there, or the operator and entry that have made it. Topics
// between parts hand it on (O3), so that records of one time have an order that no way and no worker changes.
import type { Part, Plan } from "../../core/plan.ts";
import type { RawRecord, TopicName } from "../../core/record.ts";
import type { RecordOrigin } from "../operator.ts";

/** The origin of a record that is at a step, or leaves one. */
export type OriginOf = (raw: RawRecord, origin: RecordOrigin | null) => Buffer;

/** First bytes. Records of sources come before what operators have made at the same time. */
const OF_SOURCE = 1;
const OF_ENTRY = 2;

/** `rankOf`: the place of a topic among those of its pipeline, in live and in a run alike; `nameOf` names an operator. */
export const originsBy =
  (rankOf: (topic: TopicName) => number, nameOf: (at: number) => string): OriginOf =>
  (raw, origin) => {
    if (origin?.due !== undefined) {
      const { at, key } = origin.due;
      const head = Buffer.from(`${String.fromCharCode(OF_ENTRY)}${nameOf(at)}\0`, "utf8");
      return Buffer.concat([head, numbers([raw.partition]), key.bytes]);
    }
    // mistake: origin left behind
    if (raw.origin !== undefined) return Buffer.concat([raw.origin, numbers([rankOf(raw.topic)])]);
    const offset = Buffer.allocUnsafe(8);
    offset.writeBigUInt64BE(raw.offset + 1n);
    const place = numbers([rankOf(raw.topic), raw.partition]);
    return Buffer.concat([Buffer.of(OF_SOURCE), place, offset]);
  };

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
