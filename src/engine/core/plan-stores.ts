// withStores(): a plan on the stores of a run. A reprocessed pipeline goes on with the stores that the run has filled; the
// note that says so is followed by workers and commands alike (notes/gate-note.ts). Pure; the version stays, since it is
// the same pipeline.
import {
  mapTopics,
  type Part,
  type Plan,
  type PlanNode,
  type PlanStore,
  type PlanTopic,
} from "./plan.ts";

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
    node.operation.store === undefined
      ? node
      : { ...node, operation: { ...node.operation, store: storeOf(node.operation.store) } };
  const partOf = (part: Part): Part => ({
    ...part,
    nodes: part.nodes.map(nodeOf),
    stores: part.stores.map(storeOf),
  });
  const parts = plan.parts.map(partOf);
  return Object.freeze({ ...plan, parts, topics: mapTopics(plan.topics, topicOf), storePrefix });
}
