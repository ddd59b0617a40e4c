// `millrace topics plan | apply`: what Kafka and the registry lack of the declared topics, and making it so.
import { withAdmin } from "../data/with-admin.ts";
import type { KafkaPort } from "../engine/core/kafka.ts";
import type { SchemaRegistry } from "../engine/core/ports.ts";
import {
  applyTopics,
  planTopics,
  type DesiredTopic,
  type TopicPlan,
} from "../engine/provision/topics.ts";
import type { CliIo, Register } from "./io.ts";
import { provisionVerbs } from "./provision-verbs.ts";

export interface TopicsConnection {
  readonly kafka: Pick<KafkaPort, "admin">;
  readonly registry: SchemaRegistry;
  topics(): Promise<readonly DesiredTopic[]>;
  close(): Promise<void>;
}
export type ConnectTopics = (io: CliIo) => Promise<TopicsConnection>;

export const topicsVerb = (connect: ConnectTopics): Register =>
  provisionVerbs({
    thing: "topic",
    applies:
      "create topics, set their configuration, register schemas; a second apply changes nothing",
    connect,
    plan: ({ kafka, registry, topics }) =>
      withAdmin(kafka, async (admin) => planTopics(await topics(), admin, registry)),
    apply: ({ kafka, registry, topics }) =>
      withAdmin(kafka, async (admin) => applyTopics(await topics(), admin, registry)),
    json: jsonLine,
    text: textLines,
  });

function jsonLine(plan: TopicPlan): string {
  const { topic, state, creates, widens, config, registers, problems, limits, warnings } = plan;
  return JSON.stringify({
    ...{ topic, state, creates, widens, config },
    registers: registers.map(({ subject, version }) => ({ subject, version })),
    problems: problems.map(({ code, message }) => ({ code, message })),
    ...(limits.length === 0 ? {} : { limits }),
    ...(warnings.length === 0 ? {} : { warnings }),
  });
}

const textLines = ({ topic, state, creates, widens, ...plan }: TopicPlan): string[] => [
  `${state.padEnd(8)} ${topic}`,
  ...(creates === null ? [] : [`  create with ${counted(creates.partitions, "partition")}`]),
  ...(widens === null ? [] : [`  widen to ${counted(widens, "partition")}`]),
  ...plan.config.map(
    ({ name, found, declared }) => `  set ${name} to ${declared} (is ${found ?? "unset"})`,
  ),
  ...plan.registers.map(
    ({ subject, version }) => `  register ${subject} version ${String(version)}`,
  ),
  ...plan.limits.map(
    ({ name, found, source }) => `  has ${name} ${found}, set for ${setFor[source]}, not declared`,
  ),
  ...plan.warnings.map((warning) => `  warning: ${warning}`),
  ...plan.problems.map(({ code, message }) => `  cannot: ${code} ${message}`),
];

const setFor = { topic: "the topic", broker: "the brokers" } as const;

const counted = (n: number, what: string): string => `${String(n)} ${what}${n === 1 ? "" : "s"}`;
