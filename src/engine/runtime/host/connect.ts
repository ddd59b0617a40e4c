// The composition root of the runtime: settings in, real clients out. Makes them, connects to nothing yet.
import { kafkajsPort, type KafkaSecurity } from "../../clients/kafkajs/port.ts";
import { postgresPool, type PostgresPool } from "../../clients/postgres/pool.ts";
import { redisCopies } from "../../clients/redis/copies.ts";
import { schemaRegistry } from "../../clients/registry.ts";
import { DependencyError, detailOf, type MillraceError } from "../../core/errors.ts";
import type { Log, SchemaRegistry } from "../../core/ports.ts";
import type { StateCopies } from "../../core/state.ts";
import { shownAddress } from "../../core/shown-address.ts";
import type { TableSpec } from "../../core/table-layout.ts";
import { memoryCopies } from "../../state/memory-copy.ts";
import { postgresTableStore } from "../../sinks/postgres/table-store.ts";
import type { WorkerPorts } from "../context.ts";
import { settingMissing, workerNameOf, type WorkerSettings } from "./settings.ts";
import { systemClock, systemRandom } from "./system.ts";

export interface Clients extends Pick<
  WorkerPorts,
  "kafka" | "registry" | "clock" | "random" | "tableStore" | "stateCopies"
> {
  readonly pool: PostgresPool;
  close(): Promise<void>;
}

export interface ConnectOptions {
  readonly log: Log;
  /** The time that a request may go on trying: short for commands, which report; longer for workers, which wait. */
  readonly deadlineMs: number;
  /** Called while a request is repeated because Kafka is away, with addresses and the error. */
  readonly onKafkaRetry?: (error: MillraceError) => void;
  /** The time that one statement of Postgres may take; default 30 s. */
  readonly statementTimeoutMs?: number;
}

export function connect(settings: WorkerSettings, options: ConnectOptions): Clients {
  const { log, deadlineMs, onKafkaRetry, statementTimeoutMs = 30_000 } = options;
  const kafka = kafkajsPort({
    brokers: settings.KAFKA_BROKERS,
    clientId: workerNameOf(settings),
    security: securityOf(settings),
    log,
    requestDeadlineMs: deadlineMs,
    batches: {
      bytesMax: settings.MILLRACE_BATCH_BYTES_MAX,
      growthMax: settings.MILLRACE_BATCH_GROWTH_MAX,
    },
    onRetry: (error) => onKafkaRetry?.(at(settings.KAFKA_BROKERS, error)),
  });
  const registry = registryOf(settings);
  const pool = poolOf(settings, statementTimeoutMs);
  const clock = systemClock;
  const memory = memoryCopies();
  let redis: StateCopies | null = null;
  return {
    kafka,
    registry,
    pool,
    clock,
    random: systemRandom,
    tableStore: ({ declaration, corrects }) =>
      postgresTableStore(pool, declaration as TableSpec, { clock, corrects }),
    stateCopies(kind) {
      if (kind === "memory") return memory;
      const { REDIS_URL: url } = settings;
      if (url === undefined) throw settingMissing("REDIS_URL", "state is kept in Redis");
      redis ??= redisCopies({ url, random: systemRandom });
      return redis;
    },
    async close() {
      await Promise.all([kafka.close(), pool.close(), redis?.close()]);
    },
  };
}

/** The error, with the addresses that were tried. */
const at = (brokers: readonly string[], error: MillraceError): MillraceError =>
  new DependencyError(error.code, `${detailOf(error)}, at ${shownAddress(brokers.join(","))}`);

function registryOf(settings: WorkerSettings): SchemaRegistry {
  const { SCHEMA_REGISTRY_URL: url } = settings;
  if (url === undefined) return absent("SCHEMA_REGISTRY_URL", "Avro needs a schema registry");
  return schemaRegistry({
    url,
    username: settings.SCHEMA_REGISTRY_USERNAME ?? null,
    password: settings.SCHEMA_REGISTRY_PASSWORD ?? null,
  });
}

function poolOf({ DATABASE_URL: url }: WorkerSettings, statementTimeoutMs: number): PostgresPool {
  return url === undefined
    ? absent("DATABASE_URL", "tables and runs are in Postgres")
    : postgresPool({ url, connectionsMax: 8, statementTimeoutMs });
}

/** A server without an address: who uses it learns which setting is missing; who does not never asks for one. */
function absent<Port extends object>(name: string, why: string): Port {
  const refuse = (): Promise<never> => Promise.reject(settingMissing(name, why));
  return new Proxy<Record<string, unknown>>(
    { close: () => Promise.resolve(), address: `nowhere (${name})` },
    { get: (own, key) => (typeof key === "symbol" || key in own ? own[String(key)] : refuse) },
  ) as Port;
}

function securityOf(settings: WorkerSettings): KafkaSecurity {
  const {
    KAFKA_SECURITY_PROTOCOL: protocol,
    KAFKA_SASL_MECHANISM: mechanism,
    KAFKA_SASL_USERNAME: username,
    KAFKA_SASL_PASSWORD: password,
    KAFKA_SSL_CA: ca,
    KAFKA_SSL_CERT: cert,
    KAFKA_SSL_KEY: key,
  } = settings;
  const hasLogin = mechanism !== undefined && username !== undefined && password !== undefined;
  const files = { ca, cert, key };
  const ssl = Object.fromEntries(Object.entries(files).filter(([, text]) => text !== undefined));
  return {
    protocol,
    ...(hasLogin ? { sasl: { mechanism, username, password } } : {}),
    ...(protocol.endsWith("SSL") ? { ssl } : {}),
  };
}
