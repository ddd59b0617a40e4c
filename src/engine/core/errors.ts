// The base error. The thrower says what should be done (`disposition`); only runtime/failure.ts does it. The text of
// every code lives in error-table.ts; messages carry addresses and codes, never keys or values.
import { entryOf, type ErrorCode } from "./error-table.ts";
import type { TopicName } from "./record.ts";

/**
 * retry: a dependency is away, nothing is wrong with the data · dead-letter: this record can never pass ·
 * pause: this task must wait (push back) · fence: another owner has taken over, drop everything ·
 * halt: stop this task and report it.
 */
export type Disposition = "retry" | "dead-letter" | "pause" | "fence" | "halt";

/** Class of a dead letter (design.md section 5). */
export type LetterClass =
  "decode" | "schema" | "rule" | "transform" | "sink" | "size" | "result" | "full";

export interface Where {
  readonly pipeline?: string;
  readonly part?: string;
  readonly step?: string;
  readonly topic?: TopicName;
  readonly partition?: number;
  readonly offset?: bigint;
}

export interface ErrorOptionsOfOurs {
  readonly where?: Where;
  readonly cause?: unknown;
  readonly disposition?: Disposition;
}

export class MillraceError extends Error {
  readonly code: ErrorCode;
  readonly disposition: Disposition;
  readonly where: Where;

  /** `detail` completes the table's sentence: expected, received, next step. */
  constructor(code: ErrorCode, detail: string, options: ErrorOptionsOfOurs = {}) {
    const entry = entryOf(code);
    super(detail === "" ? entry.message : `${entry.message}: ${detail}`, { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.disposition = options.disposition ?? entry.disposition;
    this.where = options.where ?? {};
  }
}

/** The message without the sentence of its code. */
export const detailOf = ({ code, message }: Pick<MillraceError, "code" | "message">): string =>
  message.slice(entryOf(code).message.length).replace(/^: /, "");

/** A setting, a pipeline, a topic or a table is not as it must be: exit 78. */
export class ConfigError extends MillraceError {}
/** Bytes that are not what the topic's schema says. */
export class DecodeError extends MillraceError {}
/** A callback of the user threw; `cause` is what it threw. */
export class TransformError extends MillraceError {}
/** Kafka, Redis, Postgres or the registry said no, or said nothing. */
export class DependencyError extends MillraceError {}
/** A record that a broker does not take for what it is: no retry of it can pass. */
export interface RefusedRecord {
  /** In what was sent. */
  readonly index: number;
  readonly topic: TopicName;
  readonly partition: number;
  /** The protocol's name of the reason. */
  readonly code: string;
  /** The broker's own words, where they are known to quote nothing of a record. */
  readonly words: string | null;
}
/** Some records of a send were refused, each for what it is; the others were taken. */
export class RecordsRefusedError extends DependencyError {
  readonly refused: readonly RefusedRecord[];
  constructor(refused: readonly [RefusedRecord, ...RefusedRecord[]]) {
    const [{ topic, partition }] = refused;
    super(refusalCode(refused[0]), refusalText(refused), { where: { topic, partition } });
    this.refused = refused;
  }
}
/** A broker would refuse what the record writes, or has refused it before: the record is a dead letter. */
export class OutputRefusedError extends MillraceError {
  constructor(of: Omit<RefusedRecord, "index">) {
    super(refusalCode(of), refusalText([{ index: 0, ...of }]), { where: { topic: of.topic } });
  }
}
const SIZES: ReadonlySet<string> = new Set(["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"]);

/** The code of a letter, or an error, that says why a broker refused a record. */
const refusalCode = ({ code }: Pick<RefusedRecord, "code">): ErrorCode =>
  SIZES.has(code) ? "MILL_RECORD_TOO_LARGE" : "MILL_OUTPUT_REFUSED";

/** Names topic, reason and the broker's words. */
export function refusalText(refused: readonly [RefusedRecord, ...RefusedRecord[]]): string {
  const [{ topic, partition, code, words }, ...others] = refused;
  const more = others.length === 0 ? "" : `, and ${String(others.length)} more`;
  return `${topic}-${String(partition)}: ${code}${words === null ? "" : `, "${words}"`}${more}`;
}

/** A topic, or the subject of a schema, that is not there, with the command that makes it. */
export const notMadeYet = (name: string, pipeline = ""): string =>
  `${name}. To make it: npx millrace topics apply ${pipeline}`.trimEnd();

/** A record batch that cannot be read, however often it is asked for. */
export class BatchError extends MillraceError {
  declare readonly code: "MILL_BATCH_TOO_LARGE" | "MILL_BATCH_CORRUPT" | "MILL_BATCH_FORMAT";
  /** The offset behind it. */
  readonly nextOffset: bigint;
  constructor(
    code: BatchError["code"],
    detail: string,
    nextOffset: bigint,
    options: ErrorOptionsOfOurs,
  ) {
    super(code, detail, options);
    this.nextOffset = nextOffset;
  }
}

/** A newer owner has the task: drop everything that was not committed and join again. */
export class FencedError extends MillraceError {}
/** The engine's own rules were broken: a programmer's error. */
export class InvariantError extends MillraceError {}

/** All problems of a start at once; the command line prints each and exits 78. */
export class ConfigErrors extends Error {
  readonly problems: readonly MillraceError[];
  constructor(problems: readonly MillraceError[]) {
    super(
      `${String(problems.length)} problem${problems.length === 1 ? "" : "s"}, nothing was started`,
    );
    this.name = "ConfigErrors";
    this.problems = problems;
  }
}

/** Throws an InvariantError: for what can only be a mistake of ours. */
export function assert(condition: boolean, what: string, where: Where = {}): asserts condition {
  if (!condition) throw new InvariantError("MILL_ENGINE_INVARIANT", what, { where });
}

export const isRetriable = (error: unknown): boolean =>
  error instanceof MillraceError && error.disposition === "retry";

/** The text of anything that was thrown, without its stack. */
export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/**
 * The error of a callback that returned what its step cannot take. Its text is ours and quotes no value, so it may be
 * reported. An error that the user's code throws is reported by its name alone.
 */
export class Mistake extends Error {
  override readonly name = "Mistake";
}

/**
 * The result of a callback, unless that is a promise, which only mapAsync waits for. A promise that
 * fails later, and that nobody waits for, would end the process.
 */
export function settled<T>(result: T): T {
  if (isLater(result)) throw new Mistake("it returned a promise, which only mapAsync waits for");
  return result;
}

/** True for a promise; its failure is nobody's from here on. */
export function isLater(result: unknown): boolean {
  if (!(result instanceof Promise)) return false;
  result.catch(() => undefined);
  return true;
}

/** The kind of a value, for a message, and never the value. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "number") return Number.isFinite(value) ? "a number" : String(value);
  if (typeof value === "string") return "a text";
  if (Array.isArray(value)) return "a list";
  return typeof value === "undefined" ? "undefined" : `${article(value)} ${typeof value}`;
}

const article = (value: unknown): string => (typeof value === "object" ? "an" : "a");
