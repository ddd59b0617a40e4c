// How far the rows of a table reach back: a row depends on no record that is older than itself by more. So the rows of a run that
// begins at a time are those of live from that time and the reach on (B2).
import { outputOf, type Part, type Plan, type PlanNode } from "../../core/plan.ts";
import type { TopicName } from "../../core/record.ts";

interface PlacedNode {
  readonly part: Part;
  readonly node: PlanNode;
}

/** In ms, by the longest way from a source to the table of a part; Infinity where a row may be made of any record. */
export class RowReach {
  readonly #writers: ReadonlyMap<TopicName, readonly PlacedNode[]>;
  readonly #known = new Map<PlanNode, number>();

  constructor({ parts }: Plan) {
    const placed = parts.flatMap((part) => part.nodes.map((node) => ({ part, node })));
    this.#writers = Map.groupBy(placed, ({ node }) => writtenBy(node) ?? "");
  }

  of(tablePart: Part): number {
    const all = tablePart.nodes.map((node) => this.#of({ part: tablePart, node }));
    return Math.max(0, ...all);
  }

  #of({ part, node }: PlacedNode): number {
    const known = this.#known.get(node);
    if (known !== undefined) return known;
    // Found again on its own way: a flow that feeds itself has no end.
    this.#known.set(node, Infinity);
    const { facts, inputs, operation } = node;
    const writers = facts.reads === true ? this.#writers.get(operation.topic?.name ?? "") : [];
    const own = part.nodes.filter(({ id }) => inputs.includes(id));
    const above = [...(writers ?? []), ...own.map((input) => ({ part, node: input }))];
    const reach =
      (facts.reachMs ?? (facts.folds === true ? Infinity : 0)) +
      Math.max(0, ...above.map((one) => this.#of(one)));
    this.#known.set(node, reach);
    return reach;
  }
}

/** Its own topic, or one between parts. */
const writtenBy = (node: PlanNode): TopicName | null =>
  node.facts.writes === undefined || node.facts.writes === "table"
    ? null
    : (outputOf(node)?.name ?? node.operation.topic?.name ?? null);
