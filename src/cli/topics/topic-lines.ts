// Topics as a table, what is wrong with them, and how many there are; with details only when they are asked for.
import type { TopicDefaults } from "../../engine/core/own-topics.ts";
import { PARTITIONS_SETTING } from "../../engine/core/plan-settings.ts";
import { losingCommand, lossesOf, lossTexts } from "../../engine/provision/topic-settings.ts";
import type { TopicPlan } from "../../engine/provision/topics.ts";
import { tableLines } from "../table-lines.ts";

interface Showing {
  readonly verbose: boolean;
  /** Consumer groups of the pipelines. */
  readonly groups: number;
  readonly topicDefaults: TopicDefaults;
  readonly topicPartitions: number;
  /** Pipelines that the command was given by name. */
  readonly pipelines: readonly string[];
}

export function topicLines(plans: readonly TopicPlan[], showing: Showing): readonly string[] {
  if (plans.length === 0) return ["No topic is declared."];
  const rows = plans.map(({ topic, kind, partitions, state, widens }) => [
    ...[topic, kind],
    widens === null ? String(partitions) : `${String(partitions)} to ${String(widens)}`,
    state,
  ]);
  const wrong = plans.flatMap((plan) => wrongLines(plan));
  const details = showing.verbose ? ["", ...plans.flatMap(detailLines), defaultsLine(showing)] : [];
  return [
    ...tableLines([["TOPIC", "KIND", "PARTITIONS", "STATE"], ...rows]),
    ...(wrong.length === 0 ? [] : ["", ...wrong]),
    ...details,
    "",
    ...countLines(plans, showing.groups),
    ...hints(plans, showing),
  ];
}

/** Shown whatever is asked for. */
const wrongLines = ({ topic, warnings, problems, ...plan }: TopicPlan): string[] => [
  ...lossTexts(plan).map((text) => `${topic}: can lose data: ${text}`),
  ...warnings.map((warning) => `${topic}: warning: ${warning}`),
  ...problems.map(({ code, message }) => `${topic}: cannot: ${code} ${message}`),
];

function detailLines({ topic, registered, partitionsBy, ...plan }: TopicPlan): string[] {
  const lines = [
    ...(partitionsBy === undefined ? [] : [`  partitions by ${says[partitionsBy]}`]),
    ...plan.config.map(
      ({ name, found, declared }) => `  set ${name} to ${declared} (is ${found ?? "unset"})`,
    ),
    ...plan.registers.map(
      ({ subject, version }) => `  register ${subject} version ${String(version)}`,
    ),
    ...registered.map((subject) => `  has ${subject} as declared`),
    ...plan.limits.map(
      ({ name, found, source }) =>
        `  has ${name} ${found}, set for ${setFor[source]}, not declared`,
    ),
  ];
  return lines.length === 0 ? [] : [topic, ...lines];
}

const says = { declaration: "declaration", setting: PARTITIONS_SETTING } as const;

const setFor = { topic: "the topic", broker: "the brokers" } as const;

const defaultsLine = ({ topicDefaults, topicPartitions }: Showing): string => {
  const { replicationFactor, minInsync } = topicDefaults;
  const replication = replicationFactor < 0 ? "as the brokers say" : String(replicationFactor);
  const insync = minInsync === null ? "as the brokers say" : String(minInsync);
  const partitions = `${String(topicPartitions)} partitions where they declare none (${PARTITIONS_SETTING})`;
  return `New topics get: replication ${replication} (MILLRACE_TOPIC_REPLICATION), min.insync.replicas ${insync} (MILLRACE_TOPIC_MIN_INSYNC), ${partitions}`;
};

/** Orphans are counted under their kind in brackets: they are not the pipelines' any more. */
function countLines(plans: readonly TopicPlan[], groups: number): readonly string[] {
  const name = ({ kind, state }: TopicPlan): string => (state === "orphan" ? `(${kind})` : kind);
  const kinds: readonly (readonly [string, readonly TopicPlan[]])[] = [
    ...Map.groupBy(plans, name),
    ["all", plans],
  ];
  const rows = kinds.map(([kind, own]) => [
    ...[kind, String(own.length)],
    String(own.reduce((sum, { partitions, widens }) => sum + (widens ?? partitions), 0)),
  ]);
  const table = tableLines([["KIND", "TOPICS", "PARTITIONS"], ...rows]);
  return groups === 0 ? table : [...table, `${String(groups)} consumer groups`];
}

function hints(plans: readonly TopicPlan[], { verbose, pipelines }: Showing): readonly string[] {
  const words = lossesOf(plans);
  const differs = plans.some(({ config, registers }) => config.length + registers.length > 0);
  const orphans = plans.some(({ state }) => state === "orphan");
  return [
    ...(words.length === 0 ? [] : [`What can lose data: ${losingCommand(words, pipelines)}`]),
    ...(differs && !verbose ? ["What is set and registered: --verbose"] : []),
    ...(orphans ? ["Orphans are in no plan any more: npx millrace topics prune --dry-run"] : []),
  ];
}
