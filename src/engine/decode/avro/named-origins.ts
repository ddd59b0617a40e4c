// Avro without a mark in a topic between parts, written when the sources had one schema, and read when they have several: the
// name of the writer's record says whose it is.
import { isNamedAlike } from "../../core/avro-matching.ts";
import { parseAvro, parseWriter } from "../../core/avro-parser.ts";
import type { AvroShape, RecordShape } from "../../core/avro-shape.ts";
import { plainFormat } from "../../core/carried.ts";
import type { AvroSchema, Codec, SchemaFormat, WriterSchemas } from "../../core/schema.ts";

interface OriginReader {
  readonly reader: RecordShape;
  readonly codec: Codec;
}

export class NamedOrigins {
  readonly #schemas: WriterSchemas;
  readonly #readers: OriginReader[] = [];
  /** By the writer's schema id. */
  readonly #found = new Map<number, Codec | null>();

  constructor(schemas: WriterSchemas) {
    this.#schemas = schemas;
  }

  add(format: SchemaFormat, codec: Codec): void {
    const plain = plainFormat(format);
    const reader = plain.kind === "avro" ? parseAvro(plain.schema) : null;
    if (reader?.kind === "record") this.#readers.push({ reader, codec });
  }

  /** Null when it belongs to none, or may belong to several. Until the writer's schema is learnt, any that asks for it. */
  of(bytes: Buffer): Codec | null {
    const id = bytes.length < 5 ? null : bytes.readInt32BE(1);
    const text = id === null ? "unknown" : this.#schemas.get(id);
    const [first] = this.#readers;
    if (id === null || text === undefined || text === "unknown") return first?.codec ?? null;
    let found = this.#found.get(id);
    if (found === undefined) this.#found.set(id, (found = this.#ofWriter(text)));
    return found;
  }

  #ofWriter(text: string): Codec | null {
    const writer = writerOf(text);
    if (writer?.kind !== "record") return null;
    const alike = this.#readers.filter(({ reader }) => isNamedAlike(reader, writer));
    const same = alike.filter(({ reader }) => reader.name === writer.name);
    const [found, ...others] = same.length > 0 ? same : alike;
    return others.length === 0 ? (found?.codec ?? null) : null;
  }
}

/** Null for a schema that cannot be read. */
function writerOf(text: string): AvroShape | null {
  try {
    return parseWriter(JSON.parse(text) as AvroSchema);
  } catch {
    return null;
  }
}
