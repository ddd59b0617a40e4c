// shadowOf(): the plan of a run. The same parts and callbacks under another pipeline's name, so that it reads what the live
// one reads and shares nothing that either writes: groups, stores, notes, dead letters, topics and tables are its own.
// In place, tables are the live ones. Pure.
import {
  mapStores,
  mapTopics,
  type Operation,
  type Part,
  type Plan,
  type PlanNode,
  type PlanStore,
  type PlanTable,
  type PlanTopic,
} from "../../core/plan.ts";
import { reads } from "../../core/pieces.ts";
import type { TopicName } from "../../core/record.ts";
import type { CarriedFormat, SchemaFormat } from "../../core/schema.ts";
import type { TableSpec } from "../../core/table-layout.ts";
import { operatorOfResults } from "../../core/state-results.ts";
import { ANY_TIMESTAMP, CLEANUP_POLICY, TIMESTAMPS_UNLIMITED } from "../../core/topic-config.ts";
import { deepFreeze } from "../../define/plan/build.ts";
import type { RunTarget } from "../words/run.ts";

export interface Shadowing {
  readonly run: number;
  readonly target: RunTarget;
  /** External topics that are read from a copy of the run's own, which is filled before. */
  readonly staged: readonly TopicName[];
  /** In place: where live topics ended, by partition, when the run was pinned. */
  readonly pins: ReadonlyMap<TopicName, readonly bigint[]>;
}

export const runPipeline = (pipeline: string, run: number): string => `${pipeline}-r${String(run)}`;
export const runTopic = (topic: TopicName, run: number): TopicName => `${topic}-r${String(run)}`;
export const stagingTopic = (topic: TopicName, run: number): TopicName =>
  `${runTopic(topic, run)}-input`;
export const runTable = (table: string, run: number): string => `${table}_r${String(run)}`;

/** schema.table, as messages show it. */
export const tableLabel = ({ declaration }: PlanTable): string => {
  const { schema, name } = declaration as TableSpec;
  return `${schema}.${name}`;
};

/** Nothing of a run is ever taken or refused by time: it reads records that are as old as its range, or as far ahead. */
const KEPT = {
  [CLEANUP_POLICY]: "delete",
  "retention.ms": "-1",
  "retention.bytes": "-1",
  ...TIMESTAMPS_UNLIMITED,
};
/** A staged record keeps the time that it had. */
const STAGED = { ...KEPT, ...ANY_TIMESTAMP };

export function shadowOf(plan: Plan, how: Shadowing): Plan {
  const pipeline = runPipeline(plan.pipeline, how.run);
  const prefix = `${plan.namespace}${pipeline}`;
  const rename = (name: string): string => prefix + name.slice(prefixOf(plan).length);
  const renaming = renamingOf(plan, how, rename);
  const parts = plan.parts.map((part) => shadowPart(part, renaming, prefix));
  return deepFreeze({
    ...plan,
    pipeline,
    // A task of a run begins where it was put; without progress there is nothing for it to do. Its letters are counted, and
    // judged by the options of the run.
    options: { ...plan.options, start: "earliest", haltWhen: "never" },
    parts,
    topics: mapTopics(plan.topics, (topic) => renaming.topic(topic), rename),
    tables: parts.flatMap(({ table }) => table ?? []),
    ...ownNames(plan, rename),
    storePrefix: prefix,
    runOf: { pipeline: plan.pipeline, run: how.run },
  });
}

const prefixOf = ({ namespace, pipeline }: Plan): string => `${namespace}${pipeline}`;

/** Topics that a plan names beside its streams: dead letters, notes. */
function ownNames(plan: Plan, rename: (name: string) => string): Partial<Plan> {
  const named = Object.entries(plan).flatMap(([field, name]: [string, unknown]) =>
    typeof name === "string" && name.startsWith(`${prefixOf(plan)}-`)
      ? [[field, rename(name)] as const]
      : [],
  );
  return Object.fromEntries(named);
}

/** Everything that a run has for itself: what it does not share with the live pipeline. */
export function topicsOfRun(plan: Plan, shadow: Plan): readonly TopicName[] {
  const shared = new Set(plan.topics.input.map(({ name }) => name));
  const own = shadow.topics.all.map(({ name }) => name).filter((name) => !shared.has(name));
  return [...own, ...shadow.topics.own, ...shadow.topics.late];
}

type Renaming = ReturnType<typeof renamingOf>;

/** Turns the live plan's things into those of the run. */
function renamingOf(plan: Plan, how: Shadowing, own: (name: string) => string) {
  const { run, target, staged, pins } = how;
  const written = new Set(plan.topics.output.map(({ name }) => name));
  const value = (format: SchemaFormat): SchemaFormat => {
    const between = (of: CarriedFormat): CarriedFormat => carried(of, plan, { own, topic });
    if (format.kind === "join-buffer") return { ...format, sides: format.sides.map(between) };
    return format.kind === "carried" ? between(format) : format;
  };
  const topic = (given: PlanTopic): PlanTopic => {
    const { name, internal, config } = given;
    if (internal !== null) return { ...given, name: own(name), value: value(given.value) };
    // The topics of a run are its own, whoever owns the live ones.
    const ours = { ...given, external: false };
    if (written.has(name)) return { ...ours, name: runTopic(name, run), config: kept(config) };
    if (!staged.includes(name)) return given;
    return { ...ours, name: stagingTopic(name, run), config: { ...config, ...STAGED } };
  };
  return {
    topic,
    store: (store: PlanStore): PlanStore => ({ ...store, changelog: topic(store.changelog) }),
    /** `source` is the live topic that feeds the table. */
    table(table: PlanTable, source: PlanTopic | undefined): PlanTable {
      if (target === "shadow") return renamed(table, runTable(table.name, run));
      if (source === undefined) return table;
      const isLive = source.internal === null && topic(source) === source;
      const ends = isLive ? null : (pins.get(source.name) ?? []);
      return { ...table, corrects: { topic: source.name, ends } };
    },
  };
}

/**
 * The values that the run carries between its parts come from the topics that it reads, with the
 * marks that they have live.
 */
function carried(
  format: CarriedFormat,
  plan: Plan,
  rename: { own(name: TopicName): TopicName; topic(topic: PlanTopic): PlanTopic },
): CarriedFormat {
  const { origins, shapes } = format;
  const renamed = origins.map((origin) => {
    const live = plan.topics.all.find(({ name }) => name === origin.topic);
    if (live === undefined) return origin;
    return { ...origin, topic: rename.topic(live).name, liveName: origin.topic };
  });
  // The contents of a store are noted under its name, which a run has too.
  const isTopic = shapes.startsWith(`${prefixOf(plan)}-`);
  return { ...format, origins: renamed, shapes: isTopic ? rename.own(shapes) : shapes };
}

const kept = (config: PlanTopic["config"]): PlanTopic["config"] =>
  (config[CLEANUP_POLICY] ?? "delete") === "delete"
    ? { ...config, ...KEPT }
    : { ...config, ...TIMESTAMPS_UNLIMITED };

const renamed = ({ declaration }: PlanTable, name: string): PlanTable => ({
  name,
  declaration: { ...(declaration as TableSpec), name },
});

/** Parts keep their names, so that those of the live pipeline and of the run can be laid side by side. */
function shadowPart(part: Part, renaming: Renaming, prefix: string): Part {
  const source = part.sources[0];
  const table = part.table === null ? null : renaming.table(part.table, source);
  return {
    ...part,
    group: `${prefix}.${part.name}`,
    nodes: part.nodes.map((node) => shadowNode(node, renaming, table)),
    sources: part.sources.map((topic) => renaming.topic(topic)),
    stores: part.stores.map((store) => renaming.store(store)),
    table,
  };
}

function shadowNode(node: PlanNode, renaming: Renaming, table: PlanTable | null): PlanNode {
  const { topic, table: own } = node.operation;
  const operation: Operation = {
    ...mapStores(node.operation, (store) => renaming.store(store)),
    ...(own === undefined ? {} : { table: table ?? own }),
    ...(topic === undefined ? {} : { topic: renaming.topic(topic) }),
  };
  const name = node.name === topic?.name ? (operation.topic?.name ?? "") : node.name;
  return { ...node, name, operation };
}

/**
 * The name in `shadow` of a topic that a part of `plan` reads; null for a topic that none reads. Results of state come from the
 * same operator.
 */
export function counterpartOf(plan: Plan, shadow: Plan, topic: TopicName): TopicName | null {
  if (operatorOfResults(topic) !== null)
    return plan.parts.some((part) => reads(part, topic)) ? topic : null;
  for (const [i, part] of plan.parts.entries()) {
    const at = part.sources.findIndex(({ name }) => name === topic);
    if (at >= 0) return shadow.parts[i]?.sources[at]?.name ?? null;
  }
  return null;
}
