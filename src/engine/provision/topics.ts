// Topics and their schemas: what Kafka and the registry lack of what is declared, and making it so.
// Additive only: creates topics, widens the one that brings letters back, sets declared configuration, registers schemas under BACKWARD. A partition count or an
// incompatible schema is refused, and with one refusal nothing at all is changed. A second apply does nothing.
import { incompatibilities } from "../core/avro-compatibility.ts";
import { parseAvro, parseWriter } from "../core/avro-parser.ts";
import { ConfigError, ConfigErrors, MillraceError } from "../core/errors.ts";
import type { AdminPort, TopicDescription, TopicSpec } from "../core/kafka.ts";
import { widthDiffers } from "../core/plan-settings.ts";
import type { SchemaRegistry } from "../core/ports.ts";
import type { AvroSchema } from "../core/schema.ts";
import type { TopicName } from "../core/record.ts";
import { lateness, undeclaredLimits, type Feeding, type FoundLimit } from "./topic-limits.ts";

export type TopicKind =
  | "source"
  | "output"
  | "repartition"
  | "changelog"
  | "sink"
  | "dead letters"
  | "letter states"
  | "redrive"
  | "parked letters"
  | "meta";

/** Who says how many partitions a topic has. */
export type PartitionsBy = "declaration" | "setting";

export interface DesiredTopic {
  readonly spec: TopicSpec;
  readonly kind: TopicKind;
  /** Left out for a pipeline's own topics: their number is fixed, or follows its tasks. */
  readonly partitionsBy?: PartitionsBy;
  /** A command makes it at its first use: until then it is neither planned nor made. */
  readonly isLate?: boolean;
  /** If no key decides on the partition, more of them do no harm ("at least" adds them), or any number ("any"). */
  readonly width?: "at least" | "any";
  readonly keySchema?: DesiredSchema;
  readonly valueSchema?: DesiredSchema;
  /** The topics that pipelines read to write this one, where they write it for others. */
  readonly feeding?: readonly Feeding[];
}
export interface DesiredSchema {
  readonly subject: string;
  /** The text of the schema. */
  readonly schema: string;
}

/**
 * drift: the topic's configuration is not the declared one, whoever changed it · change: a schema is new · orphan: no plan has
 * it any more, and `topics prune` may remove it.
 */
export type TopicState = "ok" | "create" | "widen" | "change" | "drift" | "refused" | "orphan";

export interface TopicPlan {
  readonly topic: TopicName;
  readonly kind: TopicKind;
  /** As found, or as it is made. */
  readonly partitions: number;
  readonly partitionsBy?: PartitionsBy;
  readonly state: TopicState;
  readonly creates: TopicSpec | null;
  /** The partitions that it gets. */
  readonly widens: number | null;
  /** Declared configuration that the topic does not have. */
  readonly config: readonly ConfigDrift[];
  readonly registers: readonly SchemaStep[];
  /** Subjects that have the declared schema. */
  readonly registered: readonly string[];
  readonly problems: readonly MillraceError[];
  /** Limits of the topic that nobody declares; they stay as they are. */
  readonly limits: readonly FoundLimit[];
  readonly warnings: readonly string[];
}
export interface ConfigDrift {
  readonly name: string;
  readonly found: string | null;
  readonly declared: string;
}
export interface SchemaStep extends DesiredSchema {
  readonly version: number;
}

/** Compares; changes nothing. */
export async function planTopics(
  desired: readonly DesiredTopic[],
  admin: AdminPort,
  registry: SchemaRegistry,
): Promise<readonly TopicPlan[]> {
  const found = await admin.describeTopics(desired.map(({ spec }) => spec.topic));
  const wanted = desired.filter(
    ({ spec, isLate = false }) => !isLate || (found.get(spec.topic) ?? null) !== null,
  );
  return Array.fromAsync(wanted, (topic) => planTopic(topic, found, registry));
}

/** Plans, then does it; throws ConfigErrors with every refusal before anything is changed. Returns what was done. */
export async function applyTopics(
  desired: readonly DesiredTopic[],
  admin: AdminPort,
  registry: SchemaRegistry,
): Promise<readonly TopicPlan[]> {
  const plans = await planTopics(desired, admin, registry);
  const problems = plans.flatMap((plan) => plan.problems);
  if (problems.length > 0) throw new ConfigErrors(problems);
  await admin.createTopics(plans.flatMap(({ creates }) => creates ?? []));
  for (const { topic, widens, config } of plans) {
    if (widens !== null) await admin.addPartitions(topic, widens);
    const declared = config.map((drift) => [drift.name, drift.declared] as const);
    if (declared.length > 0) await admin.alterTopicConfig(topic, Object.fromEntries(declared));
  }
  for (const { registers } of plans)
    for (const { subject, schema } of registers) await registry.register(subject, schema);
  return plans;
}

async function planTopic(
  desired: DesiredTopic,
  all: ReadonlyMap<TopicName, TopicDescription | null>,
  registry: SchemaRegistry,
): Promise<TopicPlan> {
  const { spec, kind, width, keySchema, valueSchema } = desired;
  const found = all.get(spec.topic) ?? null;
  const schemas = [keySchema, valueSchema].filter((schema) => schema !== undefined);
  const steps: SchemaStep[] = [];
  const registered: string[] = [];
  const problems = replicaProblems(spec, found);
  if (width === undefined) problems.push(...partitionProblems(desired, found));
  for (const schema of schemas) {
    const step = await planSchema(schema, registry);
    if (step instanceof MillraceError) problems.push(step);
    else if (step === null) registered.push(schema.subject);
    else steps.push(step);
  }
  const config = found === null ? [] : driftOf(spec, found);
  const creates = found === null ? spec : null;
  const widens = widened(desired, found);
  const plan = { topic: spec.topic, creates, widens, config, registers: steps, problems };
  const limits = undeclaredLimits(spec, found);
  const warnings = [...lateness(desired, all), ...fewReplicas(spec, found)];
  const partitions = found?.partitions ?? spec.partitions;
  return {
    ...plan,
    kind,
    partitions,
    ...saidBy(desired),
    registered,
    limits,
    warnings,
    state: stateOf(plan),
  };
}

const saidBy = ({ partitionsBy }: DesiredTopic): Pick<TopicPlan, "partitionsBy"> =>
  partitionsBy === undefined ? {} : { partitionsBy };

const widened = ({ spec, width }: DesiredTopic, found: TopicDescription | null): number | null =>
  width === "at least" && found !== null && found.partitions < spec.partitions
    ? spec.partitions
    : null;

type Steps = Pick<TopicPlan, "problems" | "creates" | "widens" | "config" | "registers">;

function stateOf(plan: Steps): TopicState {
  if (plan.problems.length > 0) return "refused";
  if (plan.creates !== null) return "create";
  if (plan.widens !== null) return "widen";
  if (plan.config.length > 0) return "drift";
  return plan.registers.length > 0 ? "change" : "ok";
}

function partitionProblems(
  { spec: { topic, partitions }, partitionsBy }: DesiredTopic,
  found: TopicDescription | null,
): MillraceError[] {
  if (found === null || found.partitions === partitions) return [];
  const width = partitionsBy === "setting" ? { partitions, partitionsBy } : { partitions };
  const detail = widthDiffers(topic, width, found.partitions);
  return [new ConfigError("MILL_TOPIC_PARTITIONS", detail)];
}

const MIN_INSYNC = "min.insync.replicas";

/** With fewer replicas than must be in sync, the topic would take nothing any more. */
function replicaProblems(spec: TopicSpec, found: TopicDescription | null): MillraceError[] {
  const least = Number(spec.config[MIN_INSYNC] ?? 1);
  const replicas = found?.replicationFactor ?? spec.replicationFactor;
  if (replicas < 0 || least <= replicas) return [];
  const detail = `${spec.topic} has ${String(replicas)}, ${MIN_INSYNC} is ${String(least)}`;
  return [new ConfigError("MILL_TOPIC_REPLICAS", detail)];
}

/** Replicas are never moved here: that is a copy of all of the topic's data. */
function fewReplicas({ replicationFactor }: TopicSpec, found: TopicDescription | null): string[] {
  if (found === null || found.replicationFactor >= replicationFactor) return [];
  const is = counted(found.replicationFactor, "replica");
  return [
    `has ${is}, new topics get ${String(replicationFactor)}: kafka-reassign-partitions adds some`,
  ];
}

const counted = (n: number, what: string): string => `${String(n)} ${what}${n === 1 ? "" : "s"}`;

const driftOf = ({ config }: TopicSpec, found: TopicDescription): readonly ConfigDrift[] =>
  Object.entries(config)
    .map(([name, declared]) => ({ name, declared, found: found.config[name] ?? null }))
    .filter((drift) => drift.found === null || !isSameSetting(drift.found, drift.declared));

/** Kafka's lists, such as cleanup.policy, have no order. */
const isSameSetting = (a: string, b: string): boolean => listOf(a) === listOf(b);
const listOf = (setting: string): string =>
  setting
    .split(",")
    .map((part) => part.trim())
    .sort()
    .join();

/** Null when it is registered already. */
async function planSchema(
  { subject, schema }: DesiredSchema,
  registry: SchemaRegistry,
): Promise<SchemaStep | MillraceError | null> {
  if ((await registry.idOf(subject, schema)) !== null) return null;
  const newest = await registry.latest(subject);
  const problem = newest === null ? null : incompatibility(subject, schema, newest.schema);
  return problem ?? { subject, schema, version: (newest?.version ?? 0) + 1 };
}

function incompatibility(subject: string, schema: string, newest: string): MillraceError | null {
  try {
    const reader = parseAvro(JSON.parse(schema) as AvroSchema);
    const writer = parseWriter(JSON.parse(newest) as AvroSchema);
    const reasons = incompatibilities(reader, writer);
    if (reasons.length === 0) return null;
    return new ConfigError("MILL_SCHEMA_INCOMPATIBLE", `${subject}: ${reasons.join("; ")}`);
  } catch (error) {
    if (error instanceof MillraceError) return error;
    return new ConfigError("MILL_SCHEMA_INVALID", `${subject}: the registered schema is no Avro`);
  }
}
