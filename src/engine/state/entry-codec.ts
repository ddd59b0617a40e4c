// The bytes of an entry, in the changelog and in every copy: 1 (this layout), 8 bytes of event time (int64, epoch ms), the
// value in its codec's bytes; of a deleted key 2 and its time alone. Documented for other readers in docs/state.md.
import { MillraceError } from "../core/errors.ts";
import type { Codec } from "../core/schema.ts";
import type { StateEntry } from "../core/state.ts";

const LAYOUT = 1;
const DELETED = 2;
const HEAD_BYTES = 9;

/** Whether these are the bytes of a deleted key. */
export const isDeleted = (bytes: Buffer): boolean =>
  bytes[0] === DELETED && bytes.length === HEAD_BYTES;

export interface EntryCodec {
  encode(entry: StateEntry): Buffer;
  /** A bound for the bytes of an entry that can be written for certain; null where only trying shows it. */
  bytesMax(entry: StateEntry): number | null;
  /** Throws MILL_STATE_FORMAT for bytes of another layout, and what the value's codec throws. */
  decode(bytes: Buffer): StateEntry;
  /** The event time alone. */
  timeOf(bytes: Buffer): number;
  /** The writer's schema id of the value that must be learnt first, else null. */
  unknownId(bytes: Buffer): number | null;
}

export function entryCodec(value: Codec, store: string): EntryCodec {
  return {
    encode(entry) {
      if (entry.value === null) return withHead(DELETED, entry.timestamp, 0);
      const body = value.encode(entry.value);
      if (body === null)
        throw new MillraceError("MILL_STATE_FORMAT", `${store}: a value without bytes`);
      const bytes = withHead(LAYOUT, entry.timestamp, body.length);
      body.copy(bytes, HEAD_BYTES);
      return bytes;
    },
    bytesMax(entry) {
      if (entry.value === null) return HEAD_BYTES;
      const body = value.bytesMax?.(entry.value) ?? null;
      return body === null ? null : HEAD_BYTES + body;
    },
    decode(bytes) {
      if (isDeleted(bytes)) return { timestamp: timeOf(bytes), value: null };
      if (bytes[0] !== LAYOUT || bytes.length <= HEAD_BYTES)
        throw new MillraceError("MILL_STATE_FORMAT", `${store}: layout ${String(bytes[0])}`);
      return { timestamp: timeOf(bytes), value: value.decode(bytes.subarray(HEAD_BYTES)) };
    },
    timeOf,
    unknownId: (bytes) => (isDeleted(bytes) ? null : value.unknownId(bytes.subarray(HEAD_BYTES))),
  };
}

function withHead(layout: number, timestamp: number, bodyBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + bodyBytes);
  bytes[0] = layout;
  // A double has every millisecond exactly; two words are faster than a bigint.
  bytes.writeInt32BE(Math.floor(timestamp / 2 ** 32), 1);
  bytes.writeUInt32BE(timestamp >>> 0, 5);
  return bytes;
}

const timeOf = (bytes: Buffer): number => bytes.readInt32BE(1) * 2 ** 32 + bytes.readUInt32BE(5);
