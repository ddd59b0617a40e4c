// The class of an operator: whether its results are the same whatever workers, batches and crashes there are. Pure.
import {
  outputOf,
  usesTime,
  type Part,
  type Plan,
  type PlanNode,
  type PlanTopic,
} from "../../core/plan.ts";
import type { TopicName } from "../../core/record.ts";
import { isCompacted } from "../../core/topic-config.ts";
import { sourcesOf } from "../../core/upstream.ts";

/**
 * exact: the same results · final: the same last value of each key · arrival: they depend on when records came together. With why,
 * where it is not exact.
 */
export type ResultClass =
  { readonly name: "exact" } | { readonly name: "final" | "arrival"; readonly why: string };

/** A source that holds the time in front of an operator back. */
export interface AwaitedSource {
  readonly topic: TopicName;
  /** By how much the watermark in front of the operator stays behind that of the source. */
  readonly delayMs: number;
  /** The tasks that write it, all of which are waited for; null for a source of the pipeline. */
  readonly writers: number | null;
  /** So long without records it is not waited for; null: for ever. */
  readonly idleAfterMs: number | null;
  /** The Millrace pipeline that writes it; left out for other writers. */
  readonly writtenBy?: string;
}

const EXACT: ResultClass = { name: "exact" };
const RANK = ["exact", "final", "arrival"] as const;
const worse = (a: ResultClass, b: ResultClass): ResultClass =>
  RANK.indexOf(b.name) > RANK.indexOf(a.name) ? b : a;

/** The sources behind which the operator asks for time; empty where it does not ask. */
export function awaitedSources(part: Part, node: PlanNode): readonly AwaitedSource[] {
  if (!usesTime(node)) return [];
  const delays = sourcesOf(part.nodes)[part.nodes.indexOf(node)] ?? new Map<TopicName, number>();
  return [...delays].map(([topic, delayMs]) => {
    const source = part.sources.find(({ name }) => name === topic);
    const { channels = null, idleAfterMs = null, writtenBy } = source ?? {};
    const writer = writtenBy === undefined ? {} : { writtenBy };
    return { topic, delayMs, writers: channels, idleAfterMs, ...writer };
  });
}

/** Classes of the operators of a plan. */
export class ResultClasses {
  readonly #plan: Plan;
  readonly #known = new Map<PlanNode, ResultClass>();

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  of(part: Part, node: PlanNode): ResultClass {
    const known = this.#known.get(node);
    if (known !== undefined) return known;
    // Parts may form cycles: on the way round nothing is added.
    this.#known.set(node, EXACT);
    const { topic } = node.operation;
    const isSource = node.facts.reads === true && topic !== undefined;
    const found = isSource
      ? this.#ofSource(topic)
      : worse(this.#ofInputs(part, node), this.#own(part, node));
    this.#known.set(node, found);
    return found;
  }

  #ofInputs(part: Part, { inputs }: PlanNode): ResultClass {
    return part.nodes
      .filter(({ id }) => inputs.includes(id))
      .map((input) => this.of(part, input))
      .reduce(worse, EXACT);
  }

  /** A topic that the pipeline writes has the class of its writers. */
  #ofSource(topic: PlanTopic): ResultClass {
    const writers = this.#plan.parts.flatMap((part) =>
      part.nodes
        .filter(
          ({ facts, operation }) =>
            facts.writes !== undefined && operation.topic?.name === topic.name,
        )
        .map((node) => ({ part, node })),
    );
    const written = writers.map(({ part, node }) => this.of(part, node)).reduce(worse, EXACT);
    const isByMany = writers.some(
      ({ part, node }) => outputOf(node) !== null && part.partitions > 1,
    );
    if (isByMany) {
      const why = `several tasks write ${topic.name}, and its records have their time from there`;
      return worse(written, { name: "arrival", why });
    }
    if (topic.internal !== null || !isCompacted(topic.config)) return written;
    return worse(written, { name: "final", why: `${topic.name} is compacted` });
  }

  #own(part: Part, node: PlanNode): ResultClass {
    const { comesOut } = node.facts;
    if (comesOut === undefined) return EXACT;
    if (comesOut === "in-order") return this.#inOrder(part, node, node.facts.anyOrder);
    const [name, why] = comesOut;
    return name === "final" && this.#inOrder(part, node, node.facts.anyOrder).name === "arrival"
      ? this.#inOrder(part, node)
      : { name, why };
  }

  /** A step that depends on the order of records is exact where one input partition makes that order. */
  #inOrder(part: Part, node: PlanNode, anyOrder = false): ResultClass {
    const sources = [...(sourcesOf(part.nodes)[part.nodes.indexOf(node)] ?? [])];
    const [first] = sources;
    const topic = part.sources.find(({ name }) => name === first?.[0]);
    if (anyOrder || (sources.length === 1 && topic?.internal === null)) return EXACT;
    const why =
      sources.length === 1
        ? `it depends on the order of records, and several tasks write ${first?.[0] ?? ""}`
        : "it depends on the order of records, which come from several topics";
    return { name: "arrival", why };
  }
}
