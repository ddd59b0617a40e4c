// cut(): where a graph becomes parts. A repartition ends one part and begins the next; a table is a part of its own
// (design: steps on from(topic) that only the table uses run inside its part, else an internal topic leads there).
import type { TopicName } from "../../../core/record.ts";
import { MAIN, pieceName } from "../../../core/pieces.ts";
import type { SchemaFormat } from "../../../core/schema.ts";
import { assert } from "../../../core/errors.ts";
import type { Part, PlanNode, PlanTable, PlanTopic } from "../../../core/plan.ts";
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

export interface PartNames {
  readonly pipeline: string;
  /** Namespace and pipeline, before every internal name. */
  readonly prefix: string;
  /** The names of tables and repartitions: no other part has them. */
  readonly taken: ReadonlySet<string>;
}

/** Needs a graph that `validate` has passed. */
export function cut(given: readonly PlanNode[], named: Omit<PartNames, "taken">): Part[] {
  const naming = { ...named, taken: partNames(given) };
  const flows = flowsOf(given, (node) => internalName(node, naming.prefix));
  const drawn = given.map((node) => withFlow(node, flows));
  const chains = directChains(drawn);
  const inChains = new Set([...chains.values()].flat().map((node) => node.id));
  const rest = drawn.filter((node) => !inChains.has(node.id) || usedOutside(node, drawn, inChains));
  const { nodes, sinks } = split(rest, flows, naming);
  const tables = [...chains].map(([upsert, chain]) => sinkPart(chain, tableOf(upsert), naming));
  return [...streamParts(nodes, naming), ...tables, ...sinks];
}

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
  naming: PartNames,
): { nodes: PlanNode[]; sinks: Part[] } {
  const nodes: PlanNode[] = [];
  const sinks: Part[] = [];
  const moved = new Map<number, number>();
  const topics = new Map<number, PlanTopic>();
  let fresh = 100_000;
  for (const node of rest) {
    const inputs = node.inputs.map((id) => moved.get(id) ?? id);
    const upstream = inputs.map((id) => topics.get(id) as PlanTopic);
    const internal = internalTopic(node, { upstream, flows }, naming);
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
      sinks.push(sinkPart([source, { ...node, inputs: [source.id] }], tableOf(node), naming));
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
  { upstream, flows }: { readonly upstream: readonly PlanTopic[]; readonly flows: Flows },
  naming: PartNames,
): PlanTopic | null {
  const { writes } = node.facts;
  if (writes !== "repartition" && writes !== "table") return null;
  const name = internalName(node, naming.prefix);
  const feeds = joined(node.inputs.map((id) => flows.get(id) as CarriedFlow));
  const { topic } = node.operation;
  if (topic !== undefined) {
    const partitions = topic.partitions || widest(upstream).partitions;
    return { ...topic, ...fedBy(name, feeds, declaredBy(topic)), partitions };
  }
  const { key, partitions } = widest(upstream);
  return { key, partitions, timestamp: null, internal: "sink", ...fedBy(name, feeds, null) };
}

const sourceOf = (node: PlanNode, topic: PlanTopic, id: number): PlanNode => ({
  id,
  name: topic.name,
  operation: source(topic),
  facts: reading,
  inputs: [],
  site: node.site,
});

function sinkPart(nodes: readonly PlanNode[], table: PlanTable, naming: PartNames): Part {
  return partOf(table.name, nodes, { naming, table });
}

/**
 * A part is a connected piece. One behind a repartition is named by it, whatever else it reads. Of the others, which a shared
 * source connects too, the one with the first `from` is `main`, and each other one is named by its first source.
 */
function streamParts(nodes: readonly PlanNode[], naming: PartNames): Part[] {
  const all = connected(nodes, ({ inputs }) => inputs);
  const behind = all.filter((piece) => piece.some(readsInternal));
  const others = all.filter((piece) => !behind.includes(piece)).flat();
  const [main, ...named] = connected(others, (node) => [...node.inputs, ...topicsRead(node)]);
  return [
    ...(main === undefined ? [] : [streamPart(MAIN, main, naming)]),
    ...named.map((piece) => streamPart(sourceName(piece, naming), piece, naming)),
    ...behind.map((piece) => streamPart(repartitionName(piece, naming), piece, naming)),
  ];
}

const streamPart = (name: string, piece: readonly PlanNode[], naming: PartNames): Part =>
  partOf(name, inOrder(piece), { naming, table: null });

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

const sourceName = (piece: readonly PlanNode[], { taken }: PartNames): string =>
  pieceName(piece.flatMap(topicsRead)[0] as TopicName, (name) => taken.has(name));

const repartitionName = (piece: readonly PlanNode[], { prefix }: PartNames): string => {
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
  { naming, table }: { naming: PartNames; table: PlanTable | null },
): Part {
  const sources = new Map<string, PlanTopic>();
  for (const { facts, operation } of nodes)
    if (facts.reads && operation.topic) sources.set(operation.topic.name, operation.topic);
  const partitions = Math.max(...[...sources.values()].map((topic) => topic.partitions));
  const placed = placeStores(nodes, { ...naming, partitions });
  return {
    name,
    kind: table === null ? "stream" : "sink",
    group: `${naming.prefix}.${name}`,
    nodes: placed,
    sources: [...sources.values()],
    partitions,
    stores: placed.flatMap(({ operation }) => operation.store ?? []),
    groups: groupsOf(nodes),
    table,
  };
}

/** Gives each store its changelog: as many partitions as the part has tasks, and the key of what feeds it. */
function placeStores(
  nodes: readonly PlanNode[],
  { prefix, partitions }: PartNames & { readonly partitions: number },
): PlanNode[] {
  const keys = new Map<number, SchemaFormat>();
  return nodes.map((node) => {
    const { operation, facts } = node;
    const { store, topic } = operation;
    if (facts.reads && topic) keys.set(node.id, topic.key);
    else keys.set(node.id, keys.get(node.inputs[0] ?? -1) ?? { kind: "bytes" });
    if (store === undefined) return node;
    const key = facts.ownKeys ? store.changelog.key : plainKey(keys, node);
    const name = `${prefix}-${store.name}-changelog`;
    const changelog = { ...store.changelog, name, key, partitions };
    return { ...node, operation: { ...operation, store: { ...store, changelog } } };
  });
}

function plainKey(keys: ReadonlyMap<number, SchemaFormat>, node: PlanNode): SchemaFormat {
  const format = keys.get(node.id) ?? { kind: "bytes" };
  return format.kind === "nullable" ? format.of : format;
}
