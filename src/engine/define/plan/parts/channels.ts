// The channels of repartition topics: the tasks that write one, where something behind it uses time. A reader waits for all
// of them (W1), so their number is part of the plan. Topics that nobody behind needs markers for have none.
import { closePointsOf, type ClosePoint } from "../../../core/close-points.ts";
import type { MillraceError } from "../../../core/errors.ts";
import { channelsMax, metadataBytesMax } from "../../../core/metadata-size.ts";
import { usesTime, type Part, type PlanNode, type PlanTopic } from "../../../core/plan.ts";
import type { TopicName } from "../../../core/record.ts";
import { METADATA_BYTES_MAX } from "../../../core/task-inputs.ts";
import { sourcesOf } from "../../../core/upstream.ts";
import { problem } from "../../nodes/problem.ts";

/** The parts with the channels of their repartition topics. */
export function withChannels(parts: readonly Part[]): Part[] {
  const timed = topicsBehind(parts, usesTime);
  const channels = new Map<TopicName, number>();
  for (const { nodes, partitions } of parts)
    for (const topic of nodes.flatMap(repartitionOf))
      if (timed.has(topic.name)) channels.set(topic.name, partitions);
  const known = (topic: PlanTopic): PlanTopic => {
    const count = topic.internal === "repartition" ? channels.get(topic.name) : undefined;
    if (count === undefined) return topic;
    const points = pointsBehind(topic.name, parts);
    const closePoints = points === null ? {} : { closePoints: closePointsOf(points) };
    return { ...topic, channels: count, ...closePoints };
  };
  return parts.map((part) => ({
    ...part,
    sources: part.sources.map(known),
    nodes: part.nodes.map((node) => ofNode(node, known)),
  }));
}

/**
 * The watermarks of a topic at which something behind it closes, at once or through further topics; null where each may be
 * one, and where the ways run in a circle.
 */
function pointsBehind(
  topic: TopicName,
  parts: readonly Part[],
  within: readonly TopicName[] = [],
): readonly ClosePoint[] | null {
  if (within.includes(topic)) return null;
  const found: ClosePoint[] = [];
  for (const { nodes } of parts.filter(({ sources }) => reads(sources, topic))) {
    const delays = sourcesOf(nodes);
    for (const [at, node] of nodes.entries()) {
      const delayMs = delays[at]?.get(topic);
      if (delayMs === undefined) continue;
      const points = pointsOf(node, parts, [...within, topic]);
      if (points === null) return null;
      for (const { everyMs, afterMs } of points)
        found.push({ everyMs, afterMs: afterMs + delayMs });
    }
  }
  return found;
}

const reads = (sources: readonly PlanTopic[], topic: TopicName): boolean =>
  sources.some(({ name }) => name === topic);

/** As the watermark in front of a node knows them. */
function pointsOf(
  node: PlanNode,
  parts: readonly Part[],
  within: readonly TopicName[],
): readonly ClosePoint[] | null {
  const [next] = repartitionOf(node);
  if (next !== undefined) return pointsBehind(next.name, parts, within);
  if (!usesTime(node)) return [];
  return node.facts.closePoint === undefined ? null : [node.facts.closePoint];
}

/** Repartition topics whose readers would have to remember more channels than their progress has room for (K1). */
export function tooManyChannels(parts: readonly Part[], namespace: string): MillraceError[] {
  const written = parts.flatMap(({ nodes }) =>
    nodes.filter((node) => repartitionOf(node).length > 0),
  );
  return written.flatMap((node) => {
    const { channels } = node.operation.topic ?? {};
    if (channels === undefined) return [];
    const bytes = metadataBytesMax(namespace, { channels });
    if (bytes <= METADATA_BYTES_MAX) return [];
    const why = `${String(channels)} tasks write it, and something behind it uses event time: the progress of its readers may take ${String(bytes)} bytes, and Kafka takes ${String(METADATA_BYTES_MAX)}; read a topic of at most ${String(channelsMax(namespace))} partitions`;
    return [problem("MILL_BUILD_PROGRESS", node, why)];
  });
}

function ofNode(node: PlanNode, known: (topic: PlanTopic) => PlanTopic): PlanNode {
  const { topic } = node.operation;
  return topic === undefined
    ? node
    : { ...node, operation: { ...node.operation, topic: known(topic) } };
}

const repartitionOf = ({ facts, operation: { topic } }: PlanNode): readonly PlanTopic[] =>
  facts.writes === "repartition" && topic !== undefined ? [topic] : [];

/** The sources behind which there is such an operator, at once or through further topics between parts. */
export function topicsBehind(
  parts: readonly Part[],
  isOne: (node: PlanNode) => boolean,
): ReadonlySet<TopicName> {
  const found = new Set<TopicName>();
  for (;;) {
    const before = found.size;
    for (const { nodes } of parts) {
      const needing = nodes.filter(
        (node) => isOne(node) || repartitionOf(node).some(({ name }) => found.has(name)),
      );
      for (const { facts, operation } of above(nodes, needing))
        if (facts.reads === true && operation.topic !== undefined) found.add(operation.topic.name);
    }
    if (found.size === before) return found;
  }
}

/** The nodes and whatever feeds them. */
function above(nodes: readonly PlanNode[], from: readonly PlanNode[]): ReadonlySet<PlanNode> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const found = new Set(from);
  for (const node of found)
    for (const input of node.inputs) {
      const feeding = byId.get(input);
      if (feeding !== undefined) found.add(feeding);
    }
  return found;
}
