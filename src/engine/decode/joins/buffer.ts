// The chunks of a join's buffers: a byte for the side, the number of chunks, then each record: whether it has found a partner,
// its two times, and its value in the format of its side, with its length in front.
import { BufferedRecord, SIDE_NAMES, type BufferChunk } from "../../core/join-buffer.ts";
import type {
  Codec,
  CodecOptions,
  JoinBufferFormat,
  NotedShape,
  SchemaFormat,
} from "../../core/schema.ts";
import { decodeError, Fault } from "../faults.ts";

const HEAD_BYTES = 5;
const RECORD_BYTES = 21;

export class JoinBufferCodec implements Codec {
  readonly #sides: readonly Codec[];
  /** By side: the name under which structures of its values are noted. */
  readonly #names: readonly string[];
  readonly #where: CodecOptions["where"];

  constructor(
    { sides }: JoinBufferFormat,
    options: CodecOptions,
    compile: (format: SchemaFormat, options: CodecOptions) => Codec,
  ) {
    this.#where = options.where;
    this.#sides = sides.map((side) => compile(side, options));
    this.#names = sides.map(({ shapes }) => shapes);
  }

  encode(value: unknown): Buffer {
    const { side, chunks, records } = value as BufferChunk;
    const bytes = Buffer.allocUnsafe(this.bytesMax(value));
    bytes[0] = SIDE_NAMES.indexOf(side);
    bytes.writeUInt32BE(chunks, 1);
    let at = HEAD_BYTES;
    for (const { isMatched, timeMs, originMs, bytes: body } of records) {
      bytes[at] = isMatched ? 1 : 0;
      bytes.writeDoubleBE(timeMs, at + 1);
      bytes.writeDoubleBE(originMs, at + 9);
      bytes.writeUInt32BE(body.length, at + 17);
      at += RECORD_BYTES + body.copy(bytes, at + RECORD_BYTES);
    }
    return bytes;
  }

  bytesMax(value: unknown): number {
    const { records } = value as BufferChunk;
    return records.reduce((sum, { bytes }) => sum + RECORD_BYTES + bytes.length, HEAD_BYTES);
  }

  decode(bytes: Buffer | null): BufferChunk {
    try {
      const codec = this.#codecOf(bytes);
      const records = [...bodiesIn(bytes ?? Buffer.of())].map(({ head, body }) => {
        const times = { timeMs: head.readDoubleBE(1), originMs: head.readDoubleBE(9) };
        return new BufferedRecord(times, head[0] === 1, codec.decode(body), body);
      });
      if (!records.every(hasTimes)) throw new Fault("MILL_DECODE_SCHEMA", "a record has no time");
      const [side = 0] = bytes as Buffer;
      const chunks = (bytes as Buffer).readUInt32BE(1);
      return { side: SIDE_NAMES[side] as BufferChunk["side"], chunks, records };
    } catch (error) {
      throw decodeError(error, "MILL_DECODE_SCHEMA", this.#where);
    }
  }

  unknownId(bytes: Buffer | null): number | null {
    return this.#firstOf(bytes, (codec, body) => codec.unknownId(body));
  }

  unknownKept(bytes: Buffer | null): NotedShape | null {
    const id = this.#firstOf(bytes, (codec, body) => codec.unknownShape?.(body) ?? null);
    const notedUnder = this.#names[bytes?.[0] ?? 2];
    return id === null || notedUnder === undefined ? null : { notedUnder, id };
  }

  /** Never throws: bytes that are no chunk lack nothing. */
  #firstOf<T>(bytes: Buffer | null, of: (codec: Codec, body: Buffer) => T | null): T | null {
    try {
      const codec = this.#codecOf(bytes);
      for (const { body } of bodiesIn(bytes ?? Buffer.of())) {
        const found = of(codec, body);
        if (found !== null) return found;
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
    }
    return null;
  }

  #codecOf(bytes: Buffer | null): Codec {
    const codec =
      bytes === null || bytes.length < HEAD_BYTES ? undefined : this.#sides[bytes[0] ?? 2];
    if (codec === undefined) throw new Fault("MILL_DECODE_SCHEMA", "it is no chunk of a join");
    return codec;
  }
}

const hasTimes = ({ timeMs, originMs }: BufferedRecord): boolean =>
  Number.isSafeInteger(timeMs) && Number.isSafeInteger(originMs);

/** Slices of the chunk. */
function* bodiesIn(bytes: Buffer): Iterable<{ readonly head: Buffer; readonly body: Buffer }> {
  for (let at = HEAD_BYTES; at < bytes.length;) {
    const from = at + RECORD_BYTES;
    const to = from <= bytes.length ? from + bytes.readUInt32BE(at + 17) : Infinity;
    if (to > bytes.length) throw new Fault("MILL_DECODE_SCHEMA", "a record of it is cut off");
    yield { head: bytes.subarray(at, from), body: bytes.subarray(from, to) };
    at = to;
  }
}
