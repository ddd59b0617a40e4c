// Joins a part's plan to codecs and targets: decode in front, encode and partition behind, the compiled program between.
import { compileCodec } from "../../decode/codec.ts";
import { MillraceError } from "../../core/errors.ts";
import { DEFAULT_TIME_RULE, type TimeRule } from "../../core/event-time.ts";
import type { Stage } from "../../core/outcome.ts";
import { Mistake } from "../../core/mistake.ts";
import { partitionOf } from "../../core/partitioner.ts";
import type { Part, Plan, PlanNode, PlanTopic } from "../../core/plan.ts";
import type { TopicName } from "../../core/record.ts";
import { subjectOf, type Codec, type SchemaFormat, type WriterSchemas } from "../../core/schema.ts";
import type { TableSpec } from "../../core/table-layout.ts";
import type { PartFacts } from "../../source/stops.ts";
import { rowMapper } from "../../sinks/row-mapping.ts";
import { entryCodec, type EntryCodec } from "../../state/entry-codec.ts";
import { compile, type Emit, type Program } from "../../transform/compile.ts";
import type { Cursor } from "../../transform/operators.ts";

/** How the records of one source topic are read. */
export interface SourceCodec {
  readonly key: Codec;
  readonly value: Codec;
  readonly timestamp: ((value: unknown) => unknown) | null;
  /** How its times are judged; null for an internal topic, whose records were judged at the source. */
  readonly timeRule: TimeRule | null;
}

export interface BoundPart {
  readonly part: Part;
  readonly plan: Plan;
  readonly program: Program;
  readonly sources: ReadonlyMap<TopicName, SourceCodec>;
  /** How entries of each store are written. */
  readonly stores: ReadonlyMap<string, EntryCodec>;
}

/** What a part's stops say of it. */
export const partFacts = ({ plan, part }: BoundPart): PartFacts => ({
  pipeline: plan.pipeline,
  part: part.name,
  topics: part.sources.map(({ name }) => name),
  redrive: plan.redrive,
  partitions: part.partitions,
  isStateful: part.stores.length > 0,
});

/** Registry ids of our own schemas, by topic and side. */
export type WriterIds = ReadonlyMap<string, number>;

export interface BindOptions {
  readonly schemas: WriterSchemas;
  readonly writerIds: WriterIds;
  onBroken(rule: string): void;
}

export function bindPart(plan: Plan, part: Part, options: BindOptions): BoundPart {
  const codec = (topic: PlanTopic, side: "key" | "value"): Codec =>
    compileCodec(topic[side], {
      schemas: options.schemas,
      writerId: options.writerIds.get(subjectOf(topic.name, side)) ?? null,
      where: { topic: topic.name },
    });
  const sources = new Map(
    part.sources.map((topic) => [
      topic.name,
      {
        key: codec(topic, "key"),
        value: codec(topic, "value"),
        timestamp: topic.timestamp,
        timeRule: topic.internal === null ? (topic.timeRule ?? DEFAULT_TIME_RULE) : null,
      },
    ]),
  );
  const program = compile(part, {
    onError: plan.options.onError,
    onBroken: options.onBroken,
    emitterOf: (node) => emitterOf(node, codec),
  });
  const stores = new Map(
    part.stores.map(({ name, changelog }) => [name, entryCodec(codec(changelog, "value"), name)]),
  );
  return { part, plan, program, sources, stores };
}

type CodecOf = (topic: PlanTopic, side: "key" | "value") => Codec;

function emitterOf(node: PlanNode, codec: CodecOf): Emit {
  const { operation } = node;
  switch (operation.kind) {
    case "to":
    case "forward":
      return toTopic(operation.topic, codec(operation.topic, "value"));
    case "repartition":
      return toRepartition(operation.key, operation.topic, codec);
    case "upsert":
      return toTable(rowMapper(operation.table.declaration as TableSpec));
    case "source":
    case "map":
    case "flat-map":
    case "filter":
    case "table-filter":
    case "distinct":
    case "aggregate":
    case "map-with-state":
    case "map-async":
    case "peek":
    case "expect":
    case "branch":
    case "arm":
    case "merge":
      throw new TypeError(`${operation.kind} writes nothing`);
  }
}

/** Kafka's default message.max.bytes, less what a batch of one record adds. */
const RECORD_BYTES_MAX = 1_048_588 - 1_024;

/** What a topic takes in one record, key and value. */
export const recordBytesMax = ({ config }: PlanTopic): number =>
  Number(config["max.message.bytes"] ?? RECORD_BYTES_MAX);

function put(cursor: Cursor, topic: PlanTopic, key: Buffer | null, value: Buffer | null): true {
  const { raw, context } = cursor.record;
  const limit = recordBytesMax(topic);
  const size = (key?.length ?? 0) + (value?.length ?? 0);
  if (size > limit)
    throw new MillraceError(
      "MILL_RECORD_TOO_LARGE",
      `${topic.name}: ${String(size)} bytes, at most ${String(limit)}`,
    );
  cursor.stage.outputs.push({
    topic: topic.name,
    partition: partitionOf(key, topic.partitions, raw.partition),
    key,
    value,
    headers: raw.headers,
    timestamp: context.timestamp,
  });
  return true;
}

/** The key's bytes stay as they came: what a stream is keyed by does not change on the way to a topic. */
const toTopic =
  (topic: PlanTopic, value: Codec): Emit =>
  (result, cursor) =>
    put(cursor, topic, cursor.record.raw.key, result === undefined ? null : value.encode(result));

function toRepartition(
  keyOf: (value: unknown, record: Cursor["record"]["context"]) => unknown,
  topic: PlanTopic,
  codec: CodecOf,
): Emit {
  const key = codec(topic, "key");
  const value = codec(topic, "value");
  return (result, cursor) => {
    if (result === undefined) return false;
    const newKey = keyOf(result, cursor.record.context);
    if (newKey === undefined) throw new Mistake("its key is undefined; null drops a record");
    if (newKey === null) {
      cursor.trail.nullKey = true;
      return false;
    }
    return put(cursor, topic, key.encode(newKey), value.encode(result));
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

/** Formats of a plan's topics that need an id of ours in the registry to be written. */
export function writtenSchemas(
  plan: Plan,
): { topic: TopicName; side: "key" | "value"; format: SchemaFormat }[] {
  const written = plan.parts
    .flatMap((part) => part.nodes)
    .filter(({ operation }) => operation.kind === "to")
    .map(({ operation }) => (operation as { topic: PlanTopic }).topic);
  const changelogs = plan.parts.flatMap((part) => part.stores).map(({ changelog }) => changelog);
  const sides = (topic: PlanTopic) =>
    (["key", "value"] as const).map((side) => ({ topic: topic.name, side, format: topic[side] }));
  return [...written, ...changelogs].flatMap(sides).filter(({ format }) => format.kind === "avro");
}

export const emptyStage = (): Stage => ({ outputs: [], rows: [], index: 0 });
