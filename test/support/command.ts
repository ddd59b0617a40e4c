// One verb of the command line on doubles of the servers: what it printed, and how it ended.
import { setTimeout as delay } from "node:timers/promises";
import type { Connect, Connection } from "../../src/cli/connection.ts";
import type { ConnectOperate } from "../../src/cli/operating.ts";
import type { Register } from "../../src/cli/io.ts";
import { main } from "../../src/cli/main.ts";
import type { PostgresTable } from "#engine";
import type { Plan } from "../../src/engine/core/plan.ts";
import { DEFAULT_PLAN_SETTINGS } from "../../src/engine/core/plan-settings.ts";
import type { Clock } from "../../src/engine/core/ports.ts";
import { memoryCopies } from "../../src/engine/state/memory-copy.ts";
import { MemoryTables } from "../../src/engine/testing/memory-tables.ts";
import { MemoryKafka } from "../../src/engine/testing/memory-kafka.ts";
import { MemoryRegistry } from "../../src/engine/testing/doubles/memory-registry.ts";

export interface CommandResult {
  readonly code: number;
  readonly out: readonly string[];
  readonly err: readonly string[];
}

export async function command(
  verb: Register,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  const out: string[] = [];
  const err: string[] = [];
  const io = {
    env,
    cwd: process.cwd(),
    isTty: false,
    out: (line: string) => void out.push(line),
    err: (line: string) => void err.push(line),
  };
  return { code: await main(argv, io, [verb]), out, err };
}

/** Real time, for doubles that wait a little. */
export const wallClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) => delay(ms, undefined, signal === undefined ? {} : { signal }),
};

/** Servers in memory that hold the topics and schemas of the plans, as after `topics apply`. */
export class MemoryServers {
  readonly kafka: MemoryKafka;
  readonly registry: MemoryRegistry = new MemoryRegistry();
  readonly tables = new MemoryTables();
  /** In the place of Redis. */
  readonly copies = memoryCopies();
  readonly #clock: Clock;
  closed = 0;

  constructor(plans: readonly Plan[], clock: Clock = wallClock) {
    this.#clock = clock;
    this.kafka = new MemoryKafka(clock);
    for (const plan of plans)
      for (const topic of plan.topics.own) this.kafka.createTopic({ topic, partitions: 1 });
    for (const { name, partitions, value } of plans.flatMap(({ topics }) => topics.all)) {
      this.kafka.createTopic({ topic: name, partitions });
      if (value.kind === "avro") this.registry.force(`${name}-value`, JSON.stringify(value.schema));
    }
  }

  connect: Connect = () => {
    const kafka = this.kafka.port();
    const connection: Connection = {
      kafka,
      registry: this.registry,
      clock: this.#clock,
      ...DEFAULT_PLAN_SETTINGS,
      close: () => {
        this.closed++;
        return kafka.close();
      },
    };
    return Promise.resolve(connection);
  };

  connectOperate: ConnectOperate = async (io) => ({
    ...(await this.connect(io)),
    tableStore: ({ declaration }) => this.tables.store(declaration as PostgresTable<unknown>),
    stateCopies: () => this.copies,
  });
}
