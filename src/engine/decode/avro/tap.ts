// The cursor over Avro bytes that avsc's types read from and write to, in place of avsc's own.
// Reading is strict: it throws a Fault at the first byte that is missing or impossible, so a lying length ends at once.
// Writing goes on past the end, only counting, as avsc's does: the caller then has the length and writes again.
import { isUtf8 } from "node:buffer";
import { breach, broken, unwritable } from "../faults.ts";

/** Node's own methods on byte ranges: no slice is made. They have been there since Node 6, but are not in its types. */
interface RangeBuffer extends Buffer {
  utf8Slice(start: number, end: number): string;
  utf8Write(text: string, at: number, length: number): number;
  latin1Write(text: string, at: number, length: number): number;
}

const REPLACEMENT = "\ufffd";
/** Values without bytes in one record: so many, and so many more for each of its bytes; never more than take a tenth of a second. */
const EMPTY_MIN = 65_536;
const EMPTY_PER_BYTE = 8;
const EMPTY_MAX = 500_000;
/** A varint of 64 bits has ten bytes at most. */
const VARINT_BYTES_MAX = 10;
const INT_MIN = -0x8000_0000;
const INT_MAX = 0x7fff_ffff;
/** Below it, twice a number and its upper half are exact, and the half is an integer of 32 bits. */
const DOUBLED_EXACTLY = 2 ** 48;

export class Tap {
  buf: RangeBuffer;
  pos: number;
  /** Values without bytes that may still come. */
  #spare: number;

  constructor(buf: Buffer, pos = 0) {
    this.buf = buf as RangeBuffer;
    this.pos = pos;
    this.#spare = Math.min(EMPTY_MAX, EMPTY_MIN + EMPTY_PER_BYTE * buf.length);
  }

  /** Counts values that take no bytes, in sum over all that is read. */
  charge(empty: number): void {
    this.#spare -= empty;
    if (this.#spare < 0)
      throw broken("there are more values without bytes than one record may have");
  }

  isValid(): boolean {
    return this.pos <= this.buf.length;
  }

  /** Moves over `length` bytes and returns where they begin. */
  take(length: number): number {
    const start = this.pos;
    const end = start + length;
    if (length < 0 || end > this.buf.length) throw broken("truncated");
    this.pos = end;
    return start;
  }

  readBoolean(): boolean {
    const byte = this.buf[this.take(1)] as number;
    if (byte > 1) throw broken("a boolean is neither 0 nor 1");
    return byte === 1;
  }
  skipBoolean(): void {
    this.take(1);
  }
  writeBoolean(value: boolean): void {
    this.buf[this.pos++] = value ? 1 : 0;
  }

  readInt(): number {
    const n = this.readLong();
    if (n < INT_MIN || n > INT_MAX) throw broken("an int needs more than 32 bits");
    return n;
  }
  /** A long as a number; one that is no exact number is refused. */
  readLong(): number {
    const { buf } = this;
    let n = 0;
    let shift = 0;
    let pos = this.pos;
    // Four bytes stay within the 31 bits that integer arithmetic keeps.
    do {
      const byte = buf[pos++];
      if (byte === undefined) throw broken("truncated");
      n |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.pos = pos;
        return (n >>> 1) ^ -(n & 1);
      }
      shift += 7;
    } while (shift < 28);
    return this.#readLongTail(n, pos);
  }
  /** Up to seven bytes stay exact in a double; more are seldom and go through bigint. */
  #readLongTail(low: number, from: number): number {
    let sum = low;
    let factor = 0x1000_0000;
    for (let pos = from; pos < from + 3; pos++) {
      const byte = this.buf[pos];
      if (byte === undefined) throw broken("truncated");
      sum += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        this.pos = pos + 1;
        return (low & 1) === 0 ? sum / 2 : -(sum + 1) / 2;
      }
      factor *= 128;
    }
    const value = Number(this.readBigLong());
    if (!Number.isSafeInteger(value)) throw breach("a long is beyond ±(2^53−1)");
    return value;
  }
  readBigLong(): bigint {
    const { buf } = this;
    let low = 0;
    let high = 0;
    let factor = 1;
    for (let i = 0; i < VARINT_BYTES_MAX; i++) {
      const byte = buf[this.pos++];
      if (byte === undefined) throw broken("truncated");
      // 35 bits and 35 bits: both halves stay exact in a double.
      if (i === 5) factor = 1;
      if (i < 5) low += (byte & 0x7f) * factor;
      else high += (byte & 0x7f) * factor;
      factor *= 128;
      if (byte < 0x80) {
        if (i === VARINT_BYTES_MAX - 1 && byte > 1) break;
        return zigzag((BigInt(high) << 35n) | BigInt(low));
      }
    }
    throw broken("a varint is longer than 64 bits");
  }
  skipInt(): void {
    this.readInt();
  }
  /** A long that nobody looks at may have any size. */
  skipLong(): void {
    this.readBigLong();
  }
  writeInt(n: number): void {
    this.writeLong(n);
  }
  writeLong(n: number): void {
    if (n >= -0x4000_0000 && n < 0x4000_0000) this.#writeBits(n >= 0 ? n << 1 : (~n << 1) | 1);
    else if (n > -DOUBLED_EXACTLY && n < DOUBLED_EXACTLY) this.#writeLongHalves(n);
    // An enum or union looked up by a name such as "constructor" comes as a function: BigInt refuses it.
    else writeBigLong(this, BigInt(n));
  }
  #writeLongHalves(n: number): void {
    const doubled = n >= 0 ? n * 2 : -n * 2 - 1;
    const high = Math.floor(doubled / 0x1000_0000);
    let low = doubled - high * 0x1000_0000;
    for (let i = 0; i < 4; i++) {
      this.buf[this.pos++] = (low & 0x7f) | 0x80;
      low >>>= 7;
    }
    this.#writeBits(high);
  }
  #writeBits(bits: number): void {
    let m = bits;
    while (m > 0x7f) {
      this.buf[this.pos++] = (m & 0x7f) | 0x80;
      m >>>= 7;
    }
    this.buf[this.pos++] = m;
  }

  readFloat(): number {
    return this.buf.readFloatLE(this.take(4));
  }
  skipFloat(): void {
    this.take(4);
  }
  writeFloat(n: number): void {
    const at = this.pos;
    this.pos += 4;
    if (this.isValid()) this.buf.writeFloatLE(n, at);
  }
  readDouble(): number {
    return this.buf.readDoubleLE(this.take(8));
  }
  skipDouble(): void {
    this.take(8);
  }
  writeDouble(n: number): void {
    const at = this.pos;
    this.pos += 8;
    if (this.isValid()) this.buf.writeDoubleLE(n, at);
  }

  /** A copy: the bytes of a fetch are used again. */
  readFixed(length: number): Uint8Array {
    const start = this.take(length);
    return new Uint8Array(this.buf.subarray(start, start + length));
  }
  skipFixed(length: number): void {
    this.take(length);
  }
  writeFixed(bytes: Uint8Array, length: number = bytes.length): void {
    const at = this.pos;
    this.pos += length;
    if (this.isValid()) this.buf.set(bytes, at);
  }
  readBytes(): Uint8Array {
    return this.readFixed(this.readLong());
  }
  skipBytes(): void {
    this.take(this.readLong());
  }
  writeBytes(bytes: Uint8Array): void {
    this.writeLong(bytes.length);
    this.writeFixed(bytes, bytes.length);
  }

  readString(): string {
    const length = this.readLong();
    const start = this.take(length);
    const text = this.buf.utf8Slice(start, start + length);
    // Decoding puts this character for bytes that are no UTF-8; only then is it worth a second look.
    if (text.includes(REPLACEMENT) && !isUtf8(this.buf.subarray(start, start + length)))
      throw broken("a string is not UTF-8");
    return text;
  }
  skipString(): void {
    this.take(this.readLong());
  }
  writeString(text: string): void {
    const length = Buffer.byteLength(text);
    // Only a text with other characters than ASCII can contain half a surrogate pair.
    if (length !== text.length && !text.isWellFormed())
      throw unwritable("a text holds half a surrogate pair");
    this.writeLong(length);
    const at = this.pos;
    this.pos += length;
    if (this.isValid()) this.buf.utf8Write(text, at, length);
  }
  /** avsc keeps the bytes of a field's default as a text of one byte a character. */
  writeBinary(text: string, length: number): void {
    const at = this.pos;
    this.pos += length;
    if (this.isValid()) this.buf.latin1Write(text, at, length);
  }
}

const zigzag = (n: bigint): bigint => (n & 1n ? -(n >> 1n) - 1n : n >> 1n);

/** Works on avsc's own cursor too, which avsc uses for the bytes of defaults. */
export function writeBigLong(tap: { buf: Uint8Array; pos: number }, value: bigint): void {
  let rest = value >= 0n ? value << 1n : (-value << 1n) - 1n;
  while (rest > 0x7fn) {
    tap.buf[tap.pos++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  tap.buf[tap.pos++] = Number(rest);
}
