// The limits of topics, beside what is declared: those that nobody has declared, and outputs that take less than their
// sources let through. Pure; nothing here is changed by `apply`.
import { DEFAULT_TIME_RULE, spanText } from "../core/event-time.ts";
import type { ConfigSource, TopicDescription, TopicSpec } from "../core/kafka.ts";
import type { Plan, PlanTopic } from "../core/plan.ts";
import type { TopicName } from "../core/record.ts";
import {
  CLEANUP_POLICY,
  MESSAGE_BYTES_MAX,
  RETENTION_BYTES,
  RETENTION_MS,
  TIMESTAMP_AFTER_MAX,
  TIMESTAMP_BEFORE_MAX,
  TIMESTAMP_TYPE,
} from "../core/topic-config.ts";

/** A limit that a topic has although nobody declares it. */
export interface FoundLimit {
  readonly name: string;
  readonly found: string;
  readonly source: Exclude<ConfigSource, "default">;
}

/** A topic that feeds another one, and how far ahead its times may lie; null: as far as Kafka lets its timestamps. */
export interface Feeding {
  readonly topic: TopicName;
  readonly futureMaxMs: number | null;
}

export type FoundTopics = ReadonlyMap<TopicName, TopicDescription | null>;

const LIMITS = [
  RETENTION_MS,
  RETENTION_BYTES,
  MESSAGE_BYTES_MAX,
  CLEANUP_POLICY,
  TIMESTAMP_TYPE,
  TIMESTAMP_BEFORE_MAX,
  TIMESTAMP_AFTER_MAX,
];

/** Kafka's own defaults are not worth a line. */
export function undeclaredLimits(
  { config }: TopicSpec,
  found: TopicDescription | null,
): readonly FoundLimit[] {
  return LIMITS.filter((name) => !Object.hasOwn(config, name)).flatMap((name) => {
    const source = found?.sources?.[name] ?? "default";
    const value = found?.config[name];
    return source === "default" || value === undefined ? [] : [{ name, found: value, source }];
  });
}

/** The time that timestamps may be ahead of a broker's clock; null: no limit, or the broker sets its own. */
function aheadOf(config: TopicSpec["config"] = {}): number | null {
  if (config[TIMESTAMP_TYPE] === "LogAppendTime") return null;
  const limit = config[TIMESTAMP_AFTER_MAX];
  return limit === undefined ? null : Number(limit);
}

interface Fed {
  readonly spec: TopicSpec;
  readonly feeding?: readonly Feeding[];
}

/**
 * The records that an output topic would refuse of those that its sources let through, once it is
 * as declared.
 */
export function lateness({ spec, feeding = [] }: Fed, found: FoundTopics): readonly string[] {
  const takenMs = aheadOf({ ...found.get(spec.topic)?.config, ...spec.config });
  if (takenMs === null) return [];
  return feeding.flatMap(({ topic: source, futureMaxMs }) => {
    const givenMs = futureMaxMs ?? aheadOf(found.get(source)?.config);
    if (givenMs === null || givenMs <= takenMs) return [];
    const limits = `takes timestamps up to ${shownSpan(takenMs)} ahead (${TIMESTAMP_AFTER_MAX})`;
    return [`${limits}, ${source} lets times through up to ${shownSpan(givenMs)} ahead`];
  });
}

/** Longer than a hundred years is no limit. */
const UNLIMITED_MS = 100 * 365 * 86_400_000;
const shownSpan = (ms: number): string => (ms > UNLIMITED_MS ? "any time" : spanText(ms));

const timeFrom = ({ name, timestamp, timeRule = DEFAULT_TIME_RULE }: PlanTopic): Feeding => ({
  topic: name,
  futureMaxMs: timestamp === null ? null : timeRule.futureMaxMs,
});

/** By topic that a plan writes for others: those of others that the plan reads. */
export function feedingOf(plan: Plan): ReadonlyMap<TopicName, readonly Feeding[]> {
  const sources = sourcesOf(plan).map(timeFrom);
  return new Map(
    plan.topics.output.map(({ name }) => [name, sources.filter(({ topic }) => topic !== name)]),
  );
}

/** Topics that a plan reads and that are no internal ones, each once. */
export function sourcesOf(plan: Plan): readonly PlanTopic[] {
  const sources = plan.parts.flatMap((part) => part.sources);
  const outer = sources.filter(({ internal }) => internal === null);
  return [...new Map(outer.map((topic) => [topic.name, topic])).values()];
}

/** Sources whose own timestamps nobody bounds: one record from the future would move time for all that come after it. */
export function unboundedSources(plans: readonly Plan[], found: FoundTopics): readonly string[] {
  const names = new Set(plans.flatMap(sourcesOf).map(({ name }) => name));
  return [...names].flatMap((name) => {
    const ahead = aheadOf(found.get(name)?.config);
    if (ahead === null || ahead <= DEFAULT_TIME_RULE.futureMaxMs) return [];
    return [`${name} takes timestamps up to ${shownSpan(ahead)} ahead of the broker's clock`];
  });
}
