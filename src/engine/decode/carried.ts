// Values between two parts of a pipeline: as they came, by a declared schema, or as our JSON with the id of its structure
// (core/carried.ts has the bytes). Reading knows every form: a deploy may change which one is written.
import {
  AVRO,
  avroOrigin,
  FOREIGN,
  MARK_BYTES,
  MARKED,
  markOf,
  shapeIn,
  SHAPE_CHARS,
  SHAPED,
} from "../core/carried.ts";
import type { CarriedFormat, Codec, CodecOptions, SchemaFormat } from "../core/schema.ts";
import { NamedOrigins } from "./avro/named-origins.ts";
import { decodeError, Fault } from "./faults.ts";
import { taggedJsonCodec } from "./tagged-json.ts";

type Compile = (format: SchemaFormat, options: CodecOptions) => Codec;

/** Values by a declared schema of which the structure is noted, so that values from before the declaration can be compared. */
const DECLARED_NOTED = 200;

export class CarriedCodec implements Codec {
  readonly #format: CarriedFormat;
  readonly #options: CodecOptions;
  readonly #json: Codec;
  readonly #avro: Codec | null;
  /** The origins of Avro without a mark, where it is no longer that of one schema alone. */
  readonly #named: NamedOrigins;
  /** By mark, as hex. */
  readonly #marked = new Map<string, Codec>();
  #noted = 0;

  constructor(format: CarriedFormat, options: CodecOptions, compile: Compile) {
    this.#format = format;
    this.#options = options;
    this.#json = taggedJsonCodec(options.where);
    const unmarked = avroOrigin(format);
    this.#avro = unmarked === null ? null : compile(unmarked.format, options);
    this.#named = new NamedOrigins(options.schemas);
    for (const origin of format.origins) {
      const codec = compile(origin.format, options);
      this.#marked.set(markOf(origin).toString("hex"), codec);
      this.#named.add(origin.format, codec);
    }
  }

  encode(value: unknown): Buffer | null {
    const { writes, shapes } = this.#format;
    const { shapes: book } = this.#options;
    if (writes === "declared") return this.#declared(value);
    const bytes = this.#json.encode(value);
    // Without a book there is nobody to compare structures, as in release 0.1.0.
    if (book === undefined || bytes === null) return bytes;
    return shaped(book.idOf(shapes, value), bytes);
  }

  #declared(value: unknown): Buffer | null {
    const { shapes, origins } = this.#format;
    if (this.#noted < DECLARED_NOTED) {
      this.#noted++;
      this.#options.shapes?.idOf(shapes, value);
    }
    if (this.#avro !== null) return this.#avro.encode(value);
    const mark = markOf(origins.at(-1) ?? { topic: "" });
    const bytes = this.#marked.get(mark.toString("hex"))?.encode(value) ?? null;
    return bytes === null ? null : Buffer.concat([Buffer.of(MARKED), mark, bytes]);
  }

  decode(bytes: Buffer | null): unknown {
    const shape = this.unknownShape(bytes);
    const codec = this.#codecOf(bytes);
    if (shape !== null || codec === null)
      throw decodeError(
        new Fault("MILL_DECODE_SHAPE", shape ?? "it came from a topic that is none of its sources"),
        "MILL_DECODE_SHAPE",
        this.#options.where,
      );
    return codec.decode(bytes === null ? null : bodyOf(bytes));
  }

  unknownId(bytes: Buffer | null): number | null {
    if (bytes === null || bytes.length === 0 || (bytes[0] as number) > MARKED) return null;
    return this.#codecOf(bytes)?.unknownId(bodyOf(bytes)) ?? null;
  }

  unknownShape(bytes: Buffer | null): string | null {
    const { shapes: book } = this.#options;
    const first = bytes?.[0] ?? SHAPED + 1;
    if (book === undefined || bytes === null || first > SHAPED) return null;
    const shape = this.#shapeOf(bytes);
    return shape === null || book.isKnown(this.#format.shapes, shape) ? null : shape;
  }

  /** Null for a value as it came, where this code reads what has come: what a step has made of it would be another. */
  #shapeOf(bytes: Buffer): string | null {
    if (bytes[0] !== SHAPED && this.#codecOf(bytes) === null) return FOREIGN;
    return bytes[0] === SHAPED || this.#format.writes === "tagged" ? shapeIn(bytes) : null;
  }

  /** Null for a value as it came from a topic that is none of the origins. */
  #codecOf(bytes: Buffer | null): Codec | null {
    const first = bytes?.[0];
    if (bytes !== null && first === AVRO) return this.#avro ?? this.#named.of(bytes);
    if (bytes === null || first !== MARKED) return this.#json;
    return this.#marked.get(bytes.toString("hex", 1, 1 + MARK_BYTES)) ?? null;
  }
}

function bodyOf(bytes: Buffer): Buffer {
  const first = bytes[0];
  if (first === SHAPED) return bytes.subarray(1 + SHAPE_CHARS);
  return first === MARKED ? bytes.subarray(1 + MARK_BYTES) : bytes;
}

function shaped(id: string, bytes: Buffer): Buffer {
  const whole = Buffer.allocUnsafe(1 + SHAPE_CHARS + bytes.length);
  whole[0] = SHAPED;
  whole.write(id, 1, "latin1");
  bytes.copy(whole, 1 + SHAPE_CHARS);
  return whole;
}
