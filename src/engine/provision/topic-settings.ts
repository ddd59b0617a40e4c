// The declared settings of a topic beside those that it has, and the records that a change of them could cost. Pure.
// A setting that is not declared is not looked at here, so nothing changes it.
import { MillraceError } from "../core/errors.ts";
import type { TopicDescription } from "../core/kafka.ts";
import type { TopicName } from "../core/record.ts";
import {
  CLEANUP_POLICY,
  MESSAGE_BYTES_MAX,
  MIN_INSYNC,
  RETENTION_BYTES,
  RETENTION_MS,
  TIMESTAMP_AFTER_MAX,
  TIMESTAMP_BEFORE_MAX,
  TIMESTAMP_TYPE,
} from "../core/topic-config.ts";

/** The changes that can lose data, by the word with which `topics apply --yes` confirms them. */
export const losses = {
  "shorten-retention": "records that the topic keeps today may be deleted",
  "change-cleanup": "records that the topic keeps today may be deleted or compacted away",
  "refuse-records": "records that the topic takes today may be refused",
  "change-timestamps": "records get their times, from which retention counts, by another clock",
  "lower-durability": "records that were acknowledged may be lost with a broker",
} as const;
export type LossWord = keyof typeof losses;

export const isLoss = (word: string): word is LossWord => Object.hasOwn(losses, word);

export interface ConfigDrift {
  readonly name: string;
  readonly found: string | null;
  readonly declared: string;
  /** Set where the change can lose data. */
  readonly loses?: LossWord;
}

/** `isOwn`: the topic is the pipeline's own, such as a changelog, and nobody else decides on its settings. */
export const driftOf = (
  declared: Readonly<Record<string, string>>,
  found: TopicDescription,
  isOwn: boolean,
): readonly ConfigDrift[] =>
  Object.entries(declared)
    .map(([name, value]) => ({ name, found: found.config[name] ?? null, declared: value }))
    .filter((drift) => drift.found === null || !isSameSetting(drift.found, drift.declared))
    .map((drift) => {
      const loses = lossOf(drift, isOwn);
      return loses === null ? drift : { ...drift, loses };
    });

/** Kafka's lists, such as cleanup.policy, have no order. */
const isSameSetting = (a: string, b: string): boolean =>
  listOf(a).toSorted().join() === listOf(b).toSorted().join();
const listOf = (setting: string): string[] => setting.split(",").map((part) => part.trim());

type Judge = (found: string, declared: string, isOwn: boolean) => boolean;

const isLess: Judge = (found, declared) => numberOf(declared) < numberOf(found);
/** -1 is no limit. */
const numberOf = (setting: string): number => (setting === "-1" ? Infinity : Number(setting));
const becomes =
  (value: string): Judge =>
  (_, declared) =>
    declared === value;

/** A topic of our own works under the policy and the clock that it is made with alone. */
const unlessOwn: Judge = (_found, _declared, isOwn) => !isOwn;

const judges: Readonly<Record<string, readonly [LossWord, Judge]>> = {
  [RETENTION_MS]: ["shorten-retention", isLess],
  [RETENTION_BYTES]: ["shorten-retention", isLess],
  // Readers that come later miss deletes, or versions between.
  "delete.retention.ms": ["shorten-retention", isLess],
  "min.compaction.lag.ms": ["shorten-retention", isLess],
  "max.compaction.lag.ms": ["shorten-retention", isLess],
  // Records in the remote tier: -2 follows retention.ms and retention.bytes.
  "remote.storage.enable": ["shorten-retention", becomes("false")],
  "remote.log.delete.on.disable": ["shorten-retention", becomes("true")],
  [CLEANUP_POLICY]: ["change-cleanup", unlessOwn],
  [MESSAGE_BYTES_MAX]: ["refuse-records", isLess],
  [TIMESTAMP_BEFORE_MAX]: ["refuse-records", isLess],
  [TIMESTAMP_AFTER_MAX]: ["refuse-records", isLess],
  "message.timestamp.difference.max.ms": ["refuse-records", isLess],
  [TIMESTAMP_TYPE]: ["change-timestamps", unlessOwn],
  [MIN_INSYNC]: ["lower-durability", isLess],
  "unclean.leader.election.enable": ["lower-durability", becomes("true")],
};

function lossOf({ name, found, declared }: ConfigDrift, isOwn: boolean): LossWord | null {
  const judge = Object.hasOwn(judges, name) ? judges[name] : undefined;
  if (judge === undefined || found === null) return null;
  const [loss, loses] = judge;
  return loses(found, declared, isOwn) ? loss : null;
}

interface Drifting {
  readonly topic: TopicName;
  readonly config: readonly ConfigDrift[];
}

export interface Confirmed {
  /** The changes that may lose data. */
  readonly yes: readonly LossWord[];
  /** The pipelines that were named, for the command in a refusal. */
  readonly pipelines: readonly string[];
}

/** The words that a plan needs, each once. */
export const lossesOf = (plans: readonly Drifting[]): readonly LossWord[] => [
  ...new Set(plans.flatMap(({ config }) => config.flatMap(({ loses }) => loses ?? []))),
];

/** The changes of a topic that can lose data, in words. */
export const lossTexts = ({ config }: Pick<Drifting, "config">): readonly string[] =>
  config.flatMap(({ name, found, declared, loses }) =>
    loses === undefined
      ? []
      : [`${name} ${found ?? "unset"} would be ${declared}: ${losses[loses]} (${loses})`],
  );

/** The command that does what can lose data. */
export const losingCommand = (words: readonly LossWord[], pipelines: readonly string[]): string =>
  ["npx millrace topics apply", ...pipelines, "--yes", words.join(",")].join(" ");

/** Throws MILL_TOPIC_LOSES, with every change that has no word. */
export function refuseLosses(
  plans: readonly Drifting[],
  { yes = [], pipelines = [] }: Partial<Confirmed>,
): void {
  const words = lossesOf(plans);
  if (words.every((word) => yes.includes(word))) return;
  const texts = plans.flatMap((plan) => lossTexts(plan).map((text) => `${plan.topic}: ${text}`));
  const detail = `${texts.join("; ")}. Nothing was changed. To do it: ${losingCommand(words, pipelines)}`;
  throw new MillraceError("MILL_TOPIC_LOSES", detail);
}
