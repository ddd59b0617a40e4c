// What the benchmark runs on: servers of its own in a temporary folder, and a Kafka client. All of it is gone afterwards.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../src/engine/clients/pino-log.ts";
import { kafkajsPort } from "../src/engine/clients/kafkajs/port.ts";
import type { AdminPort, KafkaPort } from "../src/engine/core/kafka.ts";
import { startStack, stopStack } from "../src/stack/stack.ts";
import { keep, serverEnv } from "../test/support/stack.ts";

export interface World {
  /** For state of contestants and logs. */
  readonly dir: string;
  readonly brokers: string;
  readonly redisUrl: string;
  /** Null where none was asked for. */
  readonly databaseUrl: string | null;
  readonly kafka: KafkaPort;
  readonly admin: AdminPort;
  readonly pids: { readonly kafka: number; readonly redis: number };
  say(line: string): void;
  close(): Promise<void>;
}

/** Starts Kafka and Redis, and Postgres where it is asked for, whatever servers the environment names. */
export async function openWorld(say: (line: string) => void, withPostgres = false): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  // However this process ends, its servers end with it.
  keep(dir);
  const more = withPostgres ? (["postgres"] as const) : [];
  const services = ["kafka", "redis", ...more] as const;
  const stack = await startStack({ dir, env: serverEnv(), say, services });
  const kafka = kafkajsPort({
    brokers: stack.kafka.brokers,
    clientId: "bench",
    security: { protocol: "PLAINTEXT" },
    log: createLog({ level: "warn", base: {} }),
  });
  const admin = kafka.admin();
  return {
    dir,
    brokers: stack.kafka.brokers.join(","),
    redisUrl: stack.redis.url,
    databaseUrl: withPostgres ? stack.postgres.url : null,
    kafka,
    admin,
    pids: { kafka: stack.pids.kafka ?? 0, redis: stack.pids.redis ?? 0 },
    say,
    async close() {
      await admin.close();
      await kafka.close();
      await stopStack(dir, () => undefined, { purge: true });
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
