// Translates what kafkajs throws and what brokers answer into our errors: the one place that knows their names and
// codes. Messages name the broker's error and an address, never more.
import {
  DependencyError,
  FencedError,
  InvariantError,
  MillraceError,
  notMadeYet,
  type Where,
} from "../../core/errors.ts";
import type { TopicPartition } from "../../core/record.ts";
import { nameOfCode } from "./error-names.ts";
import { missingRight, workOf, type Work } from "./rights.ts";

export { nameOfCode };

/** A broker's error code, with the name that the protocol gives it. */
export class BrokerRefusal extends Error {
  readonly code: number;
  /** The partition that the broker answered for, where it was one. */
  readonly at: TopicPartition | null;
  constructor(code: number, at: TopicPartition | null = null) {
    super(`the broker answered ${nameOfCode(code)}`);
    this.name = "BrokerRefusal";
    this.code = code;
    this.at = at;
  }
}

/** Throws the first refusal among the answers of partitions. */
export function checked<T extends TopicPartition & { readonly errorCode: number }>(
  answers: readonly T[],
): readonly T[] {
  const refused = answers.find(({ errorCode }) => errorCode !== 0);
  if (refused !== undefined) throw new BrokerRefusal(refused.errorCode, refused);
  return answers;
}

/** The request may or may not have been carried out, and must not be repeated by the same client. */
export class UnknownOutcome extends Error {
  constructor(cause: unknown) {
    super("the answer was lost", { cause });
    this.name = "UnknownOutcome";
  }
}

export const codes = {
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  corruptMessage: 2,
  leaderNotAvailable: 5,
  notLeader: 6,
  notCoordinator: 16,
  networkException: 13,
  topicAuthorizationFailed: 29,
  topicAlreadyExists: 36,
  invalidPartitions: 37,
  duplicateSequence: 46,
  illegalGeneration: 22,
  inconsistentGroupProtocol: 23,
  unknownMemberId: 25,
  rebalanceInProgress: 27,
  unstableOffsets: 88,
} as const;

/** The cluster is busy, or does not know yet: the same request passes later. */
const transient = new Set([
  2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 60, 70, 71, 72, 74, 75, 78, 80, 83, 84,
  88, 89, 100, 103, 106,
]);
const fenced = new Set([22, 25, 47, 82, 90]);
/** A login or an access list: the topic's or the client's right is missing. */
const unauthorized = new Set([29, 30, 31, 33, 34, 53, 54, 58, 61, 62, 63, 64, 65, 66]);
const tooLarge = new Set([10, 18]);
/** The record can never pass, for what it is: size, timestamp, a policy, compaction without a key. */
const aboutRecord = new Set([10, 18, 32, 44, 87]);
/** The producer's state is gone or inconsistent: nothing is wrong with the data, a new producer goes on. */
const producerLost = new Set([-1, 45, 48, 49, 52, 55, 59, 105, 120]);
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

/** Whether the broker refuses a record for what it is, so that no retry can mend it. */
export const isAboutRecord = (code: number): boolean => aboutRecord.has(code);

/** Whether fewer records may pass where these did not. */
export const isTooLarge = (code: number): boolean => tooLarge.has(code);

/** Whether a partition that answered so is worth asking again, after looking up its leader. */
export const isTransientCode = (code: number): boolean => transient.has(code);

/** Whether asking again would be wrong: the client itself is not as it must be. */
export const isDefect = (failure: MillraceError): boolean =>
  failure instanceof InvariantError || failure.code === "MILL_KAFKA_CLIENT";

/** A topic that so many answers in a row do not know was deleted; fewer may come from a broker that is not up to date. */
const UNKNOWN_MIN = 6;

/** For a topic that is gone, as far as anybody knows; `failures` came before in a row. */
export function missingTopic(error: unknown, failures: number): MillraceError | null {
  if (!(error instanceof BrokerRefusal) || error.code !== codes.unknownTopicOrPartition)
    return null;
  const { at } = error;
  if (at === null || failures < UNKNOWN_MIN) return null;
  return new MillraceError("MILL_TOPIC_MISSING", notMadeYet(at.topic), { where: at, cause: error });
}

/** `of` names the request and its address: "send to orders-3". */
export function translate(error: unknown, of: string | Work): MillraceError {
  if (error instanceof MillraceError) return error;
  const work = workOf(of);
  const { what } = work;
  if (error instanceof UnknownOutcome)
    return new DependencyError("MILL_KAFKA_UNAVAILABLE", `${what}: ${error.message}`, {
      cause: error.cause,
    });
  const thrown = innermost(error);
  return typeof thrown.code === "number" && thrown.name !== "KafkaJSConnectionError"
    ? ofCode(codeIn(thrown, thrown.code), work, error)
    : ofNetwork(thrown, what, error);
}

/** kafkajs puts one code of its own in the place of those that it does not know, and the broker's into the text. */
function codeIn({ message }: Thrown, code: number): number {
  const unknown = code === -99 ? /\d+/.exec(message)?.[0] : undefined;
  return unknown === undefined ? code : Number(unknown);
}

function detailOf(code: number, work: Work, at: TopicPartition | null): string {
  const right = missingRight(code, work, at?.topic);
  return `${work.what}: ${nameOfCode(code)}${right === null ? "" : ` (${right})`}`;
}

function ofCode(code: number, work: Work, cause: unknown): MillraceError {
  const at = cause instanceof BrokerRefusal ? cause.at : null;
  const detail = detailOf(code, work, at);
  const where: Where = at === null ? {} : { topic: at.topic, partition: at.partition };
  const options = { cause, where };
  if (transient.has(code)) return new DependencyError("MILL_KAFKA_UNAVAILABLE", detail, options);
  if (fenced.has(code)) return new FencedError("MILL_KAFKA_FENCED", detail, options);
  if (unauthorized.has(code)) return new MillraceError("MILL_KAFKA_AUTH", detail, options);
  // Members of a group agree on a protocol, whose name says what they store.
  if (code === codes.inconsistentGroupProtocol)
    return new MillraceError("MILL_GROUP_RELEASE", detail, options);
  if (tooLarge.has(code)) return new MillraceError("MILL_RECORD_TOO_LARGE", detail, options);
  if (aboutRecord.has(code)) return new DependencyError("MILL_OUTPUT_REFUSED", detail, options);
  const disposition = producerLost.has(code) ? { disposition: "retry" as const } : {};
  return new DependencyError("MILL_KAFKA_REFUSED", detail, { ...options, ...disposition });
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
