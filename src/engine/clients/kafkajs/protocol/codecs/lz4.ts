// LZ4 frames (lz4 frame format 1.6), as Kafka writes them since message format 2. Checksums of the frame are not
// verified: the record batch around it has its own. The blocks are measured before memory is taken for them.
import { admit, Output } from "./output.ts";

const frameMagic = 0x184d2204;
const uncompressedBit = 0x80000000;
const matchBytesMin = 4;

interface Lz4Block {
  readonly bytes: Buffer;
  readonly isCompressed: boolean;
}

interface FrameHead {
  readonly begin: number;
  readonly blockBytesMax: number;
  /** Behind each block. */
  readonly checksumBytes: number;
}

export function unlz4(input: Buffer, bytesMax: number): Buffer {
  const { blocks, blockBytesMax } = readFrame(input);
  let size = 0;
  for (const { bytes, isCompressed } of blocks) {
    const blockBytes = isCompressed ? measure(bytes) : bytes.length;
    if (blockBytes > blockBytesMax) throw new RangeError("an lz4 block larger than its frame says");
    size += blockBytes;
  }
  admit(size, bytesMax);
  const output = new Output(size);
  for (const { bytes, isCompressed } of blocks)
    if (isCompressed) walk(bytes, output);
    else output.literal(bytes, 0, bytes.length);
  return output.bytes;
}

function readFrame(input: Buffer): { readonly blocks: Lz4Block[]; readonly blockBytesMax: number } {
  const { begin, blockBytesMax, checksumBytes } = readFrameHead(input);
  const blocks: Lz4Block[] = [];
  for (let at = begin; ;) {
    const word = input.readUInt32LE(at);
    at += 4;
    if (word === 0) return { blocks, blockBytesMax };
    const isCompressed = word < uncompressedBit;
    const length = isCompressed ? word : word - uncompressedBit;
    if (length === 0 || at + length > input.length)
      throw new RangeError("an lz4 block beyond the input");
    blocks.push({ bytes: input.subarray(at, at + length), isCompressed });
    at += length + checksumBytes;
  }
}

function readFrameHead(input: Buffer): FrameHead {
  if (input.readUInt32LE(0) !== frameMagic) throw new RangeError("not an lz4 frame");
  const flags = input.readUInt8(4);
  const size = (input.readUInt8(5) >> 4) & 7;
  if (flags >> 6 !== 1 || size < 4) throw new RangeError("an unknown kind of lz4 frame");
  const bytesIf = (bit: number, bytes: number): number => ((flags & bit) === 0 ? 0 : bytes);
  return {
    // Content size, dictionary and checksum of the head.
    begin: 6 + bytesIf(0x08, 8) + bytesIf(0x01, 4) + 1,
    blockBytesMax: 1 << (8 + 2 * size),
    checksumBytes: bytesIf(0x10, 4),
  };
}

/** The size of what a block becomes. */
const measure = (block: Buffer): number => {
  const size = { at: 0 };
  walk(block, {
    literal: (_input, _from, length) => void (size.at += length),
    repeat: (_distance, length) => void (size.at += length),
  });
  return size.at;
};

/** Blocks may refer to the ones before them, so all go into one output. */
function walk(block: Buffer, output: Pick<Output, "literal" | "repeat">): void {
  let at = 0;
  const extended = (nibble: number): number => {
    if (nibble !== 15) return nibble;
    for (let length = nibble; ;) {
      const byte = block.readUInt8(at++);
      length += byte;
      if (byte !== 255) return length;
    }
  };
  for (;;) {
    const token = block.readUInt8(at++);
    const literal = extended(token >> 4);
    if (at + literal > block.length) throw new RangeError("an lz4 literal beyond its block");
    output.literal(block, at, literal);
    at += literal;
    // The last sequence of a block is a literal alone.
    if (at === block.length) return;
    const distance = block.readUInt16LE(at);
    at += 2;
    output.repeat(distance, extended(token & 15) + matchBytesMin);
  }
}
