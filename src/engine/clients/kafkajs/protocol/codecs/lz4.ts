// LZ4 frames (lz4 frame format 1.6), as Kafka writes them since message format 2. Checksums of the frame are not
// verified: the record batch around it has its own.

const frameMagic = 0x184d2204;
const uncompressedBit = 0x80000000;

export function unlz4(input: Buffer): Buffer {
  if (input.readUInt32LE(0) !== frameMagic) throw new RangeError("not an lz4 frame");
  const flags = input.readUInt8(4);
  const hasBlockChecksum = (flags & 0x10) !== 0;
  const blockBytesMax = 1 << (8 + 2 * ((input.readUInt8(5) >> 4) & 7));
  let at = 6 + ((flags & 0x08) === 0 ? 0 : 8) + ((flags & 0x01) === 0 ? 0 : 4) + 1;
  const output = new Output(Math.max(blockBytesMax, input.length * 4));
  for (;;) {
    const word = input.readUInt32LE(at);
    at += 4;
    if (word === 0) return output.bytes;
    const length = word >= uncompressedBit ? word - uncompressedBit : word;
    const block = input.subarray(at, at + length);
    if (word >= uncompressedBit) output.literal(block);
    else unlz4Block(block, output);
    at += length + (hasBlockChecksum ? 4 : 0);
  }
}

function unlz4Block(block: Buffer, output: Output): void {
  let at = 0;
  const extended = (nibble: number): number => {
    if (nibble !== 15) return nibble;
    for (let length = nibble; ;) {
      const byte = block.readUInt8(at++);
      length += byte;
      if (byte !== 255) return length;
    }
  };
  while (at < block.length) {
    const token = block.readUInt8(at++);
    const literal = extended(token >> 4);
    output.literal(block.subarray(at, at + literal));
    at += literal;
    // The last sequence of a block is a literal alone.
    if (at >= block.length) return;
    const distance = block.readUInt16LE(at);
    at += 2;
    output.repeat(distance, extended(token & 15) + 4);
  }
}

/** Blocks may refer to the ones before them, so all go into one buffer. */
class Output {
  #buffer: Buffer;
  #length = 0;

  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafe(bytes);
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  literal(bytes: Buffer): void {
    this.#room(bytes.length);
    this.#length += bytes.copy(this.#buffer, this.#length);
  }

  repeat(distance: number, length: number): void {
    const from = this.#length - distance;
    if (distance === 0 || from < 0) throw new RangeError("lz4 block copies from outside itself");
    this.#room(length);
    const buffer = this.#buffer;
    for (let i = 0; i < length; i++) buffer[this.#length + i] = buffer[from + i] as number;
    this.#length += length;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe((this.#length + bytes) * 2);
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}
