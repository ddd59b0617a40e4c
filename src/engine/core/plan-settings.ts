// The settings of an installation that a plan is made under. Every way to a plan takes them from one place (runtime/host/settings.ts).
import { notMadeYet } from "./errors.ts";
import type { PlanTopic } from "./plan.ts";

export interface PlanSettings {
  /** Goes before groups and internal topics. */
  readonly namespace: string;
  /** The partitions of a topic whose declaration does not say how many. */
  readonly topicPartitions: number;
}

export const DEFAULT_PLAN_SETTINGS: PlanSettings = { namespace: "", topicPartitions: 4 };

export const PARTITIONS_SETTING = "MILLRACE_TOPIC_PARTITIONS";

/** The number of a topic's partitions, and who says it. */
export type TopicWidth = Pick<PlanTopic, "partitions" | "partitionsBy">;

export const widthOf = ({ partitions, partitionsBy }: TopicWidth): TopicWidth =>
  partitionsBy === undefined ? { partitions } : { partitions, partitionsBy };

/** The text of a topic that exists with another number of partitions. */
export const widthDiffers = (
  topic: string,
  { partitions, partitionsBy }: TopicWidth,
  found: number,
): string => {
  const wanted = partitionsBy === "setting" ? `${PARTITIONS_SETTING} says` : "declared";
  return `${topic}: ${wanted} ${String(partitions)}, found ${String(found)}`;
};

/** The text of a topic that is not there. */
export const missingText = (topic: string, isExternal: boolean, pipeline = ""): string =>
  isExternal
    ? `${topic}, which is declared external: its owner makes it`
    : notMadeYet(topic, pipeline);

/** The text of a schema that is not registered. */
export const unregisteredText = (subject: string, isExternal: boolean, pipeline = ""): string =>
  isExternal
    ? `${subject}, of a topic that is declared external: its owner registers it`
    : notMadeYet(subject, pipeline);
