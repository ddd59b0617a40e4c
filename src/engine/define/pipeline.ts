// pipeline(): a pipeline as a value. The builder is stored, and run once, when a plan is first asked for.
import type { Plan, PlanOptions } from "../core/plan.ts";
import { DEFAULT_PLAN_SETTINGS } from "../core/plan-settings.ts";
import { letterLimitOf, type HaltWhen } from "./plan/halt-when.ts";
import { Graph, isDeclared } from "./nodes/graph.ts";
import { planTopicOf, unknownTopic } from "./nodes/plan-topic.ts";
import { build } from "./plan/build.ts";
import { from } from "./operators/table.ts";
import { policyOf, type RetryOptions } from "./calls/retry.ts";
import type { Stream } from "./stream.ts";
import type { TopicSource } from "./topic.ts";

export interface PipelineOptions {
  /** The start of a task that has never run: the earliest offset (default), the latest, or a time in epoch ms. */
  readonly start?: "earliest" | "latest" | number;
  /** The outcome of a record whose callback throws. Default: dead letter. */
  readonly onError?: "dead-letter" | "halt";
  /** The place of the copies of state, beside their changelogs: Redis (default), or memory, restored at each start. */
  readonly state?: "redis" | "memory";
  /**
   * When dead letters halt the whole pipeline, until `millrace resume`: more than this share of the last records of one
   * task. Default: `{ deadLetters: { above: percent(5), per: records(500) } }`, which is more than 25.
   */
  readonly haltWhen?: HaltWhen;
  /** Failed redrives after which a dead letter is parked. Default: 3. */
  readonly redrivesMax?: number;
  /** The treatment of failed calls, for `mapAsync` steps without their own. Default: a dead letter at once. */
  readonly retry?: RetryOptions;
}

/** The argument of a builder. */
export interface Scope {
  /** A topic as a stream of typed records. `from(orders)`, `from(countries, { loadFirst: true })` */
  from<K, V>(topic: TopicSource<K, V>, options?: SourceOptions): Stream<K, V>;
}

export interface SourceOptions {
  /**
   * A reference topic: at a first start it is read from its beginning to the end that it has then, and the part's other
   * sources wait meanwhile. A ranged reprocess reads it whole. Default: false.
   */
  readonly loadFirst?: boolean;
}

export interface Pipeline {
  readonly kind: "pipeline";
  readonly name: string;
  /**
   * Builds and validates; the namespace goes before groups and internal topics, `topicPartitions` (default: 4) is the number
   * of topics that do not declare one. Neither is read from the environment. Throws ConfigErrors with all problems.
   * @example
   * const { topics } = cleaned.plan("staging-", 12);
   */
  plan(namespace?: string, topicPartitions?: number): Plan;
}

type Builder = (scope: Scope) => void;

/**
 * Declares a pipeline. Importing it starts nothing.
 * @example
 * export const cleaned = pipeline("cleaned", ({ from }) => {
 *   from(orders).filter("paid", (o) => o.paid).to(paidOrders);
 * });
 */
export function pipeline(name: string, ...rest: [Builder] | [PipelineOptions, Builder]): Pipeline {
  const [options, builder] = rest.length === 1 ? [{}, rest[0]] : rest;
  const plans = new Map<string, Plan>();
  return Object.freeze({
    kind: "pipeline",
    name,
    plan(namespace = "", topicPartitions = DEFAULT_PLAN_SETTINGS.topicPartitions) {
      const settings = `${namespace} ${String(topicPartitions)}`;
      const known = plans.get(settings);
      if (known !== undefined) return known;
      const { haltWhen, problems } = letterLimitOf(name, options.haltWhen);
      const input = { name, namespace, options: { ...withDefaults(options), haltWhen }, problems };
      const plan = build({ ...input, draw: draw(builder, topicPartitions) });
      plans.set(settings, plan);
      return plan;
    },
  });
}

const withDefaults = (options: PipelineOptions): Omit<PlanOptions, "haltWhen"> => ({
  start: options.start ?? "earliest",
  onError: options.onError ?? "dead-letter",
  state: options.state ?? "redis",
  // Left out where it is not said, so that versions of plans are what they were.
  ...(options.redrivesMax === undefined ? {} : { redrivesMax: options.redrivesMax }),
  ...(options.retry === undefined ? {} : { retry: policyOf(options.retry) }),
});

const draw = (builder: Builder, topicPartitions: number) => (): Graph => {
  const graph = new Graph(topicPartitions);
  builder({
    from: (topic, { loadFirst = false } = {}) => {
      const known = isDeclared(topic, "topic");
      if (!known) graph.refuse("from", "a topic(…)", topic);
      if (typeof loadFirst !== "boolean")
        graph.refuse("from", "loadFirst: true or false", loadFirst);
      const use = loadFirst ? "reference" : "stream";
      const source = known ? planTopicOf(topic, topicPartitions, use) : unknownTopic;
      return from(graph, loadFirst ? { ...source, loadFirst } : source);
    },
  });
  return graph;
};
