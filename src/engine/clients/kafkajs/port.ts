// The Kafka port over kafkajs' connections (README of this folder): settings, and one client object for each need.
import type { ConnectionOptions } from "node:tls";
import type { MillraceError } from "../../core/errors.ts";
import { closingPort, type KafkaPort } from "../../core/kafka.ts";
import type { Log } from "../../core/ports.ts";
import { KafkaAdmin } from "./admin/kafka-admin.ts";
import { Cluster } from "./cluster.ts";
import { KafkaGroupConsumer } from "./group/group-consumer.ts";
import { loadDriver, type LogEntry } from "./overrides/driver.ts";
import { KafkaPartitionReader } from "./partition-reader.ts";
import { KafkaPlainProducer } from "./produce/plain-producer.ts";
import {
  BatchBounds,
  defaultBatchSettings,
  type BatchSettings,
} from "./protocol/records/batch-bounds.ts";
import { openSocket, Sockets, type SocketFactory } from "./sockets.ts";
import { KafkaTxProducer } from "./produce/tx-producer.ts";

export interface KafkaSecurity {
  readonly protocol: "PLAINTEXT" | "SSL" | "SASL_PLAINTEXT" | "SASL_SSL";
  readonly sasl?: {
    readonly mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512";
    readonly username: string;
    readonly password: string;
  };
  /** PEM texts. */
  readonly ssl?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

export type { BatchSettings } from "./protocol/records/batch-bounds.ts";
export type { SocketFactory } from "./sockets.ts";

export interface KafkajsOptions {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly security: KafkaSecurity;
  readonly log: Log;
  /** The time that an admin call, a read or a plain send may go on trying; a command wants 10 s, a worker more. */
  readonly requestDeadlineMs?: number;
  /** Called while a request is repeated because Kafka is away: long before its deadline. */
  readonly onRetry?: (error: MillraceError) => void;
  /** The bounds on what compressed batches may become. */
  readonly batches?: BatchSettings;
  /** For tests that break connections on purpose. */
  readonly socketFactory?: SocketFactory;
}

const requestDeadlineMsDefault = 30_000;
const requestTimeoutMs = 10_000;
const connectionTimeoutMs = 3_000;
const errorLevel = 1;

/** Throws MILL_KAFKA_CLIENT when kafkajs is not the one that was tested. Nothing connects before it is used. */
export function kafkajsPort(options: KafkajsOptions): KafkaPort {
  const driver = loadDriver();
  const deadlineMs = options.requestDeadlineMs ?? requestDeadlineMsDefault;
  const settings = clusterSettings(
    options,
    driver.createLogger({ level: errorLevel, logCreator: () => toLog(options.log) }),
  );
  const cluster = (): Cluster =>
    new Cluster(settings, new Sockets(options.socketFactory ?? openSocket), options.onRetry);
  const bounds = new BatchBounds(options.batches ?? defaultBatchSettings);
  return closingPort({
    consumer: (of) => new KafkaGroupConsumer(cluster(), of, options.log, bounds),
    txProducer: (of) => new KafkaTxProducer(cluster(), of),
    producer: () => new KafkaPlainProducer(cluster(), deadlineMs),
    admin: () => new KafkaAdmin(cluster(), deadlineMs, bounds),
    reader: (of) => new KafkaPartitionReader(cluster(), of, deadlineMs, bounds),
  });
}

function clusterSettings(
  options: KafkajsOptions,
  logger: unknown,
): Readonly<Record<string, unknown>> {
  return {
    logger,
    brokers: options.brokers,
    clientId: options.clientId,
    ssl: sslOf(options.security),
    sasl: saslOf(options.security),
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs,
    enforceRequestTimeout: true,
    allowAutoTopicCreation: false,
    // Only enough to go once around the list of brokers: waiting is done here, under deadlines.
    retry: {
      retries: options.brokers.length,
      initialRetryTime: 10,
      maxRetryTime: 100,
      multiplier: 1.5,
    },
  };
}

function sslOf({ protocol, ssl }: KafkaSecurity): ConnectionOptions | null {
  return protocol === "SSL" || protocol === "SASL_SSL" ? { ...ssl } : null;
}

function saslOf({ protocol, sasl }: KafkaSecurity): object | null {
  if (sasl === undefined || !protocol.startsWith("SASL_")) return null;
  const { mechanism, username, password } = sasl;
  return { mechanism: mechanism.toLowerCase(), username, password };
}

/** Errors that kafkajs logs come back to us as errors, and are mostly tried again: no news for an operator. */
const toLog =
  (log: Log) =>
  ({ namespace, log: entry }: LogEntry): void => {
    const broker = entry.broker === undefined ? {} : { broker: entry.broker };
    log.debug({ client: "kafkajs", part: namespace, ...broker }, entry.message);
  };
