// The windows of a key that lie in one entry, in bytes: a byte for the form, the length of the times (uint32), the times as our
// JSON, then each aggregate in the format that its operator declares, with its length in front. An aggregate is the last element
// of a list of times, whatever the kind of window; its place in the JSON has a null.
import type { Codec, CodecOptions, SchemaFormat, WindowsFormat } from "../../core/schema.ts";
import { decodeError, encodeError, Fault } from "../faults.ts";
import { taggedJsonCodec } from "../tagged-json.ts";

/** JSON begins with no such byte. */
const FORM = 3;
const HEAD_BYTES = 5;
const LENGTH_BYTES = 4;

type Timed = readonly unknown[];

export class WindowsCodec implements Codec {
  readonly isValidated: boolean;
  readonly #aggregate: Codec;
  readonly #times: Codec;
  readonly #where: CodecOptions["where"];

  constructor(
    { of }: WindowsFormat,
    options: CodecOptions,
    compile: (format: SchemaFormat, options: CodecOptions) => Codec,
  ) {
    this.#where = options.where;
    this.#aggregate = compile(of, options);
    this.#times = taggedJsonCodec(options.where);
    this.isValidated = this.#aggregate.isValidated === true;
  }

  encode(value: unknown): Buffer {
    const bodies: Buffer[] = [];
    const times = this.#times.encode(
      withAggregates(value, (aggregate) => {
        const body = this.#aggregate.encode(aggregate);
        if (body === null) throw encodeError("a window's aggregate has no bytes", this.#where);
        bodies.push(lengthOf(body), body);
        return null;
      }),
    ) as Buffer;
    return Buffer.concat([Buffer.of(FORM), lengthOf(times), times, ...bodies]);
  }

  decode(bytes: Buffer | null): unknown {
    try {
      const [times, ...bodies] = [...piecesIn(bytes)];
      const all = bodies[Symbol.iterator]();
      const value = withAggregates(this.#times.decode(times ?? null), () => {
        const { value: body = null } = all.next() as IteratorResult<Buffer, undefined>;
        if (body === null) throw new Fault("MILL_DECODE_SCHEMA", "it lacks an aggregate");
        return this.#aggregate.decode(body);
      });
      if (all.next().done !== true)
        throw new Fault("MILL_DECODE_SCHEMA", "it has an aggregate without times");
      return value;
    } catch (error) {
      throw error instanceof Fault ? decodeError(error, "MILL_DECODE_SCHEMA", this.#where) : error;
    }
  }

  /** Never throws: bytes that are no windows lack nothing. */
  unknownId(bytes: Buffer | null): number | null {
    try {
      for (const body of [...piecesIn(bytes)].slice(1)) {
        const id = this.#aggregate.unknownId(body);
        if (id !== null) return id;
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
    }
    return null;
  }
}

/** The entry with other aggregates, which are asked for in their order. */
function withAggregates(stored: unknown, of: (aggregate: unknown) => unknown): unknown {
  const one = (timed: unknown): Timed => {
    if (!Array.isArray(timed)) throw new Fault("MILL_DECODE_SCHEMA", "a window has no times");
    return timed.with(-1, of(timed.at(-1)));
  };
  // A key has one count window, whose times are the entry.
  if (Array.isArray(stored)) return typeof stored[0] === "number" ? one(stored) : stored.map(one);
  const copy = { ...(stored as Readonly<Record<string, unknown>>) };
  for (const list of ["sessions", "slides"])
    if (Array.isArray(copy[list])) copy[list] = copy[list].map(one);
  return copy;
}

function lengthOf({ length }: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES);
  bytes.writeUInt32BE(length);
  return bytes;
}

/** The times, then each aggregate: slices. Throws a Fault for other bytes. */
function* piecesIn(bytes: Buffer | null): Iterable<Buffer> {
  if (bytes === null || bytes.length < HEAD_BYTES || bytes[0] !== FORM)
    throw new Fault("MILL_DECODE_SCHEMA", "it is no windows of a key by a schema");
  for (let at = 1; at < bytes.length;) {
    const from = at + LENGTH_BYTES;
    const to = from <= bytes.length ? from + bytes.readUInt32BE(at) : Infinity;
    if (to > bytes.length) throw new Fault("MILL_DECODE_SCHEMA", "an aggregate of it is cut off");
    yield bytes.subarray(from, to);
    at = to;
  }
}
