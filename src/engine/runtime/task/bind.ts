// Joins a part's plan to codecs and targets: decode in front, encode and partition behind, the compiled program between.
import { compileCodec } from "../../decode/codec.ts";
import { assert, MillraceError, Mistake, OutputRefusedError, settled } from "../../core/errors.ts";
import { DEFAULT_TIME_RULE, type TimeRule } from "../../core/event-time.ts";
import type { StepWatch } from "../../core/loop-memory.ts";
import type { Stage } from "../../core/outcome.ts";
import { carrier } from "../../core/carried.ts";
import type { Part, Plan, PlanNode, PlanTopic } from "../../core/plan.ts";
import { headersBytes, partitionOf, type Headers, type TopicName } from "../../core/record.ts";
import type { StateKey } from "../../core/state.ts";
import { subjectOf, type Codec, type WriterSchemas } from "../../core/schema.ts";
import { isCompacted } from "../../core/topic-config.ts";
import type { TableSpec } from "../../core/table-layout.ts";
import { withAge, withOrigin } from "../../core/time-headers.ts";
import type { ShapeBook } from "../shapes/book.ts";
import type { PartFacts } from "../../notes/stops.ts";
import { rowMapper } from "../../sinks/row-mapping.ts";
import type { EntryCodec } from "../../state/entry-codec.ts";
import type { Cursor, Emit } from "../../transform/operator.ts";
import { originsOf, sentOrigin, type OriginOf } from "../../transform/process/origin.ts";
import { compile, type Program } from "../../transform/program.ts";
import type { Repartition } from "../../transform/stateless/write.ts";
import { keyCodecsOf, unknownKeysOf } from "./line/key-codecs.ts";
import { entryCodecsOf } from "./line/entry-codecs.ts";
import { bufferEncodersOf, type BytesOf } from "./line/buffer-encoders.ts";
import { Refusals } from "./refusals.ts";

/** The codecs of one source topic's records. */
export interface SourceCodec {
  readonly key: Codec;
  readonly value: Codec;
  readonly timestamp: ((value: unknown) => unknown) | null;
  /** The rule for its times; null for an internal topic, whose records were judged at the source. */
  readonly timeRule: TimeRule | null;
  /** Another part of the pipeline writes it: its records carry ages, and markers are between them. */
  readonly isBetween: boolean;
  /** Its records carry their origins too. */
  readonly carriesOrigin: boolean;
}

export interface BoundPart {
  readonly part: Part;
  readonly plan: Plan;
  /** Name the part in metrics, in the log and in what people see. */
  readonly labels: { readonly pipeline: string; readonly part: string };
  readonly program: Program;
  readonly sources: ReadonlyMap<TopicName, SourceCodec>;
  /** Decodes the key of the records in front of a node. */
  keyOf(node: PlanNode, key: Buffer): unknown;
  /** The writers' schema ids of the keys of such entries, as far as they must be learnt first. */
  unknownKeyIds(store: string, keys: readonly StateKey[]): ReadonlySet<number>;
  /** The codec of each store's entries. */
  readonly stores: ReadonlyMap<string, EntryCodec>;
  /** The refusals by brokers, of all tasks of the part in this worker. */
  readonly refusals: Refusals;
  /** Null where nobody compares structures. */
  readonly shapes: ShapeBook | null;
}

/** The facts of a part for its stops. */
export const partFacts = ({ plan, part, labels }: BoundPart): PartFacts => ({
  ...labels,
  ...(plan.runOf === undefined ? {} : { runOf: plan.runOf }),
  topics: part.sources.map(({ name }) => name),
  redrive: plan.redrive,
  partitions: part.partitions,
  widthBySetting: part.sources
    .filter((one) => one.partitionsBy === "setting")
    .map(({ name }) => name),
  isStateful: part.stores.length > 0,
  usesTime: part.nodes.some(
    ({ facts, operation }) => facts.usesTime === true || operation.topic?.channels !== undefined,
  ),
  loadFirst: part.sources.flatMap(({ name, loadFirst }) => (loadFirst === true ? [name] : [])),
});

/** Registry ids of our own schemas, by topic and side. */
export type WriterIds = ReadonlyMap<string, number>;

export interface BindOptions {
  readonly schemas: WriterSchemas;
  readonly writerIds: WriterIds;
  /** Structures of values between parts; left out where nobody compares them. */
  readonly shapes?: ShapeBook;
  readonly watch?: StepWatch;
  onBroken(rule: string): void;
}

export function bindPart(plan: Plan, part: Part, options: BindOptions): BoundPart {
  const codec = (topic: PlanTopic, side: "key" | "value"): Codec =>
    compileCodec(topic[side], {
      schemas: options.schemas,
      writerId: options.writerIds.get(subjectOf(topic.name, side)) ?? null,
      where: { topic: topic.name },
      ...(options.shapes === undefined ? {} : { shapes: options.shapes }),
    });
  const sources = sourceCodecs(part, codec);
  const refusals = new Refusals();
  const originOf = originsOf(plan, part);
  const keyCodecOf = keyCodecsOf(part, sources);
  const keyOf: BoundPart["keyOf"] = (node, key) => keyCodecOf(node).decode(key);
  const program = compile(part, {
    onError: plan.options.onError,
    onBroken: options.onBroken,
    originOf,
    emitterOf: (node) => emitterOf(node, part, codec, { refusals, originOf }),
    ...{ keyOf, refusals },
    noteShape: (under, value) => void options.shapes?.idOf(under, value),
    bufferEncodersOf: (node) => bufferEncodersOf(node, (of) => bytesOf(of, part, codec)),
    ...(options.watch === undefined ? {} : { watch: options.watch }),
    keepingOf: ({ store, isCarried = false }) => ({
      isCarried,
      shapeOf: (value) => options.shapes?.idOf(store?.name ?? "", value) ?? null,
      decode: ({ topic, value }) => sourceOf(sources, topic).value.decode(value),
    }),
  });
  const labels = { pipeline: plan.pipeline, part: part.name };
  const shapes = options.shapes ?? null;
  const stores = entryCodecsOf(part, codec, shapes);
  const unknownKeyIds = unknownKeysOf(part, program, keyCodecOf);
  return { part, plan, labels, program, sources, keyOf, unknownKeyIds, stores, refusals, shapes };
}

const sourceCodecs = (part: Part, codec: CodecOf): Map<TopicName, SourceCodec> =>
  new Map(
    part.sources.map((topic) => [
      topic.name,
      {
        key: codec(topic, "key"),
        value: codec(topic, "value"),
        timestamp: topic.timestamp,
        timeRule: topic.internal === null ? (topic.timeRule ?? DEFAULT_TIME_RULE) : null,
        isBetween: topic.internal === "repartition",
        carriesOrigin: topic.carriesOrigin === true,
      },
    ]),
  );

/** The codec of a queued record's source. A topic of a run's own means the only source. */
export function sourceOf(sources: BoundPart["sources"], topic: TopicName): SourceCodec {
  const [only] = sources.values();
  const source = sources.get(topic) ?? (sources.size === 1 ? only : undefined);
  if (source !== undefined) return source;
  throw new MillraceError(
    "MILL_STATE_CHANGED",
    `queued records came from ${topic}, which is not read`,
  );
}

export type CodecOf = (topic: PlanTopic, side: "key" | "value") => Codec;

function emitterOf(
  node: PlanNode,
  part: Part,
  codec: CodecOf,
  own: Pick<WriteTarget, "refusals" | "originOf">,
): Emit {
  const { topic, table } = node.operation;
  if (table !== undefined) return toTable(rowMapper(table.declaration as TableSpec));
  assert(topic !== undefined, `${node.name} writes nothing`);
  const target = {
    ...{ topic, ...own },
    isBetween: node.facts.writes === "repartition",
    bytesMax: recordBytesMax(topic),
    isCompacted: isCompacted(topic.config),
  };
  const valueOf = bytesOf(topic, part, codec);
  if (node.facts.writes !== "repartition") return toTopic(target, valueOf);
  return toRepartition(node.operation as Repartition, target, codec(topic, "key"), valueOf);
}

/** Kafka's default message.max.bytes, less what a batch of one record adds. */
const RECORD_BYTES_MAX = 1_048_588 - 1_024;

/** The bytes that a topic takes in one record: key, value and headers. */
export const recordBytesMax = ({ config }: PlanTopic): number =>
  Number(config["max.message.bytes"] ?? RECORD_BYTES_MAX);

/** A topic that a node writes to, with what it takes. */
interface WriteTarget {
  readonly topic: PlanTopic;
  readonly bytesMax: number;
  /** Another part reads it: its records carry their ages. */
  readonly isBetween: boolean;
  readonly isCompacted: boolean;
  readonly refusals: Refusals;
  readonly originOf: OriginOf;
}

function put(cursor: Cursor, target: WriteTarget, key: Buffer | null, value: Buffer | null): true {
  const { raw, context } = cursor.record;
  const { topic, bytesMax, refusals } = target;
  const headers = target.isBetween ? headersBetween(cursor, target) : raw.headers;
  const size = (headers.length === 0 ? 0 : headersBytes(headers)) + lengthOf(key) + lengthOf(value);
  if (size > bytesMax)
    throw new MillraceError(
      "MILL_RECORD_TOO_LARGE",
      `${topic.name}: ${String(size)} bytes, at most ${String(bytesMax)}`,
    );
  const partition = partitionOf(key, topic.partitions, raw.partition);
  if (key === null && target.isCompacted) throw withoutKey(topic.name, partition);
  if (refusals.size > 0) refusals.checkOutput(raw, topic.name);
  cursor.stage.outputs.push({
    topic: topic.name,
    partition,
    key,
    value,
    headers,
    timestamp: context.timestamp,
    source: raw,
  });
  return true;
}

const lengthOf = (bytes: Buffer | null): number => (bytes === null ? 0 : bytes.length);

function headersBetween(cursor: Cursor, { topic, originOf }: WriteTarget): Headers {
  const { raw, context, originMs } = cursor.record;
  const ageMs = originMs - context.timestamp;
  if (topic.carriesOrigin !== true) return withAge(raw.headers, ageMs);
  return withOrigin(raw.headers, sentOrigin(cursor, originOf), ageMs);
}

/** As the broker would say it. */
const withoutKey = (topic: TopicName, partition: number): OutputRefusedError =>
  new OutputRefusedError({
    ...{ topic, partition, code: "INVALID_RECORD" },
    words: "the topic is compacted, and the record has no key",
  });

/** A value that no step has changed is not written anew. */
function bytesOf(topic: PlanTopic, part: Part, codec: CodecOf): BytesOf {
  const written = codec(topic, "value");
  const format = topic.value;
  if (format.kind !== "carried" || format.writes !== "as-they-came")
    return (value) => written.encode(value);
  const internal = part.sources.flatMap(({ name, value }) =>
    value.kind === "carried" ? [name] : [],
  );
  const carry = carrier(format, internal);
  return (value, { record: { raw } }) => {
    const carried = carry(raw.topic, raw.value);
    return carried === undefined ? written.encode(value) : carried;
  };
}

/** The key's bytes stay as they came: what a stream is keyed by does not change on the way to a topic. */
const toTopic =
  (target: WriteTarget, valueOf: BytesOf): Emit =>
  (result, cursor) => {
    const value = result === undefined ? null : valueOf(result, cursor);
    return put(cursor, target, cursor.record.raw.key, value);
  };

function toRepartition(
  { key: keyOf }: Repartition,
  target: WriteTarget,
  key: Codec,
  valueOf: BytesOf,
): Emit {
  return (result, cursor) => {
    if (result === undefined) return false;
    const newKey = settled(keyOf(result, cursor.record.context));
    if (newKey === undefined) throw new Mistake("its key is undefined; null drops a record");
    if (newKey === null) {
      cursor.trail.nullKey = true;
      return false;
    }
    return put(cursor, target, key.encode(newKey), valueOf(result, cursor));
  };
}

const toTable =
  (valuesOf: (row: unknown) => readonly unknown[]): Emit =>
  (result, cursor) => {
    if (result === undefined) return false;
    const { offset, timestamp } = cursor.record.context;
    const { stage } = cursor;
    stage.rows.push({ values: valuesOf(result), index: stage.index, offset, timestamp });
    return true;
  };

export const emptyStage = (): Stage => ({ outputs: [], rows: [], index: 0 });
