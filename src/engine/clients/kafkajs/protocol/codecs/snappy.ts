// Snappy, raw format (google/snappy format_description.txt), and the xerial frames in which Java producers put it.

const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const xerialHeadBytes = 16;

export function unsnappy(input: Buffer): Buffer {
  if (!input.subarray(0, xerialMagic.length).equals(xerialMagic)) return unsnappyBlock(input);
  const blocks: Buffer[] = [];
  for (let at = xerialHeadBytes; at < input.length;) {
    const length = input.readInt32BE(at);
    blocks.push(unsnappyBlock(input.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return Buffer.concat(blocks);
}

function unsnappyBlock(input: Buffer): Buffer {
  let at = 0;
  let size = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = input.readUInt8(at++);
    size += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  const output = Buffer.allocUnsafe(size);
  let written = 0;
  while (at < input.length) {
    const element = readElement(input, at);
    at = element.next;
    if (element.distance === 0) {
      written += input.copy(output, written, at, at + element.length);
      at += element.length;
    } else {
      written = copyBack(output, written, element);
    }
  }
  if (written !== size) throw new RangeError("snappy block has another length than it says");
  return output;
}

interface Element {
  readonly length: number;
  /** Zero for a literal. */
  readonly distance: number;
  readonly next: number;
}

function readElement(input: Buffer, at: number): Element {
  const tag = input.readUInt8(at);
  const high = tag >> 2;
  switch (tag & 3) {
    case 0: {
      const extra = high < 60 ? 0 : high - 59;
      const length = extra === 0 ? high + 1 : input.readUIntLE(at + 1, extra) + 1;
      return { length, distance: 0, next: at + 1 + extra };
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

/** Byte by byte where source and target overlap: that repeats the pattern, as the format means it. */
function copyBack(output: Buffer, written: number, element: Element): number {
  const from = written - element.distance;
  if (element.distance === 0 || from < 0 || written + element.length > output.length)
    throw new RangeError("snappy block copies from outside itself");
  for (let i = 0; i < element.length; i++) output[written + i] = output[from + i] as number;
  return written + element.length;
}
