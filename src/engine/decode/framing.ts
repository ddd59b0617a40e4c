// Bytes that are no record of a topic's format, recognised by their form: other serializers' framings, other encodings, files.
// Only for messages, once decoding has failed; a text here names a form and never contains a part of the bytes.
import { isUtf8 } from "node:buffer";

/** A guess at bytes that are not JSON; null where nothing is recognised. */
export function framingOf(bytes: Buffer): string | null {
  const found = signatures.find(({ head }) => beginsWith(bytes, head));
  return found?.name ?? glue(bytes) ?? utf16(bytes) ?? magicFraming(bytes);
}

/** With the form that the bytes have instead, where one is known. */
export function withForm(what: string, bytes: Buffer): string {
  const framing = framingOf(bytes);
  return framing === null ? what : `${what}: ${framing}`;
}

/** A guess at bytes that have no magic byte 0. */
export const unframed = (bytes: Buffer): string | null => framingOf(bytes) ?? plainText(bytes);

/**
 * A guess at bytes whose schema id is none of ours, or whose body does not fit it; "" where nothing
 * is recognised.
 */
export function otherBody(bytes: Buffer): string {
  const framing = utf16(bytes) ?? magicFraming(bytes);
  if (framing === null || framing === WIRE_FORMAT) return "";
  // Avro's own bytes may look so too.
  return framing === PROTOBUF ? `; the body also fits ${PROTOBUF_NAME}` : `; ${framing}`;
}

const signatures: readonly { readonly head: readonly number[]; readonly name: string }[] = [
  { head: [0xef, 0xbb, 0xbf], name: "it begins with a UTF-8 byte order mark" },
  { head: [0xff, 0xfe], name: "it begins with a byte order mark of UTF-16" },
  { head: [0xfe, 0xff], name: "it begins with a byte order mark of UTF-16" },
  { head: [0xc3, 0x01], name: "it looks like Avro's single-object encoding (C3 01)" },
  { head: [0x4f, 0x62, 0x6a, 0x01], name: "it looks like an Avro container file (Obj)" },
  { head: [0x1f, 0x8b], name: "it looks like gzip" },
  { head: [0x28, 0xb5, 0x2f, 0xfd], name: "it looks like zstd" },
  { head: [0x04, 0x22, 0x4d, 0x18], name: "it looks like LZ4" },
  { head: [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00], name: "it looks like snappy" },
  { head: [0xac, 0xed, 0x00, 0x05], name: "it looks like a serialized Java object" },
];

const beginsWith = (bytes: Buffer, head: readonly number[]): boolean =>
  head.every((byte, i) => bytes[i] === byte);

const GLUE_BYTES = 18;

/** Version 3, compression none (0) or zlib (5), and the UUID of a schema's version. */
const glue = (bytes: Buffer): string | null =>
  bytes[0] === 3 && (bytes[1] === 0 || bytes[1] === 5) && bytes.length >= GLUE_BYTES
    ? "it looks like the framing of AWS Glue Schema Registry (03, compression, UUID)"
    : null;

/** JSON in UTF-16: every other byte of its beginning is 0. */
function utf16(bytes: Buffer): string | null {
  if (bytes.length < 4 || bytes.length % 2 !== 0) return null;
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  return isWide([a, c], [b, d]) || isWide([b, d], [a, c]) ? "it looks like UTF-16" : null;
}

const isWide = (high: readonly number[], low: readonly number[]): boolean =>
  high.every((byte) => byte === 0) && low.every((byte) => byte > 0 && byte < 0x80);

const ID_END = 5;
const LONG_ID_END = 9;

/** The magic byte 0, and an id: of four bytes, or of eight. */
function magicFraming(bytes: Buffer): string | null {
  if (bytes[0] !== 0 || bytes.length <= ID_END) return null;
  if (isJsonFrom(bytes, ID_END))
    return "it looks like Confluent's JSON Schema framing (magic byte 0, schema id, JSON)";
  if (isJsonFrom(bytes, LONG_ID_END)) return `${LONG_ID}, and JSON`;
  // Ids of four bytes begin with 1.
  if (bytes.readInt32BE(1) === 0 && bytes.length >= LONG_ID_END) return LONG_ID;
  return isProtobufFrom(bytes, ID_END) ? PROTOBUF : WIRE_FORMAT;
}

const LONG_ID = "it looks like a framing with ids of eight bytes, as Apicurio's default is";
const PROTOBUF_NAME = "Confluent's Protobuf framing (magic byte 0, schema id, message index)";
const PROTOBUF = `it looks like ${PROTOBUF_NAME}`;
/** Which is what an Avro topic has. */
const WIRE_FORMAT =
  "it looks like Confluent's wire format (magic byte 0, schema id) with Avro or Protobuf";

/** The index of the first message, a single 0, and the tag of a field. */
function isProtobufFrom(bytes: Buffer, from: number): boolean {
  const tag = bytes[from + 1];
  if (bytes[from] !== 0 || tag === undefined) return false;
  const wireType = tag & 7;
  return tag >> 3 > 0 && (wireType <= 2 || wireType === 5);
}

const BRACES = new Map([
  [0x7b, 0x7d],
  [0x5b, 0x5d],
]);
const SPACES = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** From an opening brace or bracket to one that fits it, and UTF-8 between. */
function isJsonFrom(bytes: Buffer, from: number): boolean {
  let [begin, end] = [from, bytes.length - 1];
  while (begin < end && SPACES.has(bytes[begin] as number)) begin++;
  while (end > begin && SPACES.has(bytes[end] as number)) end--;
  const closing = BRACES.get(bytes[begin] ?? 0);
  return closing !== undefined && bytes[end] === closing && isUtf8(bytes.subarray(begin));
}

/** A guess at plain JSON where a binary format was expected. */
function plainText(bytes: Buffer): string | null {
  if (!isJsonFrom(bytes, 0)) return null;
  const envelope = envelopeOf(parsed(bytes));
  return envelope ?? "it looks like plain JSON";
}

/** Larger ones are not parsed for the sake of a message. */
const PARSED_BYTES_MAX = 1_048_576;

function parsed(bytes: Buffer): unknown {
  if (bytes.length > PARSED_BYTES_MAX) return null;
  try {
    return JSON.parse(bytes.toString("utf8")) as unknown;
  } catch {
    return null;
  }
}

type Fields = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const CONNECT = "it looks like an envelope of Kafka Connect's JsonConverter (schema, payload)";
const CONNECT_MEND = "set schemas.enable=false in the connector";
const DEBEZIUM = "it looks like a change event of Debezium (before, after, op)";
const DEBEZIUM_MEND = "unwrap it: ExtractNewRecordState";

/** A value that is wrapped by Kafka Connect or Debezium; null for a plain one. */
export function envelopeOf(value: unknown): string | null {
  if (!isObject(value)) return null;
  if (isChangeEvent(value)) return `${DEBEZIUM}: ${DEBEZIUM_MEND}`;
  if (!isConnect(value)) return null;
  return isObject(value["payload"]) && isChangeEvent(value["payload"])
    ? `${DEBEZIUM}, in ${CONNECT.replace("it looks like ", "")}: ${DEBEZIUM_MEND}, ${CONNECT_MEND}`
    : `${CONNECT}: ${CONNECT_MEND}`;
}

function isConnect(value: Fields): boolean {
  const { schema } = value;
  if (Object.keys(value).length !== 2 || !("payload" in value)) return false;
  return schema === null || (isObject(schema) && typeof schema["type"] === "string");
}

const isChangeEvent = (value: Fields): boolean =>
  typeof value["op"] === "string" &&
  /^[crudtm]$/.test(value["op"]) &&
  "source" in value &&
  ("after" in value || "before" in value);

/** A writer's schema in the registry that is no Avro; null where it may be some. */
export function foreignSchemaOf(text: string): string | null {
  if (/^\s*(\/\/|\/\*|syntax\s*=|edition\s*=|package\s|import\s|message\s|option\s)/.test(text))
    return "it is a Protobuf schema";
  const schema = parsed(Buffer.from(text));
  if (!isObject(schema)) return null;
  const { type } = schema;
  const isJsonSchema = "$schema" in schema || "properties" in schema || type === "object";
  return isJsonSchema ? "it is a JSON Schema" : null;
}
