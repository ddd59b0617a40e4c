// Topics and their schemas: what Kafka and the registry lack of what is declared, and making it so.
// Additive only: creates topics, widens the one that brings letters back, sets declared configuration, registers schemas under
// BACKWARD. A setting that is not declared is never changed, a topic of somebody else is only checked, and a change that can
// lose data needs its word. A partition count or an incompatible schema is refused, and with one refusal nothing at all is
// changed. A second apply does nothing.
import type { MillraceError } from "../core/errors.ts";
import { ConfigError, ConfigErrors } from "../core/errors.ts";
import type { AdminPort, TopicDescription, TopicSpec } from "../core/kafka.ts";
import { widthDiffers } from "../core/plan-settings.ts";
import type { SchemaRegistry } from "../core/ports.ts";
import type { TopicName } from "../core/record.ts";
import { MIN_INSYNC } from "../core/topic-config.ts";
import {
  lateness,
  undeclaredLimits,
  type Feeding,
  type FoundLimit,
  type FoundTopics,
} from "./topic-limits.ts";
import { ownerProblems, ownerWarnings, type TopicOwner } from "./topic-owner.ts";
import { planSchemas, type DesiredSchema, type SchemasPlan } from "./topic-schemas.ts";
import { driftOf, refuseLosses, type ConfigDrift, type Confirmed } from "./topic-settings.ts";

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
  /** Its configuration is what is declared. */
  readonly spec: TopicSpec;
  readonly kind: TopicKind;
  /** Settings that it is made with where none is declared. */
  readonly madeWith?: TopicSpec["config"];
  /** Set where the topic is somebody else's, so that it is only checked. */
  readonly owner?: TopicOwner;
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

/**
 * drift: the topic's configuration is not the declared one, whoever changed it · change: a schema is new · orphan: no plan has
 * it any more, and `topics prune` may remove it · external, checked: the topic is another team's, or of a pipeline that is not
 * named; missing: such a topic of a pipeline is not there.
 */
export type TopicState =
  | "ok"
  | "create"
  | "widen"
  | "change"
  | "drift"
  | "refused"
  | "orphan"
  | "external"
  | "checked"
  | "missing";

export interface TopicPlan extends SchemasPlan {
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
  /** Limits of the topic that nobody declares; they stay as they are. */
  readonly limits: readonly FoundLimit[];
  readonly warnings: readonly string[];
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

/**
 * Plans, then does it; throws ConfigErrors with every refusal, or MILL_TOPIC_LOSES with every change that can lose data and has
 * no word in `yes`, before anything is changed. Returns what was done.
 */
export async function applyTopics(
  desired: readonly DesiredTopic[],
  admin: AdminPort,
  registry: SchemaRegistry,
  confirmed: Partial<Confirmed> = {},
): Promise<readonly TopicPlan[]> {
  const plans = await planTopics(desired, admin, registry);
  const problems = plans.flatMap((plan) => plan.problems);
  if (problems.length > 0) throw new ConfigErrors(problems);
  refuseLosses(plans, confirmed);
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
  all: FoundTopics,
  registry: SchemaRegistry,
): Promise<TopicPlan> {
  const { spec, owner, keySchema, valueSchema } = desired;
  const found = all.get(spec.topic) ?? null;
  const declared = [keySchema, valueSchema].filter((schema) => schema !== undefined);
  const schemas = await planSchemas(declared, registry);
  if (owner !== undefined) return planOwned(desired, owner, all, schemas);
  const problems = [
    ...replicaProblems(desired, found),
    ...partitionProblems(desired, found),
    ...schemas.problems,
  ];
  const config = found === null ? [] : driftOf(spec.config, found, isOwnTopic(desired));
  const creates = found === null ? made(desired) : null;
  const plan = { creates, widens: widened(desired, found), config, ...schemas, problems };
  const warnings = [...lateness(desired, all), ...fewReplicas(spec, found)];
  return { ...facts(desired, found), ...plan, warnings, state: stateOf(plan) };
}

/** A topic of somebody else: its problems are found, and nothing of it is changed. */
function planOwned(
  desired: DesiredTopic,
  owner: TopicOwner,
  all: FoundTopics,
  schemas: SchemasPlan,
): TopicPlan {
  const found = all.get(desired.spec.topic) ?? null;
  const problems = [
    ...ownerProblems(desired, owner, found, schemas),
    ...partitionProblems(desired, found),
  ];
  const state = owner === "external" ? "external" : found === null ? "missing" : "checked";
  return {
    ...facts(desired, found),
    ...{ creates: null, widens: null, config: [], registers: [] },
    ...{ registered: schemas.registered, problems },
    warnings: [...ownerWarnings(desired, owner, found), ...lateness(desired, all)],
    state: problems.length > 0 ? "refused" : state,
  };
}

const facts = (desired: DesiredTopic, found: TopicDescription | null) => ({
  topic: desired.spec.topic,
  kind: desired.kind,
  partitions: found?.partitions ?? desired.spec.partitions,
  ...(desired.partitionsBy === undefined ? {} : { partitionsBy: desired.partitionsBy }),
  limits: undeclaredLimits(desired.spec, found),
});

/** Nobody but its pipeline reads or writes it. */
const isOwnTopic = ({ kind }: DesiredTopic): boolean => kind !== "source" && kind !== "output";

const made = ({ spec, madeWith = {} }: DesiredTopic): TopicSpec => ({
  ...spec,
  config: { ...madeWith, ...spec.config },
});

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
  { spec: { topic, partitions }, partitionsBy, width: anyWidth, kind }: DesiredTopic,
  found: TopicDescription | null,
): MillraceError[] {
  if (found === null || anyWidth !== undefined || found.partitions === partitions) return [];
  const internal = kind === "repartition" || kind === "changelog" || kind === "sink" ? kind : null;
  const by = partitionsBy === "setting" ? { partitionsBy } : {};
  const detail = widthDiffers(topic, { partitions, internal, ...by }, found.partitions);
  return [new ConfigError("MILL_TOPIC_PARTITIONS", detail)];
}

/** With fewer replicas than must be in sync, the topic would take nothing any more. */
function replicaProblems(desired: DesiredTopic, found: TopicDescription | null): MillraceError[] {
  const { spec } = desired;
  const { config } = found === null ? made(desired) : spec;
  const least = Number(config[MIN_INSYNC] ?? 1);
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
