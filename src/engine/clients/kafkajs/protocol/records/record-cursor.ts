// Reads records from the bytes of a batch (protocol guide, "Record"). Nothing is read beyond the record's own length,
// which lies within the bytes: whatever does not fit throws a RangeError.
import { headerNameOf } from "../../../../core/header-name.ts";
import type { Headers } from "../../../../core/record.ts";

const noHeaders: Headers = Object.freeze([]);
const varintBytesMax = 10;
/** An array, a name and a slice of the batch: measured with V8 13. */
export const HEADER_BYTES = 160;
/** A record without key, value and headers. */
export const RECORD_BYTES_MIN = 7;

export class RecordCursor {
  readonly #buffer: Buffer;
  at = 0;
  /** The end of the record in hand. */
  end: number;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
    this.end = buffer.length;
  }

  get isAtEnd(): boolean {
    return this.at === this.#buffer.length;
  }

  /** Begins the next record: its length, and its attributes, which mean nothing. */
  enter(): void {
    this.end = this.#buffer.length;
    const length = this.varint();
    this.end = this.#within(length);
    this.at++;
  }

  /** The record must end where its length says. */
  leave(): void {
    if (this.at !== this.end) throw new RangeError("a record has another length than it says");
  }

  /** Zigzag; up to 53 bits, which covers lengths, deltas and milliseconds. */
  varint(): number {
    const buffer = this.#buffer;
    let byte = buffer[this.at++] as number;
    let value = byte & 0x7f;
    if (byte >= 0x80) {
      const last = this.at + varintBytesMax - 1;
      let scale = 128;
      do {
        byte = buffer[this.at++] as number;
        value += (byte & 0x7f) * scale;
        scale *= 128;
      } while (byte >= 0x80 && this.at < last);
      if (byte >= 0x80) throw new RangeError("a number of more than ten bytes");
    }
    if (this.at > this.end) throw new RangeError("a number beyond its record");
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  field(): Buffer | null {
    const length = this.varint();
    if (length < 0) return null;
    const from = this.at;
    this.at = this.#within(length);
    return this.#buffer.subarray(from, this.at);
  }

  skipField(): void {
    const length = this.varint();
    if (length > 0) this.at = this.#within(length);
  }

  /** The number of headers, which may not be more than the record has bytes for. */
  headerCount(): number {
    const count = this.varint();
    if (count < 0 || count * 2 > this.end - this.at)
      throw new RangeError("more headers than the record has bytes for");
    return count;
  }

  headers(count: number): Headers {
    if (count === 0) return noHeaders;
    const headers: [string, Buffer | null][] = [];
    for (let i = 0; i < count; i++) {
      const nameBytes = this.varint();
      const from = this.at;
      this.at = this.#within(nameBytes);
      headers.push([headerNameOf(this.#buffer, from, this.at), this.field()]);
    }
    return headers;
  }

  /** So many bytes further on; a length that is not one throws. */
  #within(length: number): number {
    const to = this.at + length;
    if (!(length >= 0 && to <= this.end)) throw new RangeError("a length beyond the bytes");
    return to;
  }
}
