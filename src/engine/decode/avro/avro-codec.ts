// The Avro codec: Confluent wire format (0, schema id, body), writers' schemas by id resolved to the topic's schema.
// Each writer's schema is compiled once; where its bytes mean the same as ours, no resolution is needed.
import type { InnerType } from "./logical-types.ts";
import { DecimalType } from "./logical-types.ts";
import { parseAvro, parseWriter } from "../../core/avro-parser.ts";
import { resolutionOf } from "../../core/avro-resolution.ts";
import type { AvroShape } from "../../core/avro-shape.ts";
import { assert, ConfigError, DecodeError, MillraceError, messageOf } from "../../core/errors.ts";
import type { AvroSchema, Codec, CodecOptions } from "../../core/schema.ts";
import { ResolverCompiler } from "./resolver.ts";
import { emptyIn } from "./empty-values.ts";
import { avroTypeOf, type AvroType } from "./avro-types.ts";
import { breach, broken, decodeError, encodeError, Fault } from "../faults.ts";
import { foreignSchemaOf, otherBody, unframed } from "../framing.ts";
import { Tap } from "./tap.ts";

const MAGIC = 0;
const HEADER_BYTES = 5;
/** Compiled schemas of writers; more than one slice can have. */
const READS_MAX = 1_024;
/** Reading with one writer's schema; or why that is impossible, found once and thrown for each of its records. */
type Read = ((tap: Tap) => unknown) | Fault;

/** Compiles an Avro schema into a codec; throws ConfigError MILL_SCHEMA_INVALID when it is none. */
export function avroCodec(name: string, schema: AvroSchema, options: CodecOptions): Codec {
  const shape = parseAvro(schema);
  try {
    return new AvroCodec(name, shape, avroTypeOf(shape), options);
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    if (error instanceof RangeError)
      throw new ConfigError("MILL_SCHEMA_INVALID", `${name}: a default contains itself`);
    // avsc's text quotes the schema, no data.
    throw new ConfigError("MILL_SCHEMA_INVALID", `${name}: ${messageOf(error)}`, { cause: error });
  }
}

class AvroCodec implements Codec {
  readonly #name: string;
  readonly #shape: AvroShape;
  readonly #type: AvroType;
  readonly #options: CodecOptions;
  /** The one that was used longest ago comes first. */
  readonly #reads = new Map<number, Read>();
  #scratch = new Tap(Buffer.allocUnsafeSlow(1024));
  /** The writer of the last record is mostly the writer of the next. */
  #lastId = -1;
  #lastRead: Read | undefined;

  constructor(name: string, shape: AvroShape, type: AvroType, options: CodecOptions) {
    this.#name = name;
    this.#shape = shape;
    this.#type = type;
    this.#options = options;
  }

  encode(value: unknown): Buffer {
    const { writerId } = this.#options;
    if (writerId === null) throw new ConfigError("MILL_SCHEMA_UNREGISTERED", this.#name);
    try {
      const tap = this.#write(value);
      const bytes = Buffer.allocUnsafe(tap.pos);
      tap.buf.copy(bytes, 0, 0, tap.pos);
      bytes[0] = MAGIC;
      bytes.writeInt32BE(writerId, 1);
      return bytes;
    } catch (error) {
      throw encodeError(this.#problemOf(value, error), this.#options.where);
    }
  }

  #write(value: unknown): Tap {
    const tap = this.#scratch;
    tap.pos = HEADER_BYTES;
    this.#type._write(tap, value);
    if (tap.isValid()) return tap;
    this.#scratch = new Tap(Buffer.allocUnsafeSlow(2 * tap.pos));
    return this.#write(value);
  }

  /** The fields that do not fit, and what they would have to be; the writer itself does not know where it was. */
  #problemOf(value: unknown, error: unknown): string {
    const problems: string[] = [];
    const errorHook = (path: readonly string[], part: unknown, type: unknown): void => {
      problems.push(`${path.join(".") || "the value"}: ${expectation(type as InnerType, part)}`);
    };
    try {
      this.#type.isValid(value, { errorHook } as never);
    } catch (other) {
      return messageOfFault(other);
    }
    return problems[0] ?? messageOfFault(error);
  }

  decode(bytes: Buffer | null): unknown {
    try {
      return this.#decode(bytes);
    } catch (error) {
      if (error instanceof MillraceError && !(error instanceof DecodeError)) throw error;
      throw decodeError(withBody(error, bytes), "MILL_DECODE_AVRO", this.#options.where);
    }
  }

  #decode(bytes: Buffer | null): unknown {
    if (bytes === null || bytes.length === 0) throw new Fault("MILL_DECODE_EMPTY", "");
    if (bytes[0] !== MAGIC) throw new Fault("MILL_DECODE_MAGIC", unframed(bytes) ?? "");
    if (bytes.length < HEADER_BYTES) throw broken("truncated before the end of the schema id");
    const read = this.#readFor(bytes.readInt32BE(1), bytes);
    if (read instanceof Fault) throw read;
    const tap = new Tap(bytes, HEADER_BYTES);
    const value = read(tap);
    if (tap.pos < bytes.length) throw broken("there are bytes left after the record");
    return value;
  }

  #readFor(id: number, bytes: Buffer): Read {
    if (id === this.#lastId && this.#lastRead !== undefined) return this.#lastRead;
    const read = this.#reads.get(id) ?? this.#learn(id, bytes);
    if (this.#reads.delete(id)) this.#reads.set(id, read);
    this.#lastId = id;
    this.#lastRead = read;
    return read;
  }

  #learn(id: number, bytes: Buffer): Read {
    const text = this.#options.schemas.get(id);
    assert(text !== undefined, `the schema ${String(id)} was not learnt before its record`);
    // Not remembered: it may be registered later.
    if (text === "unknown")
      throw new Fault("MILL_DECODE_UNKNOWN_SCHEMA", `id ${String(id)}${otherBody(bytes)}`);
    const read = this.#readerOf(id, text);
    this.#reads.set(id, read);
    const [oldest] = this.#reads.keys();
    if (this.#reads.size > READS_MAX && oldest !== undefined) this.#reads.delete(oldest);
    return read;
  }

  #readerOf(id: number, text: string): Read {
    const named = `writer's schema ${String(id)}`;
    try {
      const action = resolutionOf(this.#shape, parseWriter(JSON.parse(text) as AvroSchema));
      const type = this.#type;
      if (action.kind === "read") return counted(type);
      const compiler = new ResolverCompiler(`${named} cannot be read as ${this.#name}`);
      const resolver = compiler.resolver(action, type);
      return counted(resolver);
    } catch (error) {
      return breach(named + reasonOf(error, text));
    }
  }

  unknownId(bytes: Buffer | null): number | null {
    if (bytes === null || bytes.length < HEADER_BYTES || bytes[0] !== MAGIC) return null;
    const id = bytes.readInt32BE(1);
    // A compiled schema may be dropped before its record comes: then its text is needed again.
    if (id === this.#lastId) return null;
    return this.#options.schemas.get(id) === undefined ? id : null;
  }
}

/** A schema alone may ask for very many values without bytes. */
function counted(reader: { _read(tap: Tap): unknown }): Read {
  const empty = emptyIn(reader);
  return (tap) => {
    if (empty > 0) tap.charge(empty);
    return reader._read(tap);
  };
}

/** A body that is no Avro at all says so. */
const withBody = (error: unknown, bytes: Buffer | null): unknown =>
  error instanceof Fault && error.code === "MILL_DECODE_AVRO" && bytes !== null
    ? broken(`${error.message}${otherBody(bytes)}`)
    : error;

function reasonOf(error: unknown, text: string): string {
  const foreign = foreignSchemaOf(text);
  if (foreign !== null) return `: ${foreign}, not Avro`;
  if (error instanceof ConfigError)
    return ` cannot be read: ${error.message.replace(/^an Avro file cannot be used: /, "")}`;
  if (error instanceof RangeError) return ": it is nested too deeply";
  return ": it is no Avro schema";
}

const messageOfFault = (error: unknown): string =>
  error instanceof Fault ? error.message : "it does not fit the schema";

function expectation(type: InnerType, value: unknown): string {
  if (type instanceof DecimalType) return type.problemOf(value) ?? "expected a decimal";
  const wanted = type.typeName.replace(/^(logical|union):/, "");
  return `expected ${wanted}, received ${wordFor(value)}`;
}
function wordFor(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" || typeof value === "undefined"
    ? typeof value
    : `a ${typeof value}`;
}
