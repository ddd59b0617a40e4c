// From a declared topic to the topic of a plan: configuration as Kafka names it, of which nothing is made up that the
// declaration leaves out.
import { IDLE_AFTER_MS } from "../../core/event-time.ts";
import type { PlanNode, PlanTopic } from "../../core/plan.ts";
import type { TopicName } from "../../core/record.ts";
import type { SchemaFormat } from "../../core/schema.ts";
import { CLEANUP_POLICY, RETENTION_MS } from "../../core/topic-config.ts";
import type { Topic } from "../topic.ts";

type AnyTopic = Omit<Topic<unknown, unknown>, "key" | "value"> & {
  readonly key: { readonly format: SchemaFormat };
  readonly value: { readonly format: SchemaFormat };
};

/** `topicPartitions`: of a topic whose declaration does not say. `use`: what it is read as. */
export function planTopicOf(
  topic: AnyTopic,
  topicPartitions: number,
  use: keyof typeof IDLE_AFTER_MS = "stream",
): PlanTopic {
  return {
    name: topic.name,
    key: topic.key.format,
    value: topic.value.format,
    ...(topic.partitions === null
      ? { partitions: topicPartitions, partitionsBy: "setting" as const }
      : { partitions: topic.partitions }),
    timestamp: topic.timestamp as PlanTopic["timestamp"],
    timeRule: { futureMaxMs: topic.futureMax.ms, invalid: topic.invalidTimestamp },
    ...idlenessOf(topic, use),
    internal: null,
    ...(topic.external ? { external: true } : {}),
    config: { ...cleanupOf(topic), ...retentionOf(topic), ...topic.config },
    personalData: topic.personalData,
    ...(topic.personalKey === null ? {} : { personalKey: topic.personalKey }),
  };
}

function idlenessOf(
  { idleAfter, writtenBy }: AnyTopic,
  use: keyof typeof IDLE_AFTER_MS,
): Pick<PlanTopic, "idleAfterMs" | "writtenBy"> {
  const writer = writtenBy === null ? {} : { writtenBy };
  if (idleAfter === "never") return writer;
  return { idleAfterMs: idleAfter?.ms ?? IDLE_AFTER_MS[use], ...writer };
}

const cleanupOf = ({ compacted }: AnyTopic): PlanTopic["config"] =>
  compacted === null ? {} : { [CLEANUP_POLICY]: compacted ? "compact" : "delete" };

/** A compacted topic keeps the newest record of each key for ever. */
function retentionOf({ retention, compacted }: AnyTopic): PlanTopic["config"] {
  if (retention === null || compacted === true) return {};
  return { [RETENTION_MS]: retention === "forever" ? "-1" : String(retention.ms) };
}

/** A substitute for what is no topic, so that the builder goes on and finds the other problems too. */
export const unknownTopic: PlanTopic = {
  name: "unknown",
  key: { kind: "string" },
  value: { kind: "bytes" },
  partitions: 1,
  timestamp: null,
  internal: null,
  config: {},
  personalData: [],
};

/**
 * The topic that a new key goes through, before it has its name; 0 partitions are as many as the
 * source has.
 */
export const repartitionTopic = (
  key: SchemaFormat,
  value: SchemaFormat,
  partitions: number,
): PlanTopic => ({ ...unknownTopic, name: "", key, value, partitions, internal: "repartition" });

/** The name of the internal topic that a node writes to; `prefix` is namespace and pipeline. */
export const internalName = ({ name, facts }: PlanNode, prefix: string): TopicName =>
  `${prefix}-${name}-${facts.writes === "table" ? "sink" : "repartition"}`;
