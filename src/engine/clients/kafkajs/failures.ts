// Translates what kafkajs throws and what brokers answer into our errors: the one place that knows their names and
// codes. Messages name the broker's error and an address, never more.
import { DependencyError, FencedError, MillraceError } from "../../core/errors.ts";

/** A broker's error code, with the name that the protocol gives it. */
export class BrokerRefusal extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`the broker answered ${nameOfCode(code)}`);
    this.name = "BrokerRefusal";
    this.code = code;
  }
}

/** The request may or may not have been carried out, and must not be repeated by the same client. */
export class UnknownOutcome extends Error {
  constructor(cause: unknown) {
    super("the answer was lost", { cause });
    this.name = "UnknownOutcome";
  }
}

const names: Readonly<Record<number, string>> = {
  [-1]: "UNKNOWN_SERVER_ERROR",
  1: "OFFSET_OUT_OF_RANGE",
  2: "CORRUPT_MESSAGE",
  3: "UNKNOWN_TOPIC_OR_PARTITION",
  5: "LEADER_NOT_AVAILABLE",
  6: "NOT_LEADER_OR_FOLLOWER",
  7: "REQUEST_TIMED_OUT",
  8: "BROKER_NOT_AVAILABLE",
  9: "REPLICA_NOT_AVAILABLE",
  10: "MESSAGE_TOO_LARGE",
  12: "OFFSET_METADATA_TOO_LARGE",
  13: "NETWORK_EXCEPTION",
  14: "COORDINATOR_LOAD_IN_PROGRESS",
  15: "COORDINATOR_NOT_AVAILABLE",
  16: "NOT_COORDINATOR",
  17: "INVALID_TOPIC_EXCEPTION",
  18: "RECORD_LIST_TOO_LARGE",
  19: "NOT_ENOUGH_REPLICAS",
  20: "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
  22: "ILLEGAL_GENERATION",
  25: "UNKNOWN_MEMBER_ID",
  27: "REBALANCE_IN_PROGRESS",
  29: "TOPIC_AUTHORIZATION_FAILED",
  30: "GROUP_AUTHORIZATION_FAILED",
  31: "CLUSTER_AUTHORIZATION_FAILED",
  40: "INVALID_CONFIG",
  41: "NOT_CONTROLLER",
  45: "OUT_OF_ORDER_SEQUENCE_NUMBER",
  46: "DUPLICATE_SEQUENCE_NUMBER",
  47: "INVALID_PRODUCER_EPOCH",
  48: "INVALID_TXN_STATE",
  49: "INVALID_PRODUCER_ID_MAPPING",
  51: "CONCURRENT_TRANSACTIONS",
  53: "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
  56: "KAFKA_STORAGE_ERROR",
  58: "SASL_AUTHENTICATION_FAILED",
  59: "UNKNOWN_PRODUCER_ID",
  74: "FENCED_LEADER_EPOCH",
  75: "UNKNOWN_LEADER_EPOCH",
  82: "FENCED_INSTANCE_ID",
  87: "INVALID_RECORD",
  88: "UNSTABLE_OFFSET_COMMIT",
  90: "PRODUCER_FENCED",
};
export const nameOfCode = (code: number): string => names[code] ?? `error ${String(code)}`;

export const codes = {
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  leaderNotAvailable: 5,
  networkException: 13,
  topicAuthorizationFailed: 29,
  topicAlreadyExists: 36,
  duplicateSequence: 46,
  illegalGeneration: 22,
  unknownMemberId: 25,
  rebalanceInProgress: 27,
  unstableOffsets: 88,
} as const;

const transient = new Set([
  2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 60, 72, 74, 75, 88, 89, 100,
]);
const fenced = new Set([22, 25, 47, 82, 90]);
const unauthorized = new Set([29, 30, 31, 33, 34, 53, 54, 58, 65]);
const tooLarge = new Set([10, 18]);
/** The producer's state is gone or stands crooked: nothing is wrong with the data, a new producer goes on. */
const producerLost = new Set([45, 48, 49, 59, 120]);
/** The coordinator of a group or transactional id has moved, or is not ready. */
const coordinatorGone = new Set([14, 15, 16]);

const networkErrors = new Set([
  "KafkaJSConnectionError",
  "KafkaJSConnectionClosedError",
  "KafkaJSRequestTimeoutError",
  "KafkaJSBrokerNotFound",
  "KafkaJSMetadataNotLoaded",
  "KafkaJSTopicMetadataNotLoaded",
  "KafkaJSLockTimeout",
  "KafkaJSNoBrokerAvailableError",
]);
const badCertificate = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|ERR_OSSL/;

interface Thrown {
  readonly name: string;
  readonly message: string;
  readonly code?: number | string;
  readonly cause?: unknown;
  readonly errors?: readonly unknown[];
}

/** The error below kafkajs' own wrappings of retries. */
function innermost(error: unknown): Thrown {
  const thrown = error as Thrown;
  const isWrapping =
    thrown.name === "KafkaJSNumberOfRetriesExceeded" || thrown.name === "KafkaJSNonRetriableError";
  if (isWrapping && thrown.cause instanceof Error && thrown.cause !== error)
    return innermost(thrown.cause);
  const first = thrown.errors?.[0];
  return first === undefined ? thrown : innermost(first);
}

/** The broker's error code, or null when it did not answer. */
export function codeOf(error: unknown): number | null {
  const { code } = innermost(error);
  return typeof code === "number" ? code : null;
}

export const isCoordinatorGone = (error: unknown): boolean => {
  const code = codeOf(error);
  return code === null || coordinatorGone.has(code);
};

/** Whether a partition that answered so is worth asking again, after looking up its leader. */
export const isTransientCode = (code: number): boolean => transient.has(code);

/** `what` names the request and its address: "send to orders-3". */
export function translate(error: unknown, what: string): MillraceError {
  if (error instanceof MillraceError) return error;
  if (error instanceof UnknownOutcome)
    return new DependencyError("MILL_KAFKA_UNAVAILABLE", `${what}: ${error.message}`, {
      cause: error.cause,
    });
  const thrown = innermost(error);
  return typeof thrown.code === "number" && thrown.name !== "KafkaJSConnectionError"
    ? ofCode(thrown.code, what, error)
    : ofNetwork(thrown, what, error);
}

function ofCode(code: number, what: string, cause: unknown): MillraceError {
  const detail = `${what}: ${nameOfCode(code)}`;
  if (transient.has(code)) return new DependencyError("MILL_KAFKA_UNAVAILABLE", detail, { cause });
  if (fenced.has(code)) return new FencedError("MILL_KAFKA_FENCED", detail, { cause });
  if (unauthorized.has(code)) return new MillraceError("MILL_KAFKA_AUTH", detail, { cause });
  if (tooLarge.has(code)) return new MillraceError("MILL_RECORD_TOO_LARGE", detail, { cause });
  const disposition = producerLost.has(code) ? { disposition: "retry" as const } : {};
  return new DependencyError("MILL_KAFKA_REFUSED", detail, { cause, ...disposition });
}

function ofNetwork(thrown: Thrown, what: string, cause: unknown): MillraceError {
  const detail = `${what}: ${thrown.message}`;
  const isRefusedLogin =
    thrown.name.startsWith("KafkaJSSASL") || badCertificate.test(String(thrown.code ?? ""));
  if (isRefusedLogin) return new MillraceError("MILL_KAFKA_AUTH", detail, { cause });
  if (networkErrors.has(thrown.name))
    return new DependencyError("MILL_KAFKA_UNAVAILABLE", detail, { cause });
  return new DependencyError("MILL_KAFKA_REFUSED", detail, { cause });
}
