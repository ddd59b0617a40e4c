// Snappy, raw format (google/snappy format_description.txt), and the xerial frames in which Java producers put it. A
// block says its size first; sizes are believed only as far as the input can bear them out.
import { admit, Output } from "./output.ts";

const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const xerialHeadBytes = 16;
/** An element of three bytes becomes 64 at most. */
const growthMax = 22;
const sizeBytesMax = 5;

export function unsnappy(input: Buffer, bytesMax: number): Buffer {
  const blocks = blocksOf(input).map(readSize);
  admit(
    blocks.reduce((sum, { size }) => sum + size, 0),
    bytesMax,
  );
  const output = new Output(blocks.reduce((sum, { size }) => sum + size, 0));
  for (const block of blocks) unsnappyBlock(block, output);
  return output.bytes;
}

function blocksOf(input: Buffer): Buffer[] {
  if (!input.subarray(0, xerialMagic.length).equals(xerialMagic)) return [input];
  if (input.length < xerialHeadBytes) throw new RangeError("a cut xerial head");
  const blocks: Buffer[] = [];
  for (let at = xerialHeadBytes; at < input.length;) {
    const length = input.readInt32BE(at);
    const end = at + 4 + length;
    if (length <= 0 || end > input.length) throw new RangeError("a xerial frame beyond the input");
    blocks.push(input.subarray(at + 4, end));
    at = end;
  }
  return blocks;
}

interface SnappyBlock {
  readonly bytes: Buffer;
  /** The size of what it becomes. */
  readonly size: number;
  /** The place of the first element. */
  readonly begin: number;
}

function readSize(bytes: Buffer): SnappyBlock {
  let size = 0;
  for (let begin = 0; begin < sizeBytesMax;) {
    const byte = bytes.readUInt8(begin);
    size += (byte & 0x7f) * 128 ** begin++;
    if (byte >= 0x80) continue;
    if (size > bytes.length * growthMax)
      throw new RangeError("a snappy block that says more than it can become");
    return { bytes, size, begin };
  }
  throw new RangeError("a snappy block without a size");
}

function unsnappyBlock({ bytes, size, begin }: SnappyBlock, output: Output): void {
  const start = output.at;
  for (let at = begin; at < bytes.length;) {
    const element = readElement(bytes, at);
    at = element.next;
    if (output.at + element.length > start + size)
      throw new RangeError("a snappy block longer than it says");
    if (element.distance !== null) {
      output.repeat(element.distance, element.length, start);
    } else {
      output.literal(bytes, at, element.length);
      at += element.length;
    }
  }
  if (output.at !== start + size) throw new RangeError("a snappy block shorter than it says");
}

interface Element {
  readonly length: number;
  /** Null for a literal. */
  readonly distance: number | null;
  readonly next: number;
}

function readElement(input: Buffer, at: number): Element {
  const tag = input.readUInt8(at);
  const high = tag >> 2;
  switch (tag & 3) {
    case 0: {
      const extra = high < 60 ? 0 : high - 59;
      const length = extra === 0 ? high + 1 : input.readUIntLE(at + 1, extra) + 1;
      return { length, distance: null, next: at + 1 + extra };
    }
    case 1:
      return {
        length: (high & 7) + 4,
        distance: ((tag >> 5) << 8) | input.readUInt8(at + 1),
        next: at + 2,
      };
    case 2:
      return { length: high + 1, distance: input.readUInt16LE(at + 1), next: at + 3 };
    default:
      return { length: high + 1, distance: input.readUInt32LE(at + 1), next: at + 5 };
  }
}
