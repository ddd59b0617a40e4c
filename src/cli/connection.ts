// What verbs that talk to the servers are given; made in the composition root, doubled in tests.
import type { KafkaPort } from "../engine/core/kafka.ts";
import type { Plan, PlanTopic } from "../engine/core/plan.ts";
import type { Clock, SchemaRegistry } from "../engine/core/ports.ts";
import type { CliIo } from "./io.ts";

export interface Connection {
  readonly kafka: KafkaPort;
  readonly registry: SchemaRegistry;
  readonly clock: Clock;
  /** Goes before groups and internal topics. */
  readonly namespace: string;
  close(): Promise<void>;
}

/** Reads the settings and makes the clients; throws ConfigErrors before anything is connected. */
export type Connect = (io: CliIo) => Promise<Connection>;

/** The plans of every pipeline of the repository under a namespace. */
export type PlansOf = (namespace: string) => readonly Plan[];

/** Every declared topic by name, internal ones included. */
export const topicsOf = (plans: readonly Plan[]): ReadonlyMap<string, PlanTopic> =>
  new Map(plans.flatMap(({ topics }) => topics.all).map((topic) => [topic.name, topic]));

/** Runs the work on a connection and closes it, also after an error. */
export async function connected<T>(
  connect: Connect,
  io: CliIo,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await connect(io);
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}
