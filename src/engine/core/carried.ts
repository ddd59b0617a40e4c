// The encoding of a value in a topic between parts, by its first byte: 0 is Avro as it came, under its writer's schema
// id; 1 is another origin's bytes behind the mark of its topic; 2 is our JSON behind the id of its structure. Anything
// else is our JSON as release 0.1.0 wrote it. JSON begins with none of these bytes.
import { createHash } from "node:crypto";
import type { TopicName } from "./record.ts";
import type { CarriedFormat, Origin, SchemaFormat } from "./schema.ts";

export const AVRO = 0;
export const MARKED = 1;
export const SHAPED = 2;
export const MARK_BYTES = 4;
export const SHAPE_CHARS = 8;

/** The mark of a topic, in front of its bytes. */
export const markOf = ({ topic, liveName = topic }: Pick<Origin, "topic" | "liveName">): Buffer =>
  createHash("sha256").update(liveName).digest().subarray(0, MARK_BYTES);

export const plainFormat = (format: SchemaFormat): SchemaFormat =>
  format.kind === "nullable" ? plainFormat(format.of) : format;

const isAvro = ({ format }: Origin): boolean => plainFormat(format).kind === "avro";

/**
 * The origin whose Avro needs no mark, or null. With a declared schema it is the last origin, if
 * the schema is Avro. Without one it is an Avro origin, if all Avro origins share one schema.
 */
export function avroOrigin({ declared, origins }: CarriedFormat): Origin | null {
  if (declared !== null)
    return plainFormat(declared).kind === "avro" ? (origins.at(-1) ?? null) : null;
  const avro = origins.filter(isAvro);
  const texts = new Set(avro.map(({ format }) => JSON.stringify(plainFormat(format))));
  return texts.size === 1 ? (avro[0] ?? null) : null;
}

/** The name that notes have for Avro as it came. */
export const AS_AVRO = "as-avro";
/** The name that notes have for a value as it came from a topic that is none of the sources. */
export const FOREIGN = "no-source";
/** The name that notes have for a value of a topic as it came there. */
export const fromTopic = (origin: Origin): string => `from-${markOf(origin).toString("hex")}`;

/** The name in notes of a value's form or structure: the id of a structure, or how it came. */
export function shapeIn(bytes: Buffer): string {
  if (bytes[0] === SHAPED) return bytes.toString("latin1", 1, 1 + SHAPE_CHARS);
  return bytes[0] === AVRO ? AS_AVRO : `from-${bytes.toString("hex", 1, 1 + MARK_BYTES)}`;
}

/**
 * The bytes of a record's value as an internal topic carries them; undefined where its topic is none of the origins. A
 * record that comes out of an internal topic (`internal`) lies right already.
 */
export function carrier(
  format: CarriedFormat,
  internal: readonly TopicName[],
): (topic: TopicName, value: Buffer | null) => Buffer | null | undefined {
  const unmarked = avroOrigin(format);
  const marks = new Map<TopicName, Buffer | null>();
  for (const origin of format.origins) {
    const isPlain = unmarked !== null && isAvro(origin);
    const mark = isPlain ? null : Buffer.concat([Buffer.of(MARKED), markOf(origin)]);
    marks.set(origin.topic, mark);
  }
  for (const topic of internal) marks.set(topic, null);
  return (topic, value) => {
    const mark = marks.get(topic);
    if (mark === undefined) return undefined;
    return mark === null || value === null ? value : Buffer.concat([mark, value]);
  };
}
