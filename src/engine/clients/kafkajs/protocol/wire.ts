// Kafka's wire types, read from and written to one flat buffer (protocol guide, "Protocol Primitive Types").
// "Compact" and tags belong to flexible versions (KIP-482).
import type { TopicPartition } from "../../../core/record.ts";

/** Reads on from `at`; every method moves it, and throws a RangeError where the bytes end before. */
export class WireReader {
  readonly buffer: Buffer;
  at: number;

  constructor(buffer: Buffer, at = 0) {
    this.buffer = buffer;
    this.at = at;
  }

  int8(): number {
    return this.buffer.readInt8(this.at++);
  }
  int16(): number {
    this.at += 2;
    return this.buffer.readInt16BE(this.at - 2);
  }
  int32(): number {
    this.at += 4;
    return this.buffer.readInt32BE(this.at - 4);
  }
  int64(): bigint {
    this.at += 8;
    return this.buffer.readBigInt64BE(this.at - 8);
  }
  string(): string | null {
    return this.#text(this.int16());
  }
  compactString(): string | null {
    return this.#text(this.uvarint() - 1);
  }
  /** A length of 32 bits and that many bytes; empty when null. */
  bytes(): Buffer {
    const from = this.#over(Math.max(0, this.int32()));
    return this.buffer.subarray(from, this.at);
  }
  array<T>(item: (reader: WireReader) => T): T[] {
    return this.#items(this.int32(), item);
  }
  compactArray<T>(item: (reader: WireReader) => T): T[] {
    return this.#items(this.uvarint() - 1, item);
  }
  /** Topics in turn, each with its partitions. */
  topics<T>(partition: (topic: string) => T): T[] {
    const topics = this.array(() => {
      const topic = this.string() ?? "";
      return this.array(() => partition(topic));
    });
    return topics.flat();
  }
  uvarint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.buffer.readUInt8(this.at++);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
  }
  skipTags(): void {
    for (let left = this.uvarint(); left > 0; left--) {
      this.uvarint();
      this.#over(this.uvarint());
    }
  }

  #text(length: number): string | null {
    if (length < 0) return null;
    const from = this.#over(length);
    return this.buffer.toString("utf8", from, this.at);
  }
  /** Moves over so many bytes, which must be there, and returns where they begin. */
  #over(length: number): number {
    const from = this.at;
    this.at += length;
    if (this.at > this.buffer.length) throw new RangeError("a length beyond the bytes");
    return from;
  }
  #items<T>(count: number, item: (reader: WireReader) => T): T[] {
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(item(this));
    return items;
  }
}

/** Appends; the buffer grows as needed. */
export class WireWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(bytes = 512) {
    this.#buffer = Buffer.allocUnsafe(bytes);
  }

  get written(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  int8(value: number): this {
    const at = this.#take(1);
    this.#buffer.writeInt8(value, at);
    return this;
  }
  int16(value: number): this {
    const at = this.#take(2);
    this.#buffer.writeInt16BE(value, at);
    return this;
  }
  int32(value: number): this {
    const at = this.#take(4);
    this.#buffer.writeInt32BE(value, at);
    return this;
  }
  int64(value: bigint): this {
    const at = this.#take(8);
    this.#buffer.writeBigInt64BE(value, at);
    return this;
  }
  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const bytes = Buffer.from(value, "utf8");
    return this.int16(bytes.length).raw(bytes);
  }
  compactString(value: string | null): this {
    if (value === null) return this.uvarint(0);
    const bytes = Buffer.from(value, "utf8");
    return this.uvarint(bytes.length + 1).raw(bytes);
  }
  bytes(value: Buffer): this {
    return this.int32(value.length).raw(value);
  }
  array<T>(items: readonly T[], item: (value: T, writer: this) => void): this {
    this.int32(items.length);
    for (const value of items) item(value, this);
    return this;
  }
  compactArray<T>(items: readonly T[], item: (value: T, writer: this) => void): this {
    this.uvarint(items.length + 1);
    for (const value of items) item(value, this);
    return this;
  }
  /** Topics in turn, each with its partitions. */
  topics<T extends TopicPartition>(places: readonly T[], partition: (at: T) => void): this {
    return this.array([...Map.groupBy(places, ({ topic }) => topic)], ([topic, own]) => {
      this.string(topic).array(own, partition);
    });
  }
  uvarint(value: number): this {
    for (let rest = value; ; rest >>>= 7) {
      const at = this.#take(1);
      this.#buffer.writeUInt8(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest, at);
      if (rest <= 0x7f) return this;
    }
  }
  noTags(): this {
    return this.uvarint(0);
  }
  raw(bytes: Buffer): this {
    const at = this.#take(bytes.length);
    bytes.copy(this.#buffer, at);
    return this;
  }

  #take(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#length, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    return at;
  }
}
