// cut(): where a graph becomes parts. A repartition ends one part and begins the next; a table is a part of its own
// (design: steps on from(topic) that only the table uses run inside its part, else an internal topic leads there).
import type { TopicName } from "../../../core/record.ts";
import { plainFormat } from "../../../core/carried.ts";
import { MAIN, pieceName } from "../../../core/pieces.ts";
import type { SchemaFormat } from "../../../core/schema.ts";
import { assert } from "../../../core/errors.ts";
import {
  mapStores,
  type Part,
  type PlanNode,
  type PlanStore,
  type PlanTable,
  type PlanTopic,
  storesOf,
} from "../../../core/plan.ts";
import { widthOf, type TopicWidth } from "../../../core/plan-settings.ts";
import { reading, source } from "../../operators/ends/source.ts";
import { forward, forwarding } from "../../operators/ends/sinks.ts";
import { internalName } from "../../nodes/plan-topic.ts";
import { groupsOf } from "../groups.ts";
import {
  declaredBy,
  fedBy,
  flowsOf,
  joined,
  withFlow,
  type CarriedFlow,
  type Flows,
} from "./carried.ts";

/** Needs a graph that `validate` has passed. */
export function cut(given: readonly PlanNode[], prefix: string): Part[] {
  const flows = flowsOf(given, (node) => internalName(node, prefix));
  const drawn = given.map((node) => withFlow(node, flows));
  const chains = directChains(drawn);
  const inChains = new Set([...chains.values()].flat().map((node) => node.id));
  const rest = drawn.filter((node) => !inChains.has(node.id) || usedOutside(node, drawn, inChains));
  const { nodes, sinks } = split(rest, flows, prefix);
  const tables = [...chains].map(([upsert, chain]) => sinkPart(chain, tableOf(upsert), prefix));
  return [...streamParts(nodes, partNames(given), prefix), ...tables, ...sinks];
}

/** The names of tables and repartitions: no other part has them. */
const partNames = (nodes: readonly PlanNode[]): ReadonlySet<string> =>
  new Set(
    nodes
      .filter(({ facts: { writes } }) => writes === "table" || writes === "repartition")
      .map(({ name }) => name),
  ).add(MAIN);

const tableOf = ({ operation }: PlanNode): PlanTable => {
  assert(operation.table !== undefined, "an operator that writes to no table");
  return operation.table;
};

/** A source that a chain shares with others stays in the stream parts too: each part reads it for itself. */
const usedOutside = (node: PlanNode, all: readonly PlanNode[], inChains: Set<number>): boolean =>
  node.facts.reads === true &&
  all.some((other) => other.inputs.includes(node.id) && !inChains.has(other.id));

/** For each upsert that a source feeds through steps of its own: source, steps, upsert. */
function directChains(nodes: readonly PlanNode[]): Map<PlanNode, PlanNode[]> {
  const uses = (id: number): number => nodes.filter((node) => node.inputs.includes(id)).length;
  const chains = new Map<PlanNode, PlanNode[]>();
  for (const upsert of nodes.filter(({ facts }) => facts.writes === "table")) {
    const chain = [upsert];
    let above = nodes[upsert.inputs[0] as number] as PlanNode;
    while (above.facts.insideSink && uses(above.id) === 1) {
      chain.unshift(above);
      above = nodes[above.inputs[0] as number] as PlanNode;
    }
    if (above.facts.reads) chains.set(upsert, [above, ...chain]);
  }
  return chains;
}

/** Replaces repartitions and indirect upserts by a write here and a source there. */
function split(
  rest: readonly PlanNode[],
  flows: Flows,
  prefix: string,
): { nodes: PlanNode[]; sinks: Part[] } {
  const nodes: PlanNode[] = [];
  const sinks: Part[] = [];
  const moved = new Map<number, number>();
  const topics = new Map<number, PlanTopic>();
  let fresh = 100_000;
  for (const node of rest) {
    const inputs = node.inputs.map((id) => moved.get(id) ?? id);
    const upstream = inputs.map((id) => topics.get(id) as PlanTopic);
    const internal = internalTopic(node, upstream, flows, prefix);
    if (internal === null) {
      nodes.push({ ...node, inputs });
      topics.set(node.id, node.operation.topic ?? widest(upstream));
      continue;
    }
    const isTable = node.facts.writes === "table";
    if (isTable) nodes.push({ ...node, inputs, operation: forward(internal), facts: forwarding });
    else nodes.push({ ...node, inputs, operation: { ...node.operation, topic: internal } });
    const source = sourceOf(node, internal, fresh++);
    topics.set(source.id, internal);
    if (isTable)
      sinks.push(sinkPart([source, { ...node, inputs: [source.id] }], tableOf(node), prefix));
    else {
      nodes.push(source);
      moved.set(node.id, source.id);
    }
  }
  return { nodes, sinks };
}

const widest = (topics: readonly PlanTopic[]): PlanTopic =>
  topics.reduce((a, b) => (b.partitions > a.partitions ? b : a));

/** The internal topic that a node writes to, or null. It has the partitions of what feeds it, unless it says otherwise. */
function internalTopic(
  node: PlanNode,
  upstream: readonly PlanTopic[],
  flows: Flows,
  prefix: string,
): PlanTopic | null {
  const { writes } = node.facts;
  if (writes !== "repartition" && writes !== "table") return null;
  const name = internalName(node, prefix);
  const feeds = joined(node.inputs.map((id) => flows.get(id) as CarriedFlow));
  const { topic } = node.operation;
  if (topic !== undefined) {
    const width = widthOf(topic.partitions === 0 ? widest(upstream) : topic);
    return { ...topic, ...fedBy(name, feeds, declaredBy(topic)), ...width };
  }
  const from = widest(upstream);
  const { key } = from;
  const own = { timestamp: null, internal: "sink", personalData: [] } as const;
  return { key, ...widthOf(from), ...own, ...fedBy(name, feeds, null) };
}

const sourceOf = (node: PlanNode, topic: PlanTopic, id: number): PlanNode => ({
  id,
  name: topic.name,
  operation: source(topic),
  facts: reading,
  inputs: [],
  site: node.site,
});

const sinkPart = (nodes: readonly PlanNode[], table: PlanTable, prefix: string): Part =>
  partOf(table.name, nodes, prefix, table);

/**
 * A part is a connected piece. A part behind a repartition is named by it, whatever else it reads. The other parts,
 * which a shared source connects too, are named by their first source; the one with the first `from` is `main`.
 */
function streamParts(
  nodes: readonly PlanNode[],
  taken: ReadonlySet<string>,
  prefix: string,
): Part[] {
  const all = connected(nodes, ({ inputs }) => inputs);
  const behind = all.filter((piece) => piece.some(readsInternal));
  const others = all.filter((piece) => !behind.includes(piece)).flat();
  const [main, ...named] = connected(others, (node) => [...node.inputs, ...topicsRead(node)]);
  const part = (name: string, piece: readonly PlanNode[]): Part =>
    partOf(name, inOrder(piece), prefix, null);
  return [
    ...(main === undefined ? [] : [part(MAIN, main)]),
    ...named.map((piece) => part(sourceName(piece, taken), piece)),
    ...behind.map((piece) => part(repartitionName(piece, prefix), piece)),
  ];
}

const inOrder = (nodes: readonly PlanNode[]): PlanNode[] => {
  const placed = new Set<number>();
  const left = [...nodes];
  const ordered: PlanNode[] = [];
  while (left.length > 0) {
    const at = left.findIndex((node) => node.inputs.every((id) => placed.has(id)));
    const [node] = left.splice(at, 1) as [PlanNode];
    placed.add(node.id);
    ordered.push(node);
  }
  return ordered;
};

const readsInternal = ({ facts, operation: { topic } }: PlanNode): boolean =>
  facts.reads === true && topic?.internal !== null;

const topicsRead = ({ facts, operation: { topic } }: PlanNode): TopicName[] =>
  facts.reads === true && topic !== undefined ? [topic.name] : [];

const sourceName = (piece: readonly PlanNode[], taken: ReadonlySet<string>): string =>
  pieceName(piece.flatMap(topicsRead)[0] as TopicName, (name) => taken.has(name));

const repartitionName = (piece: readonly PlanNode[], prefix: string): string => {
  const source = piece.find(readsInternal) as PlanNode;
  return source.name.slice(prefix.length + 1, -"-repartition".length);
};

/** In the order of their first nodes; `linksOf` says what a node hangs together with. */
function connected(
  nodes: readonly PlanNode[],
  linksOf: (node: PlanNode) => readonly (number | TopicName)[],
): PlanNode[][] {
  const roots = new Map<number | TopicName, number | TopicName>();
  const find = (id: number | TopicName): number | TopicName => {
    const above = roots.get(id) ?? id;
    return above === id ? id : find(above);
  };
  for (const node of nodes) for (const link of linksOf(node)) roots.set(find(node.id), find(link));
  return [...Map.groupBy(nodes, ({ id }) => find(id)).values()];
}

function partOf(
  name: string,
  nodes: readonly PlanNode[],
  prefix: string,
  table: PlanTable | null,
): Part {
  const sources = new Map<string, PlanTopic>();
  for (const {
    facts,
    operation: { topic },
  } of nodes) {
    if (!facts.reads || topic === undefined) continue;
    const { loadFirst } = sources.get(topic.name) ?? topic;
    sources.set(topic.name, loadFirst === undefined ? topic : { ...topic, loadFirst });
  }
  const width = widthOf(widest([...sources.values()]));
  const placed = placeStores(nodes, prefix, width);
  return {
    name,
    kind: table === null ? "stream" : "sink",
    group: `${prefix}.${name}`,
    nodes: placed,
    sources: [...sources.values()],
    partitions: width.partitions,
    stores: placed.flatMap(({ operation }) => storesOf(operation)),
    groups: groupsOf(nodes),
    table,
  };
}

/** Gives each store its changelog: as many partitions as the part has tasks, and the key of what feeds it. */
function placeStores(nodes: readonly PlanNode[], prefix: string, width: TopicWidth): PlanNode[] {
  const keys = new Map<number, SchemaFormat>();
  return nodes.map((node) => {
    const { operation, facts } = node;
    const { topic } = operation;
    if (facts.reads && topic) keys.set(node.id, topic.key);
    else keys.set(node.id, keys.get(node.inputs[0] ?? -1) ?? { kind: "bytes" });
    if (storesOf(operation).length === 0) return node;
    const fed = plainFormat(keys.get(node.id) as SchemaFormat);
    const placed = (store: PlanStore): PlanStore => {
      const key = facts.ownKeys ? store.changelog.key : fed;
      const name = `${prefix}-${store.name}-changelog`;
      return { ...store, changelog: { ...store.changelog, name, key, ...width } };
    };
    return { ...node, operation: mapStores(operation, placed) };
  });
}
