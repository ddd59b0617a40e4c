// The topics that a pipeline has for itself beside its streams, as they are made: letters and notes, which are always
// there, and those that are made when they are first used (late-topics.ts).
import type { TopicSpec } from "./kafka.ts";
import type { Plan } from "./plan.ts";
import { ANY_TIMESTAMP, CLEANUP_POLICY, MESSAGE_BYTES_MAX, MIN_INSYNC } from "./topic-config.ts";

/** The settings of topics that Millrace makes, where nothing declares them. */
export interface TopicDefaults {
  /** -1 takes the broker's default. */
  readonly replicationFactor: number;
  /** Null takes the broker's default. */
  readonly minInsync: number | null;
}

export const BROKER_DEFAULTS: TopicDefaults = { replicationFactor: -1, minInsync: null };

/** Twice Kafka's default: a letter is its record and the headers that say why. */
const LETTER_BYTES_MAX = String(2 * 1_048_588);
const FOREVER = "-1";

const LETTERS = {
  [CLEANUP_POLICY]: "delete",
  "retention.ms": FOREVER,
  [MESSAGE_BYTES_MAX]: LETTER_BYTES_MAX,
  ...ANY_TIMESTAMP,
};
const NOTES = { [CLEANUP_POLICY]: "compact", ...ANY_TIMESTAMP };

/** A topic under the settings of an installation; what it declares itself stays. */
export const madeWith = (
  { replicationFactor, minInsync }: TopicDefaults,
  { topic, partitions, config }: Omit<TopicSpec, "replicationFactor">,
): TopicSpec => ({
  ...{ topic, partitions, replicationFactor },
  config: minInsync === null ? config : { [MIN_INSYNC]: String(minInsync), ...config },
});

/** Letters and notes. One partition keeps the order of each key's letters: they are written by the key's task alone. */
export const ownSpecs = (
  { deadLetters, meta }: Plan,
  defaults: TopicDefaults,
): readonly [letters: TopicSpec, notes: TopicSpec] => [
  madeWith(defaults, { topic: deadLetters, partitions: 1, config: LETTERS }),
  madeWith(defaults, { topic: meta, partitions: 1, config: NOTES }),
];

export const letterStatesSpec = ({ letterStates }: Plan, defaults: TopicDefaults): TopicSpec =>
  madeWith(defaults, { topic: letterStates, partitions: 1, config: NOTES });

/** As wide as its tasks are many. A record that comes back is whole again, however large its topic lets a record be. */
export const redriveSpec = (plan: Plan, defaults: TopicDefaults): TopicSpec => {
  const config = { ...LETTERS, [MESSAGE_BYTES_MAX]: String(redriveBytesMax(plan)) };
  return madeWith(defaults, { topic: plan.redrive, partitions: tasksOf(plan), config });
};

/** The most tasks that a part of the pipeline has. */
export const tasksOf = ({ parts }: Pick<Plan, "parts">): number =>
  Math.max(...parts.map(({ partitions }) => partitions));

const redriveBytesMax = ({ topics }: Plan): number => {
  const limits = topics.all.map(({ config }) => Number(config[MESSAGE_BYTES_MAX] ?? 0));
  return Math.max(Number(LETTER_BYTES_MAX), 2 * Math.max(...limits));
};
