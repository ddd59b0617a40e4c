// The connected pieces of a plan's parts. A part may hold several that only a topic joins, of which one even writes what
// another reads; what waits for what, and what is done when, is a matter of pieces. Topics never lead back to a piece.
import type { Part, Plan, PlanNode } from "../../core/plan.ts";
import type { TopicName } from "../../core/record.ts";

export interface Piece {
  readonly part: Part;
  readonly sources: readonly TopicName[];
  readonly writes: readonly TopicName[];
}

export const piecesOf = ({ parts }: Plan): readonly Piece[] => parts.flatMap(piecesOfPart);

function piecesOfPart(part: Part): Piece[] {
  const roots = new Map<number | TopicName, number | TopicName>();
  const find = (id: number | TopicName): number | TopicName => {
    const above = roots.get(id) ?? id;
    return above === id ? id : find(above);
  };
  for (const node of part.nodes)
    // Two sources of one topic are fed by one reader.
    for (const other of [...node.inputs, ...sourcesOf(node)]) roots.set(find(node.id), find(other));
  const pieces = Map.groupBy(part.nodes, ({ id }) => find(id));
  return [...pieces.values()].map((nodes) => ({
    part,
    sources: [...new Set(nodes.flatMap(sourcesOf))],
    writes: [...new Set(nodes.flatMap(writesOf))],
  }));
}

const topicOf = ({ operation }: PlanNode): TopicName[] =>
  operation.topic === undefined ? [] : [operation.topic.name];
const sourcesOf = (node: PlanNode): TopicName[] => (node.facts.reads ? topicOf(node) : []);
const writesOf = (node: PlanNode): TopicName[] => (node.facts.reads ? [] : topicOf(node));
