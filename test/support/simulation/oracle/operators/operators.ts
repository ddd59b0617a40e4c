// The operators of operators/ as the oracle has them: each by its rules, from records and their times alone.
import type { FlowSpec, Node, SourceRecord } from "../../case.ts";
import { outputName } from "../../flow.ts";
import { GROUP_NODE, operatorIn } from "../../operators/case.ts";
import { delayMsIn } from "../../operators/delays.ts";
import { boundedIn } from "../../operators/windows/bounded.ts";
import { repartitionName } from "../../refusals.ts";
import { lastWatermarks } from "../../windows.ts";
import { letterText, type Expected } from "../expected.ts";
import type { Item, Trail } from "../way.ts";
import { BoundedOracle } from "./bounded.ts";
import { CalendarOracle } from "./calendar.ts";
import { CountedOracle } from "./counted.ts";
import { HandlersOracle, WallOracle } from "./handlers.ts";
import type { KeyedItem, OperatorOracle } from "./oracle.ts";
import { Results } from "./results.ts";
import { SlidesOracle } from "./slides.ts";
import { SuppressedOracle } from "./suppressed.ts";

export class Operators {
  readonly #oracle: OperatorOracle | null;
  readonly #flow: FlowSpec;

  constructor(flow: FlowSpec) {
    this.#flow = flow;
    const operator = operatorIn(flow);
    this.#oracle = operator === null ? null : oracleOf(operator.node, operator.isGrouped);
  }

  /** Whether the record is late. */
  take(item: Item, trail: Trail): boolean {
    const { key, value } = item;
    trail.isNullKey ||= key === null && value !== undefined;
    if (key === null) return false;
    const oracle = this.#oracle;
    const isLate =
      value === undefined
        ? oracle?.takeDeleted?.(item, trail) === true
        : oracle?.take({ ...item, key, value }, trail) === true;
    trail.isLate ||= isLate;
    return isLate;
  }

  close(records: readonly SourceRecord[], expected: Expected): void {
    const operator = operatorIn(this.#flow);
    if (operator === null || this.#oracle === null) return;
    const { node, isGrouped } = operator;
    const stages = [{ records, waitMs: 0 }];
    const last = lastWatermarks({ flow: this.#flow, stages }, isGrouped);
    const results = new Results(this.#flow, node, expected);
    const isInOrder = !isGrouped && this.#oracle.isInOrder === true;
    for (const result of this.#oracle.close(last)) results.add(result, isInOrder);
    if (this.#oracle instanceof BoundedOracle) {
      if (isGrouped) leaveOpen(node, this.#oracle.items, expected);
      expected.evicted.set(node.id, this.#oracle.evicted);
    }
    results.close(last.map((ms) => ms - delayMsIn(node)));
  }
}

/** Which records are letters, and what is in which window, depends on their order. */
function leaveOpen(node: Node, items: readonly KeyedItem[], expected: Expected): void {
  const [end] = node.then;
  const topic = expected.topics.get(outputName(end as Node));
  if (topic !== undefined) topic.kind = "any";
  const ledger = expected.ledgers.get(GROUP_NODE);
  if (ledger !== undefined) ledger.isLoose = true;
  if (boundedIn(node).whenFull === "evict") return;
  const from = repartitionName({ ...node, id: GROUP_NODE });
  for (const { key, value } of items)
    expected.perhaps.push(letterText(from, key, JSON.stringify(value)));
}

function oracleOf(node: Node, isGrouped: boolean): OperatorOracle {
  if (node.op === "slides") return new SlidesOracle(node);
  if (node.op === "calendar") return new CalendarOracle(node);
  if (node.op === "counted") return new CountedOracle(node);
  if (node.op === "bounded") return new BoundedOracle(node, isGrouped);
  if (node.op === "suppressed") return new SuppressedOracle(node);
  return node.op === "wall" ? new WallOracle() : new HandlersOracle(node, isGrouped);
}
