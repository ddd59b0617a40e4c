// Changes of bytes that no format is asked about: bits, cuts, pieces of others, lengths and varints that lie.
import type { Draw } from "../draw.ts";
import { oddText } from "./words.ts";

type Change = (bytes: Buffer, draw: Draw, other: Buffer) => Buffer;

const at = (bytes: Buffer, draw: Draw): number => draw.below(bytes.length + 1);

/** The bytes with `piece` in the place of `length` of them. */
function replaced(bytes: Buffer, from: number, length: number, piece: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, from), piece, bytes.subarray(from + length)]);
}

/** Varints that say very much, or what a sign makes of it: unsigned and zigzag alike. */
const VARINTS = [
  ...["00", "01", "7f", "8001", "ff7f", "ffff03", "8080808001", "ffffffff0f", "feffffff0f"],
  ...["feffffffffffffff01", "ffffffffffffffff7f", "ffffffffffffffffff01", "8080808080808080808001"],
  ...["ffffffffffffffffffff", "8080808000", "8000", "ffffffffffffff3f"],
].map((hex) => Buffer.from(hex, "hex"));

const LENGTHS = [0, 1, -1, 127, 255, 65_535, 1_048_576, 2 ** 31 - 1, -(2 ** 31)];

const NO_UTF8 = ["c0af", "eda080", "f8888080", "ff", "e282", "f09f98", "80", "fe"].map((hex) =>
  Buffer.from(hex, "hex"),
);

const changes: readonly Change[] = [
  function flipsBits(bytes, draw) {
    const copy = Buffer.from(bytes);
    for (let n = draw.between(1, 4); n > 0 && copy.length > 0; n--) {
      const place = draw.below(copy.length);
      copy[place] = (copy[place] as number) ^ (1 << draw.below(8));
    }
    return copy;
  },
  function setsByte(bytes, draw) {
    const copy = Buffer.from(bytes);
    if (copy.length > 0)
      copy[draw.below(copy.length)] = draw.of([0, 1, 2, 0x7f, 0x80, 0xff, 0x5c, 0x22]);
    return copy;
  },
  (bytes, draw) => bytes.subarray(0, at(bytes, draw)),
  (bytes, draw) => bytes.subarray(at(bytes, draw)),
  (bytes, draw) => Buffer.concat([bytes, draw.bytes(draw.size(2_000))]),
  (bytes, draw) => replaced(bytes, at(bytes, draw), draw.size(200), Buffer.alloc(0)),
  (bytes, draw) => replaced(bytes, at(bytes, draw), draw.below(3), draw.of(VARINTS)),
  (bytes, draw) => replaced(bytes, at(bytes, draw), 0, draw.bytes(draw.size(500))),
  (bytes, draw) => replaced(bytes, at(bytes, draw), draw.below(3), draw.of(NO_UTF8)),
  (bytes, draw) => replaced(bytes, at(bytes, draw), draw.size(20), Buffer.from(oddText(draw))),
  function lengthLies(bytes, draw) {
    if (bytes.length < 4) return bytes;
    const copy = Buffer.from(bytes);
    copy.writeInt32BE(draw.of(LENGTHS), draw.below(copy.length - 3));
    return copy;
  },
  function piecesRepeat(bytes, draw) {
    const from = at(bytes, draw);
    const piece = bytes.subarray(from, from + draw.between(1, 32));
    if (piece.length === 0) return bytes;
    const most = draw.chance(0.02) ? 1_000_000 : 2_000;
    const times = Math.max(1, Math.floor(draw.below(most) / piece.length));
    return replaced(bytes, from, 0, Buffer.concat(Array.from({ length: times }, () => piece)));
  },
  function splices(bytes, draw, other) {
    return Buffer.concat([bytes.subarray(0, at(bytes, draw)), other.subarray(at(other, draw))]);
  },
  (bytes, draw) => replaced(bytes, at(bytes, draw), draw.size(100), Buffer.alloc(draw.size(100))),
];

/** The bytes after one to four changes; seldom as they were, seldom nothing but chance. */
export function mutated(draw: Draw, bytes: Buffer, other: Buffer = bytes): Buffer {
  if (draw.chance(0.08)) return bytes;
  if (draw.chance(0.05)) return draw.bytes(draw.size(4_000));
  let changed = bytes;
  for (let n = draw.between(1, draw.chance(0.7) ? 1 : 4); n > 0; n--)
    changed = draw.of(changes)(changed, draw, other);
  return changed;
}

/** Null now and then, where a record may have no bytes. */
export const mutatedOrNull = (draw: Draw, bytes: Buffer | null): Buffer | null =>
  draw.chance(0.03) ? null : mutated(draw, bytes ?? draw.bytes(8));
