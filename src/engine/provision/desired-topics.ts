// Every topic that some plans need: declared ones, internal ones, dead letters, notes.
import type { Plan, PlanTopic } from "../core/plan.ts";
import { ownFormat, subjectOf, type SchemaFormat } from "../core/schema.ts";
import { ANY_TIMESTAMP, CLEANUP_POLICY, MESSAGE_BYTES_MAX } from "../core/topic-config.ts";
import { feedingOf, type Feeding } from "./topic-limits.ts";
import type { DesiredTopic } from "./topics.ts";

/** Twice Kafka's default: a letter is its record and the headers that say why. */
const LETTER_BYTES_MAX = String(2 * 1_048_588);
const FOREVER = "-1";
const BROKER_DEFAULT = -1;

/** Returns one entry per topic, in the order of the plans. */
export function desiredTopics(plans: readonly Plan[]): DesiredTopic[] {
  const byName = new Map<string, DesiredTopic>();
  const feeding = new Map<string, Feeding[]>();
  for (const plan of plans) {
    for (const topic of [...plan.topics.all.map(declared), ...own(plan)])
      byName.set(topic.spec.topic, topic);
    for (const [name, sources] of feedingOf(plan))
      feeding.set(name, [...(feeding.get(name) ?? []), ...sources]);
  }
  return [...byName.values()].map((topic) => {
    const sources = feeding.get(topic.spec.topic);
    return sources === undefined ? topic : { ...topic, feeding: sources };
  });
}

const declared = (topic: PlanTopic): DesiredTopic => ({
  spec: {
    topic: topic.name,
    partitions: topic.partitions,
    replicationFactor: BROKER_DEFAULT,
    config: topic.config,
  },
  ...schemaOf(topic, "key"),
  ...schemaOf(topic, "value"),
});

function schemaOf(topic: PlanTopic, side: "key" | "value"): Partial<DesiredTopic> {
  const format: SchemaFormat = ownFormat(topic[side]);
  if (format.kind !== "avro") return {};
  const registered = {
    subject: subjectOf(topic.name, side),
    schema: JSON.stringify(format.schema),
  };
  return side === "key" ? { keySchema: registered } : { valueSchema: registered };
}

/** Letters have the partitions of their sources, so order per key is kept; notes are few and compacted. */
function own(plan: Plan): DesiredTopic[] {
  const partitions = Math.max(...plan.topics.all.map((topic) => topic.partitions));
  const letters = {
    [CLEANUP_POLICY]: "delete",
    "retention.ms": FOREVER,
    [MESSAGE_BYTES_MAX]: LETTER_BYTES_MAX,
    ...ANY_TIMESTAMP,
  };
  // A record that comes back is whole again, however large its topic lets a record be.
  const whole = { ...letters, [MESSAGE_BYTES_MAX]: String(redriveBytesMax(plan)) };
  const spec = { replicationFactor: BROKER_DEFAULT };
  const notes = { partitions: 1, config: { [CLEANUP_POLICY]: "compact", ...ANY_TIMESTAMP } };
  return [
    { spec: { ...spec, topic: plan.deadLetters, partitions, config: letters }, width: "any" },
    { spec: { ...spec, topic: plan.parked, partitions, config: letters }, width: "any" },
    { spec: { ...spec, topic: plan.redrive, partitions, config: whole }, width: "at least" },
    { spec: { ...spec, topic: plan.letterStates, ...notes } },
    { spec: { ...spec, topic: plan.meta, ...notes } },
  ];
}

const redriveBytesMax = ({ topics }: Plan): number => {
  const limits = topics.all.map(({ config }) => Number(config[MESSAGE_BYTES_MAX] ?? 0));
  return Math.max(Number(LETTER_BYTES_MAX), 2 * Math.max(...limits));
};
