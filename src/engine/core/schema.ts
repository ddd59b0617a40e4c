// A schema is a format, and the types that it reads and writes. Codecs are compiled from it in decode/.
import type { ErrorOptionsOfOurs } from "./errors.ts";
import type { TopicName } from "./record.ts";

/** Phantom: the type that reading bytes returns. */
export interface Decoder<out T> {
  readonly "~reads"?: T;
}
/** Phantom: the type that writing accepts. */
export interface Encoder<in T> {
  readonly "~writes"?: (value: T) => void;
}

export interface Schema<T> {
  readonly format: SchemaFormat;
  readonly reads: Decoder<T>;
  readonly writes: Encoder<T>;
}

/** A parsed Avro schema, as in an .avsc file. */
export type AvroSchema = string | readonly AvroSchema[] | { readonly [field: string]: unknown };

export type SchemaFormat =
  | { readonly kind: "avro"; readonly name: string; readonly schema: AvroSchema }
  | { readonly kind: "json"; readonly validator: JsonValidator | null }
  | { readonly kind: "string" | "bytes" | "long" }
  /** Ours, for internal topics: JSON that marks decimals, bigints and bytes. */
  | { readonly kind: "tagged-json" }
  | CarriedFormat
  | JoinBufferFormat
  | WindowsFormat
  | { readonly kind: "nullable"; readonly of: SchemaFormat };

/** A topic whose values an internal topic may carry, and how they are written there. */
export interface Origin {
  readonly topic: TopicName;
  /** The topic's name in the live pipeline, where a run reads it under another: its mark is of that name. */
  readonly liveName?: TopicName;
  readonly format: SchemaFormat;
}

/**
 * Ours, for topics between parts. as-they-came: a value that no step has changed keeps the bytes that it had in its topic,
 * so its writer's schema comes along · declared: written by the schema that the operator declares · tagged: what the code
 * has made, as JSON with the id of its structure. Every form is read, whatever is written.
 */
export interface CarriedFormat {
  readonly kind: "carried";
  readonly writes: "as-they-came" | "declared" | "tagged";
  /** Topics above; the declared format comes last, under the name of the internal topic. */
  readonly origins: readonly Origin[];
  readonly declared: SchemaFormat | null;
  /** The topic under whose name structures of the tagged values are noted. */
  readonly shapes: TopicName;
}

/** Ours, for the records that a stream join keeps: each in the format of its side. */
export interface JoinBufferFormat {
  readonly kind: "join-buffer";
  /** Left and right; none before it is known what feeds them. */
  readonly sides: readonly CarriedFormat[];
  /** Records of so many ms lie together. */
  readonly widthMs: number;
}

/** Ours, for the windows of a key that lie in one entry: their times, and each aggregate in the format of its operator. */
export interface WindowsFormat {
  readonly kind: "windows";
  readonly of: SchemaFormat;
}

/**
 * The format that is registered for a topic's side: itself, the one that an internal topic declares, or that of the aggregates
 * in a store of windows.
 */
export function ownFormat(format: SchemaFormat): SchemaFormat {
  if (format.kind === "windows") return format.of;
  return format.kind === "carried" ? (format.declared ?? format) : format;
}

/** Returns the checked value or throws; made from a zod or any Standard Schema validator. */
export type JsonValidator = (value: unknown) => unknown;

/**
 * Bytes to value and back, synchronously. `null` bytes are a null key or a tombstone and never come here, except for a
 * nullable format.
 */
export interface Codec {
  /** Throws MillraceError MILL_ENCODE_VALUE. */
  encode(value: unknown): Buffer | null;
  /** Throws DecodeError (MILL_DECODE_*); needs the writer's schema: see `unknownId`. */
  decode(bytes: Buffer | null): unknown;
  /** The schema id in the bytes when the writer's schema must be learnt first, else null. Never throws. */
  unknownId(bytes: Buffer | null): number | null;
  /** The form or structure of the bytes when the reader must know first that its code fits them; else null. Never throws. */
  unknownShape?(bytes: Buffer | null): string | null;
  /** As `unknownShape`, of the values in an entry of a store. Never throws. */
  unknownKept?(bytes: Buffer | null): NotedShape | null;
  /** A bound for the bytes of a value that `encode` takes for certain; null where only trying shows it. */
  bytesMax?(value: unknown): number | null;
  /** Set where `decode` may refuse what `encode` takes: a validator looks at what is read. */
  readonly isValidated?: boolean;
}

/** Writers' schemas by registry id, filled by the runtime before a batch is decoded. */
export interface WriterSchemas {
  /** The schema text; "unknown" when the registry has none; undefined when it was not asked yet. */
  get(id: number): string | "unknown" | undefined;
}

/** Structures of the values that the code has made, by the topic under whose name they are noted. */
export interface Shapes {
  /** Eight characters, in front of the value. */
  idOf(topic: TopicName, value: unknown): string;
  isKnown(topic: TopicName, id: string): boolean;
}

/** A structure, with the name under which it is noted. */
export interface NotedShape {
  readonly notedUnder: TopicName;
  readonly id: string;
}

/** The settings of `compileCodec`. */
export interface CodecOptions {
  readonly schemas: WriterSchemas;
  /** Our own schema's registry id, put before every value that is written; null in formats without registry. */
  readonly writerId: number | null;
  readonly where?: ErrorOptionsOfOurs["where"];
  /** Left out by who only shows values: nothing is noted, and everything is read. */
  readonly shapes?: Shapes;
}

/** The registry subject of a topic's keys or values (Confluent's TopicNameStrategy). */
export const subjectOf = (topic: string, side: "key" | "value"): string => `${topic}-${side}`;
