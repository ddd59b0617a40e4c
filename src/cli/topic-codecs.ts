// Keys and values of a topic, to bytes and back, for the verbs that write and show records. Writers' schemas are
// learnt from the registry before a batch is decoded; what cannot be decoded is shown as an error, not thrown.
import { ConfigError, MillraceError, notMadeYet } from "../engine/core/errors.ts";
import { learnAll } from "../engine/core/learn-all.ts";
import type { PlanTopic } from "../engine/core/plan.ts";
import type { Clock, SchemaRegistry } from "../engine/core/ports.ts";
import type { RawRecord } from "../engine/core/record.ts";
import type { Codec, SchemaFormat, WriterSchemas } from "../engine/core/schema.ts";
import { compileCodec } from "../engine/decode/codec.ts";
import { subjectOf } from "../engine/core/schema.ts";
import { SchemaCache } from "../engine/runtime/task/schema-cache.ts";

interface KeyAndValue {
  readonly key: Codec;
  readonly value: Codec;
}

/** A key or a value, or why the bytes are none. */
export type Decoded =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: string; readonly message: string };

export interface DecodedRecord {
  readonly raw: RawRecord;
  readonly key: Decoded;
  readonly value: Decoded;
}

type BatchDecoder = (records: readonly RawRecord[]) => Promise<readonly DecodedRecord[]>;

const SIDES = ["key", "value"] as const;
type Side = (typeof SIDES)[number];

/** Codecs for a check: what they write is thrown away. */
export function uncheckedCodecs(topic: PlanTopic): KeyAndValue {
  const codec = (side: Side): Codec =>
    compileCodec(topic[side], {
      schemas: { get: () => undefined },
      writerId: 0,
      where: { topic: topic.name },
    });
  return { key: codec("key"), value: codec("value") };
}

/** Codecs that write under the registered ids; throws MILL_SCHEMA_UNREGISTERED when there is none. */
export async function writingCodecs(
  topic: PlanTopic,
  registry: SchemaRegistry,
): Promise<KeyAndValue> {
  const unread: WriterSchemas = { get: () => undefined };
  const codec = async (side: Side): Promise<Codec> =>
    compileCodec(topic[side], {
      schemas: unread,
      writerId: await writerIdOf(topic, side, registry),
      where: { topic: topic.name },
    });
  return { key: await codec("key"), value: await codec("value") };
}

async function writerIdOf(
  topic: PlanTopic,
  side: Side,
  registry: SchemaRegistry,
): Promise<number | null> {
  const format = innerOf(topic[side]);
  if (format.kind !== "avro") return null;
  const subject = subjectOf(topic.name, side);
  const id = await registry.idOf(subject, JSON.stringify(format.schema));
  if (id === null) throw new ConfigError("MILL_SCHEMA_UNREGISTERED", notMadeYet(subject));
  return id;
}

const innerOf = (format: SchemaFormat): SchemaFormat =>
  format.kind === "nullable" || format.kind === "windows" ? innerOf(format.of) : format;

/** Decodes by the topic's declaration; null for a topic without one: then texts are shown, and other bytes in Base64. */
export function batchDecoder(
  topic: PlanTopic | null,
  registry: SchemaRegistry,
  clock: Clock,
): BatchDecoder {
  if (topic === null) return (records) => Promise.resolve(records.map(undeclared));
  // No grace for an id that is not known: somebody waits, and asking again is one key press.
  const schemas = new SchemaCache(registry, clock, { graceMs: 0, unknownMs: Infinity });
  const options = { schemas, writerId: null, where: { topic: topic.name } };
  const codecs: KeyAndValue = {
    key: compileCodec(topic.key, options),
    value: compileCodec(topic.value, options),
  };
  return async (records) => {
    await learnAll(
      () => unknownIds(records, codecs),
      (ids) => schemas.learn(ids),
    );
    return records.map((raw) => ({
      raw,
      key: decoded(codecs.key, raw.key),
      value: decoded(codecs.value, raw.value),
    }));
  };
}

const unknownIds = (records: readonly RawRecord[], codecs: KeyAndValue): ReadonlySet<number> =>
  new Set(
    records.flatMap((one) => SIDES.flatMap((side) => codecs[side].unknownId(one[side]) ?? [])),
  );

function decoded(codec: Codec, bytes: Buffer | null): Decoded {
  if (bytes === null) return { ok: true, value: null };
  try {
    return { ok: true, value: codec.decode(bytes) };
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return { ok: false, code: error.code, message: error.message };
  }
}

const undeclared = (raw: RawRecord): DecodedRecord => ({
  raw,
  key: { ok: true, value: textOf(raw.key) },
  value: { ok: true, value: textOf(raw.value) },
});

const strictText = new TextDecoder("utf-8", { fatal: true });
function textOf(bytes: Buffer | null): unknown {
  if (bytes === null) return null;
  try {
    return strictText.decode(bytes);
  } catch {
    return Uint8Array.from(bytes);
  }
}
