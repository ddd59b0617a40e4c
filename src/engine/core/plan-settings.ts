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
  { partitions, partitionsBy, internal = null }: TopicWidth & Partial<Pick<PlanTopic, "internal">>,
  found: number,
): string => {
  const wanted = partitionsBy === "setting" ? `${PARTITIONS_SETTING} says` : "declared";
  const kept = internal === null ? "" : `. ${keptBy[internal](found)}`;
  return `${topic}: ${wanted} ${String(partitions)}, found ${String(found)}${kept}`;
};

const inFront = (found: number): string =>
  `Its records lie by key in ${String(found)} partitions: a rekey with { partitions: ${String(found)} } in front of it keeps them`;

/** The way in which a topic of the pipeline's own keeps its partitions where its source has more. */
const keptBy: Readonly<Record<NonNullable<PlanTopic["internal"]>, (found: number) => string>> = {
  repartition: (found) =>
    `The rekey or groupBy that writes it keeps its number: { partitions: ${String(found)} }`,
  changelog: inFront,
  sink: inFront,
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
