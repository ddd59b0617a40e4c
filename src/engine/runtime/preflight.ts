// The checks before a worker starts. `run` creates nothing: each missing thing is a problem with its command,
// and all of them are reported together.
import { ConfigError, ConfigErrors, type MillraceError } from "../core/errors.ts";
import type { AdminPort, TopicDescription } from "../core/kafka.ts";
import { tasksOf } from "../core/own-topics.ts";
import type { Plan, PlanTopic } from "../core/plan.ts";
import { missingText, unregisteredText, widthDiffers } from "../core/plan-settings.ts";
import type { SchemaRegistry } from "../core/ports.ts";
import type { TopicName } from "../core/record.ts";
import { subjectOf } from "../core/schema.ts";
import { refuseOtherFormats } from "../core/stored-format.ts";
import type { WorkerContext } from "./context.ts";
import type { WriterIds } from "./task/bind.ts";
import { writtenSchemas } from "./written-schemas.ts";
import { noteFlows } from "./flow-notes.ts";
import { checkStores } from "./store-notes.ts";

/** The facts that parts are bound with, once all is there. */
export interface Bindings {
  readonly writerIds: WriterIds;
  /** As found, by name. */
  readonly topics: ReadonlyMap<TopicName, TopicDescription>;
}

/** Repeats work while what it needs is away. */
export type Persist = <T>(dependency: string, work: () => Promise<T>) => Promise<T>;

/** Throws ConfigErrors with everything that is missing. */
export async function preflight(
  plans: readonly Plan[],
  context: WorkerContext,
  patiently: Persist,
): Promise<Bindings> {
  const { admin, registry, checkTables } = context;
  // Before anything else: members of another release could not read what is written from here on.
  await patiently("kafka", () => refuseOtherFormats(plans, context));
  const topics = await patiently("kafka", () => checkTopics(plans, admin));
  const writerIds = await patiently("registry", () => findWriterIds(plans, registry));
  const tables = plans.flatMap((plan) => plan.tables);
  // A worker that writes no table needs no database.
  const problems =
    tables.length === 0 ? [] : await patiently("postgres", () => checkTables(tables));
  const unfit = await unfitCopies(plans, context, patiently);
  const changed = await patiently("kafka", () => checkStores(plans, context));
  const all = [...problems, ...unfit, ...changed];
  if (all.length > 0) throw new ConfigErrors(all);
  await patiently("kafka", () => noteFlows(plans, context));
  return { writerIds, topics };
}

/** The problems that keep Redis or memory from storing state, if any of the pipelines has some. */
async function unfitCopies(
  plans: readonly Plan[],
  { stateCopies }: WorkerContext,
  patiently: Persist,
): Promise<readonly MillraceError[]> {
  const stateful = plans.filter((plan) => plan.parts.some((part) => part.stores.length > 0));
  const kinds = [...new Set(stateful.map((plan) => plan.options.state))];
  const found = kinds.map((kind) => patiently(kind, () => stateCopies(kind).problems()));
  return (await Promise.all(found)).flat();
}

/** The notes must be there before anything else is known: they say which topics a pipeline uses. */
export async function checkNotes(
  plans: readonly Plan[],
  { admin }: WorkerContext,
  patiently: Persist,
): Promise<void> {
  const metas = plans.map(({ meta }) => meta);
  const found = await patiently("kafka", () => admin.describeTopics(metas));
  if (metas.some((meta) => (found.get(meta) ?? null) === null))
    // Reported with everything else that is missing.
    await patiently("kafka", () => checkTopics(plans, admin));
}

/** The largest record that the dead-letter topic takes; Kafka's default where it does not say. */
export const letterBytesMax = (topic: TopicDescription | undefined): number =>
  Number(topic?.config["max.message.bytes"] ?? 1_048_588);

interface DeclaredTopic {
  readonly pipeline: string;
  /** Null for letters and notes, which have what they have. */
  readonly width: PlanTopic | null;
}

/**
 * Throws ConfigErrors when a topic is missing or has other partitions than declared. One that is made at its first use may be
 * missing.
 */
export async function checkTopics(
  plans: readonly Plan[],
  admin: AdminPort,
): Promise<ReadonlyMap<TopicName, TopicDescription>> {
  const declared = new Map<TopicName, DeclaredTopic>();
  for (const { pipeline, topics } of plans) {
    for (const topic of topics.all) declared.set(topic.name, { pipeline, width: topic });
    for (const name of topics.own) declared.set(name, { pipeline, width: null });
  }
  const redrives = plans.map(({ redrive }) => redrive);
  const found = await admin.describeTopics([...declared.keys(), ...redrives]);
  const problems: MillraceError[] = [];
  const topics = new Map<TopicName, TopicDescription>();
  for (const [name, { pipeline, width: expected }] of declared) {
    const topic = found.get(name) ?? null;
    if (topic === null) problems.push(missing(name, pipeline, expected));
    else if (expected !== null && topic.partitions !== expected.partitions) {
      const detail = widthDiffers(name, expected, topic.partitions);
      problems.push(new ConfigError("MILL_TOPIC_PARTITIONS", detail));
    } else topics.set(name, topic);
  }
  problems.push(...plans.flatMap((plan) => tooNarrow(plan, found.get(plan.redrive) ?? null)));
  if (problems.length > 0) throw new ConfigErrors(problems);
  return topics;
}

const missing = (name: TopicName, pipeline: string, expected: PlanTopic | null): ConfigError =>
  new ConfigError("MILL_TOPIC_MISSING", missingText(name, expected?.external === true, pipeline));

/** A letter goes back in the partition of its origin. */
function tooNarrow(plan: Plan, redrive: TopicDescription | null): ConfigError[] {
  const least = tasksOf(plan);
  if (redrive === null || redrive.partitions >= least) return [];
  const detail = `${plan.redrive}: at least ${String(least)}, found ${String(redrive.partitions)}`;
  return [new ConfigError("MILL_TOPIC_PARTITIONS", detail)];
}

/** The registry ids under which our own records are written. Throws ConfigErrors when a schema was never registered. */
export async function findWriterIds(
  plans: readonly Plan[],
  registry: SchemaRegistry,
): Promise<WriterIds> {
  const ids = new Map<string, number>();
  const problems: MillraceError[] = [];
  const written = plans.flatMap((plan) =>
    writtenSchemas(plan).map((schema) => ({ ...schema, pipeline: plan.pipeline })),
  );
  for (const { topic, side, format, isExternal, pipeline } of written) {
    if (format.kind !== "avro") continue;
    const subject = subjectOf(topic, side);
    const id = ids.get(subject) ?? (await registry.idOf(subject, JSON.stringify(format.schema)));
    if (id === null)
      problems.push(
        new ConfigError(
          "MILL_SCHEMA_UNREGISTERED",
          unregisteredText(subject, isExternal, pipeline),
        ),
      );
    else ids.set(subject, id);
  }
  if (problems.length > 0) throw new ConfigErrors(problems);
  return ids;
}
