// withStores(): a plan on the stores of a run. A reprocessed pipeline goes on with the stores that the run has filled; the
// note that says so is followed by workers and commands alike (notes/gate-note.ts). Pure; the version stays, since it is
// the same pipeline.
import {
  mapStores,
  mapTopics,
  type Part,
  type Plan,
  type PlanNode,
  type PlanStore,
  type PlanTopic,
  storesOf,
} from "./plan.ts";
import type { TopicName } from "./record.ts";

/** The plan with the stores of a run, from a plan as it was built. Null: its own stores. */
export function withStores(plan: Plan, run: number | null): Plan {
  if (run === null) return plan;
  const storePrefix = `${plan.namespace}${plan.pipeline}-r${String(run)}`;
  const moved = new Map<string, PlanTopic>();
  for (const { name, changelog } of plan.parts.flatMap((part) => part.stores))
    moved.set(changelog.name, { ...changelog, name: `${storePrefix}-${name}-changelog` });
  const topicOf = (topic: PlanTopic): PlanTopic => moved.get(topic.name) ?? topic;
  const storeOf = (store: PlanStore): PlanStore => ({
    ...store,
    changelog: topicOf(store.changelog),
  });
  const nodeOf = (node: PlanNode): PlanNode =>
    storesOf(node.operation).length === 0
      ? node
      : { ...node, operation: mapStores(node.operation, storeOf) };
  const partOf = (part: Part): Part => ({
    ...part,
    nodes: part.nodes.map(nodeOf),
    stores: part.stores.map(storeOf),
  });
  const parts = plan.parts.map(partOf);
  return Object.freeze({ ...plan, parts, topics: mapTopics(plan.topics, topicOf), storePrefix });
}

/** The state of an operator that a plan no longer has. */
export interface FormerStore {
  /** The operator's name. */
  readonly name: string;
  /** Its changelog. */
  readonly topic: TopicName;
}

/** The text for a store that is new beside former ones: its operator may only have another name. */
export function startsEmpty(former: readonly FormerStore[]): string {
  const kept = former.map(({ name, topic }) => `the one of "${name}" stays at ${topic}`);
  return `starts empty; ${kept.join(", ")}. An operator that was only renamed finds its state again under its old name`;
}
