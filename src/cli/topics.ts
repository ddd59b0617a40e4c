// `millrace topics plan | apply`: what Kafka and the registry lack of the declared topics, and making it so.
import type { KafkaPort } from "../engine/core/kafka.ts";
import type { SchemaRegistry } from "../engine/core/ports.ts";
import {
  applyTopics,
  planTopics,
  type DesiredTopic,
  type TopicPlan,
} from "../engine/provision/topics.ts";
import { exitCodes, type CliIo, type Register } from "./io.ts";

export interface TopicsConnection {
  readonly kafka: Pick<KafkaPort, "admin">;
  readonly registry: SchemaRegistry;
  topics(): Promise<readonly DesiredTopic[]>;
  close(): Promise<void>;
}
export type ConnectTopics = (io: CliIo) => Promise<TopicsConnection>;

interface TopicsOptions {
  readonly json?: boolean;
  readonly dryRun?: boolean;
}

export const topicsVerb =
  (connect: ConnectTopics): Register =>
  (program, run) => {
    const topics = program.command("topics").description("show or make the declared topics");
    const plan = (options: TopicsOptions) => run((io) => planVerb(io, connect, options));
    topics
      .command("plan")
      .option("--json", "print one JSON object a topic")
      .description("show what apply would do; changes nothing")
      .action(plan);
    topics
      .command("apply")
      .option("--json", "print one JSON object a topic")
      .option("--dry-run", "as plan")
      .description(
        "create topics, set their configuration, register schemas; a second apply changes nothing",
      )
      .action((options: TopicsOptions) =>
        options.dryRun === true ? plan(options) : run((io) => applyVerb(io, connect, options)),
      );
  };

async function planVerb(
  io: CliIo,
  connect: ConnectTopics,
  options: TopicsOptions,
): Promise<number> {
  const connection = await connect(io);
  const admin = connection.kafka.admin();
  try {
    const plans = await planTopics(await connection.topics(), admin, connection.registry);
    print(io, plans, options);
    return plans.some(({ state }) => state === "refused") ? exitCodes.config : exitCodes.ok;
  } finally {
    await admin.close();
    await connection.close();
  }
}

async function applyVerb(
  io: CliIo,
  connect: ConnectTopics,
  options: TopicsOptions,
): Promise<number> {
  const connection = await connect(io);
  const admin = connection.kafka.admin();
  try {
    const topics = await connection.topics();
    print(io, await applyTopics(topics, admin, connection.registry), options);
    return exitCodes.ok;
  } finally {
    await admin.close();
    await connection.close();
  }
}

function print(io: CliIo, plans: readonly TopicPlan[], { json }: TopicsOptions): void {
  for (const line of json === true ? plans.map(jsonLine) : plans.flatMap(textLines)) io.out(line);
}

const jsonLine = ({
  topic,
  state,
  creates,
  widens,
  config,
  registers,
  problems,
  limits,
  warnings,
}: TopicPlan): string =>
  JSON.stringify({
    topic,
    state,
    creates,
    widens,
    config,
    registers: registers.map(({ subject, version }) => ({ subject, version })),
    problems: problems.map(({ code, message }) => ({ code, message })),
    ...(limits.length === 0 ? {} : { limits }),
    ...(warnings.length === 0 ? {} : { warnings }),
  });

const textLines = ({
  topic,
  state,
  creates,
  widens,
  config,
  registers,
  problems,
  limits,
  warnings,
}: TopicPlan): string[] => [
  `${state.padEnd(8)} ${topic}`,
  ...(creates === null ? [] : [`  create with ${counted(creates.partitions, "partition")}`]),
  ...(widens === null ? [] : [`  widen to ${counted(widens, "partition")}`]),
  ...config.map(
    ({ name, found, declared }) => `  set ${name} to ${declared} (is ${found ?? "unset"})`,
  ),
  ...registers.map(({ subject, version }) => `  register ${subject} version ${String(version)}`),
  ...limits.map(
    ({ name, found, source }) => `  has ${name} ${found}, set for ${setFor[source]}, not declared`,
  ),
  ...warnings.map((warning) => `  warning: ${warning}`),
  ...problems.map(({ code, message }) => `  cannot: ${code} ${message}`),
];

const setFor = { topic: "the topic", broker: "the brokers" } as const;

const counted = (n: number, what: string): string => `${String(n)} ${what}${n === 1 ? "" : "s"}`;
