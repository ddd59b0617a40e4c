// The connection of verbs that talk to the servers; made in the composition root, doubled in tests.
import { withAdmin } from "../data/with-admin.ts";
import { ConfigError, notMadeYet } from "../engine/core/errors.ts";
import type { KafkaPort } from "../engine/core/kafka.ts";
import type { TopicDefaults } from "../engine/core/own-topics.ts";
import type { Plan, PlanTopic } from "../engine/core/plan.ts";
import type { PlanSettings } from "../engine/core/plan-settings.ts";
import type { Clock, SchemaRegistry } from "../engine/core/ports.ts";
import type { CliIo } from "./io.ts";

export interface Connection extends PlanSettings {
  readonly kafka: KafkaPort;
  readonly registry: SchemaRegistry;
  readonly clock: Clock;
  /** The settings of topics that a command makes; left out, the brokers' own. */
  readonly topicDefaults?: TopicDefaults;
  close(): Promise<void>;
}

/** Reads the settings and makes the clients; throws ConfigErrors before anything is connected. */
export type Connect = (io: CliIo) => Promise<Connection>;

/** The plans of every pipeline of the repository under the settings of an installation. */
export type PlansOf = (settings: PlanSettings) => readonly Plan[];

/** Every declared topic by name, internal ones included. */
export const topicsOf = (plans: readonly Plan[]): ReadonlyMap<string, PlanTopic> =>
  new Map(plans.flatMap(({ topics }) => topics.all).map((topic) => [topic.name, topic]));

/** Throws MILL_TOPIC_MISSING. */
export async function partitionsOf({ kafka }: Connection, topic: string): Promise<number> {
  const found = await withAdmin(kafka, (admin) => admin.describeTopics([topic]));
  const described = found.get(topic) ?? null;
  if (described === null) throw new ConfigError("MILL_TOPIC_MISSING", notMadeYet(topic));
  return described.partitions;
}

/** Runs the work on a connection and closes it, also after an error. */
export async function connected<C extends { close(): Promise<void> }, T>(
  connect: (io: CliIo) => Promise<C>,
  io: CliIo,
  work: (connection: C) => Promise<T>,
): Promise<T> {
  const connection = await connect(io);
  return work(connection).finally(() => connection.close());
}
