// The parts of kafkajs 2.2.4 that we use: cluster metadata, connections, authentication and the simple requests.
// Its consumer and producer, which lose or double records (README of this folder), are replaced and never run.
// Loaded once, corrected once, and checked each time a port is made: a correction that is missing is an error.
import { createRequire } from "node:module";
import { MillraceError } from "../../../core/errors.ts";
import type { ProtocolRequest } from "../protocol/request.ts";
import { correctBroker, type BrokerClass } from "./broker.ts";
import { correctConnection, type ConnectionClass } from "./connection.ts";
import { correctErrorTable, type ErrorCodeEntry } from "./error-codes.ts";
import { correctMetadata, type RequestDefinition } from "./metadata.ts";
import { correctRequestQueue, type RequestQueueClass } from "./request-queue.ts";

const testedVersion = "2.2.4";
const require = createRequire(import.meta.url);

export interface DriverConnection {
  send<T>(request: ProtocolRequest<T>): Promise<T>;
}

/** A broker of kafkajs; `lookupRequest` gives the builder of the best version that both sides have. */
export interface DriverBroker {
  readonly versions: Readonly<Record<number, { readonly maxVersion: number }>> | null;
  readonly connectionPool: {
    send<T>(request: ProtocolRequest<T>): Promise<T>;
    getConnection(index: number): Promise<DriverConnection>;
  };
  disconnect(): Promise<void>;
  lookupRequest(
    apiKey: number,
    definition: RequestDefinition,
  ): (options: unknown) => ProtocolRequest<never>;
}

export interface PartitionMetadata {
  readonly partitionId: number;
  readonly leader: number;
  readonly replicas: readonly number[];
}

export interface TopicMetadata {
  readonly topicErrorCode: number;
  readonly topic: string;
  readonly isInternal: boolean;
  readonly partitionMetadata: readonly PartitionMetadata[];
}

export interface ClusterMetadata {
  readonly brokers: readonly { readonly nodeId: number }[];
  readonly topicMetadata: readonly TopicMetadata[];
}

export interface DriverCluster {
  readonly targetTopics: Set<string>;
  readonly brokerPool: {
    readonly metadata: ClusterMetadata | null;
    findConnectedBroker(): Promise<DriverBroker>;
  };
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  refreshMetadata(): Promise<void>;
  findBroker(of: { nodeId: number }): Promise<DriverBroker>;
}

export interface Driver {
  readonly version: string;
  readonly Cluster: new (options: Readonly<Record<string, unknown>>) => DriverCluster;
  readonly requests: Record<string, RequestDefinition>;
  readonly apiKeys: Readonly<Record<string, number>>;
  readonly createLogger: (options: {
    level: number;
    logCreator: () => (entry: LogEntry) => void;
  }) => unknown;
  readonly MemberMetadata: {
    encode(of: { version: number; topics: readonly string[]; userData: Buffer }): Buffer;
  };
  readonly MemberAssignment: {
    encode(of: {
      version: number;
      assignment: Readonly<Record<string, readonly number[]>>;
      userData: Buffer;
    }): Buffer;
  };
}

export interface LogEntry {
  readonly namespace: string;
  readonly log: { readonly message: string; readonly broker?: string };
}

interface Loaded {
  readonly driver: Driver;
  /** An entry for each correction: its name, and whether it is in place. */
  readonly corrections: readonly DriverCorrection[];
}

export interface DriverCorrection {
  readonly name: string;
  readonly isInPlace: () => boolean;
}

let loaded: Loaded | null = null;

/** The corrected driver. Throws MILL_KAFKA_CLIENT when it is another version or a correction is gone. */
export function loadDriver(): Driver {
  loaded ??= load();
  const missing = loaded.corrections.filter((correction) => !correction.isInPlace());
  if (missing.length > 0)
    throw new MillraceError(
      "MILL_KAFKA_CLIENT",
      `not in place: ${missing.map((correction) => correction.name).join(", ")}`,
    );
  return loaded.driver;
}

function load(): Loaded {
  const { version } = require("kafkajs/package.json") as { version: string };
  if (version !== testedVersion)
    throw new MillraceError(
      "MILL_KAFKA_CLIENT",
      `expected kafkajs ${testedVersion}, found ${version}`,
    );
  const part = (path: string): unknown => require(`kafkajs/src/${path}`);
  const { requests } = part("protocol/requests") as { requests: Record<string, RequestDefinition> };
  const corrections = [
    correctBroker(part("broker") as BrokerClass),
    correctConnection(part("network/connection") as ConnectionClass),
    correctRequestQueue(part("network/requestQueue") as RequestQueueClass),
    correctMetadata(requests),
    correctErrorTable((part("protocol/error") as { errorCodes: ErrorCodeEntry[] }).errorCodes),
  ];
  const driver = {
    version,
    requests,
    apiKeys: part("protocol/requests/apiKeys"),
    Cluster: part("cluster"),
    createLogger: (part("loggers") as { createLogger: unknown }).createLogger,
    ...(part("consumer/assignerProtocol") as object),
  } as Driver;
  return { driver, corrections };
}
