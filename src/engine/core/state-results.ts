// Results of state that belong to no record: what an operator makes of an entry that was due. One that a step behind cannot
// take becomes a letter; it comes from no topic, so the letter names the store in the place of one. So does the letter of a
// record that has waited in a store, and failed when it was due.
import { storesOf, type Part, type Plan, type PlanNode, type PlanTopic } from "./plan.ts";
import type { RawRecord, TopicName } from "./record.ts";

/** A topic's name has no colon. */
const PREFIX = "store:";
const GIVEN_UP = "due:";

/** The source of what the operator makes of entries that are due; of records that have waited, by their store. */
export const sourceOfResults = (operator: string): TopicName => `${PREFIX}${operator}`;

/** The source of entries that the operator has given up: they come back to it, its results behind it. */
export const sourceOfGivenUp = (operator: string): TopicName => `${GIVEN_UP}${operator}`;

export const isGivenUp = ({ topic }: Pick<RawRecord, "topic">): boolean =>
  topic.startsWith(GIVEN_UP);

/**
 * The operator whose results or entries come from there, or the store in which records have waited; null for a topic.
 */
export function operatorOfResults(source: TopicName): string | null {
  const prefix = [PREFIX, GIVEN_UP].find((one) => source.startsWith(one));
  return prefix === undefined ? null : source.slice(prefix.length);
}

export const isResult = ({ topic }: Pick<RawRecord, "topic">): boolean =>
  operatorOfResults(topic) !== null;

/** A topic that the node's records come from: where several meet, their keys are of one form. */
export function sourceAbove(
  part: Pick<Part, "nodes" | "sources">,
  node: PlanNode,
): PlanTopic | null {
  const { nodes, sources } = part;
  const source =
    node.facts.reads === true
      ? sources.find(({ name }) => name === node.operation.topic?.name)
      : undefined;
  if (source !== undefined) return source;
  const above = nodes.find(({ id }) => id === node.inputs[0]);
  return above === undefined ? null : sourceAbove(part, above);
}

/** The place of an operator with stores, by its name or that of one of them; -1: none. */
export function operatorNamed({ nodes }: Pick<Part, "nodes">, name: string | null): number {
  const named = nodes.findIndex((node) => node.name === name && hasStores(node));
  if (named >= 0) return named;
  return nodes.findIndex(({ operation }) => storesOf(operation).some((one) => one.name === name));
}

const hasStores = ({ operation }: PlanNode): boolean => storesOf(operation).length > 0;

/** The form of an operator's results in their letters; null for a topic, and where no part has the operator. */
export function formOfResults({ parts }: Plan, source: TopicName): PlanTopic | null {
  const operator = operatorOfResults(source);
  for (const part of operator === null ? [] : parts) {
    const node = part.nodes[operatorNamed(part, operator)];
    const above = node === undefined ? null : sourceAbove(part, node);
    if (above !== null) return { ...above, name: source, value: { kind: "tagged-json" } };
  }
  return null;
}

/** The place of an entry in the order of time, for what has no offset. */
export const placeOfDue = (dueMs: number): bigint => BigInt(Math.max(0, Math.trunc(dueMs)));

/** The bounds of the window of a result, epoch ms. */
export interface ResultWindow {
  readonly startMs: number;
  readonly endMs: number;
}

/** Null where the results are of no window. */
export function windowOfResults(results: unknown): ResultWindow | null {
  const [first] = Array.isArray(results) ? (results as unknown[]) : [];
  const { startMs, endMs } = (first ?? {}) as Partial<ResultWindow>;
  return isDate(startMs) && isDate(endMs) ? { startMs, endMs } : null;
}

/** The place in its topic of the first record that has waited, as "topic-partition:offset"; null for results. */
export function placeOfWaited(records: unknown): string | null {
  const [first] = Array.isArray(records) ? (records as unknown[]) : [];
  const { topic, partition, offset } = (first ?? {}) as Record<string, unknown>;
  // An offset is a marked bigint (decode/tagged-json.ts).
  const { $i: at = null } = (offset ?? {}) as Record<string, unknown>;
  if (typeof topic !== "string" || typeof partition !== "number" || typeof at !== "string")
    return null;
  return `${topic}-${String(partition)}:${at}`;
}

const isDate = (ms: unknown): ms is number =>
  typeof ms === "number" && !Number.isNaN(new Date(ms).getTime());
