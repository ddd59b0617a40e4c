// The other doors of the engine: clock, log, meter, registry, tables. Kafka has a file of its own.
// Everything that is not pure enters here, so the whole engine can run in simulated time.
import type { LedgerCounts } from "./ledger.ts";
import type { OutRecord, TopicPartition } from "./record.ts";

/** A wall clock is set, forward and back, while the process runs: spans, limits and pauses are measured by `monotonic()`. */
export interface Clock {
  /** Wall clock, milliseconds since the epoch: for times that are stored, shown, or compared with those of records and of others. */
  now(): number;
  /** Milliseconds since some start; never set, for spans and limits. Says nothing to another process. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Both clocks at one moment: how long ago it was is said by the second, when it was by the first. */
export interface ClockReading {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

export const readingOf = (clock: Pick<Clock, "now" | "monotonic">): ClockReading => ({
  wallMs: clock.now(),
  monotonicMs: clock.monotonic(),
});

/** A number in [0, 1): jitter and ids only, never results. */
export interface Random {
  next(): number;
  /** A random token of lower-case letters and digits. */
  token(length: number): string;
}

/** Facts only: addresses, counts, codes. Never keys or values. */
export interface Log {
  debug(facts: LogFacts, message: string): void;
  info(facts: LogFacts, message: string): void;
  warn(facts: LogFacts, message: string): void;
  error(facts: LogFacts, message: string): void;
}
export type LogFacts = Readonly<Record<string, unknown>>;

/** Counters, gauges and histograms by name; label values are addresses and codes, never keys or values. */
export interface Meter {
  count(name: string, labels: Labels, by?: number): void;
  gauge(name: string, labels: Labels, value: number): void;
  observe(name: string, labels: Labels, value: number): void;
  /** Forgets every series of a gauge whose labels contain these (a task that left). */
  forget(labels: Labels): void;
}
export type Labels = Readonly<Record<string, string>>;

/** A metric of the fixed catalogue (observe/catalogue.ts). A meter refuses every other name or set of labels. */
export interface MetricSpec {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** Label names; a list means that no other value may appear. */
  readonly labels: Readonly<Record<string, "open" | readonly string[]>>;
  /** Upper bounds, histograms only. */
  readonly buckets?: readonly number[];
  /** The rule by which the series of several processes become one. */
  readonly together: "sum" | "max" | "first";
}

export interface RegisteredSchema {
  readonly id: number;
  readonly version: number;
  readonly schema: string;
}

/** A schema registry (Confluent wire format). */
export interface SchemaRegistry {
  /**
   * The schema text of an id, or null when the registry says that it has none.
   * Throws a MillraceError with disposition "retry" while the registry cannot be asked.
   */
  schemaById(id: number): Promise<string | null>;
  /** The id under which exactly this schema is registered for the subject, or null. */
  idOf(subject: string, schema: string): Promise<number | null>;
  /** The newest registered schema of a subject, or null. */
  latest(subject: string): Promise<RegisteredSchema | null>;
  /** Registers under BACKWARD compatibility; throws ConfigError naming the field when it is incompatible. */
  register(subject: string, schema: string): Promise<number>;
}

/** The task of a sink: one part on one partition of its topic. */
export interface SinkTaskId extends TopicPartition {
  readonly pipeline: string;
  readonly part: string;
}

export interface SinkProgress {
  readonly nextOffset: bigint;
  /** Raised by every new owner; all writes of an older one update zero rows. */
  readonly epoch: bigint;
  /** Null: what is stored cannot be read. */
  readonly ledger: LedgerCounts | null;
}

/** A row to write, collapsed later by primary key. Values are in the order of the table's columns. */
export interface SinkRow {
  readonly values: readonly unknown[];
  /** Position of the source record in the batch: names the record if the row is refused. */
  readonly index: number;
  readonly offset: bigint;
  readonly timestamp: number;
}

/** A dead letter in the outbox of the database, to be published to the dead-letter topic. */
export interface PendingLetter extends OutRecord {
  readonly id: string;
}

export interface SinkCommit {
  readonly task: SinkTaskId;
  readonly epoch: bigint;
  /** The progress row must say this, or the commit is fenced. */
  readonly expectedOffset: bigint;
  readonly nextOffset: bigint;
  readonly rows: readonly SinkRow[];
  /** The partition in which the rows' records were first read, when that is not the task's own. */
  readonly origin?: TopicPartition;
  readonly letters: readonly PendingLetter[];
  /** Called for each row that the database refuses; the letter joins the same transaction. */
  refused(row: SinkRow, refusal: RowRefusal): PendingLetter;
  /** Outcomes to publish beside letters, given what became of the rows; they join the same transaction. */
  outcomes?(result: SinkResult): readonly PendingLetter[];
  /** The cumulative ledger to store, given what became of the rows. */
  ledger(result: SinkResult): LedgerCounts;
}
export interface RowRefusal {
  /** SQLSTATE. */
  readonly code: string;
  readonly message: string;
}
/** The outcome of rows as if they had come one by one, whatever batches they come in. */
export interface SinkResult {
  /** Source indexes whose row was written, or would have been if a newer one of the batch had not taken its place. */
  readonly written: ReadonlySet<number>;
  /** Source indexes with a row that is no newer than the stored one, or than one before it in the batch. */
  readonly stale: ReadonlySet<number>;
  /** Source indexes whose row a trigger of the table has dropped without an error. */
  readonly suppressed?: ReadonlySet<number>;
  readonly refused: ReadonlySet<number>;
}

/**
 * A table in a database with progress beside it (design.md 3.2).
 * Every method throws a MillraceError: disposition "retry" (transient), "fence" (another owner), "halt" (the table is not
 * what was declared). A row that can never be stored is not an error: it comes to `SinkCommit.refused`.
 */
export interface TableStore {
  /**
   * Takes the task over: raises the epoch and returns progress. When there is none, `start` says where to begin, and that is
   * stored before this returns.
   */
  takeOver(task: SinkTaskId, start: () => Promise<bigint>): Promise<SinkProgress>;
  /** Rows, letters and progress in one transaction under the fence. A lost reply is resolved by reading progress. */
  commit(commit: SinkCommit): Promise<SinkResult>;
  /** Progress as stored now, or null. */
  progress(task: SinkTaskId): Promise<SinkProgress | null>;
  /** Puts progress elsewhere, under a raised epoch and with an empty ledger; rows and pending letters stay. */
  reset(task: SinkTaskId, nextOffset: bigint): Promise<SinkProgress>;
  pendingLetters(task: SinkTaskId, lettersMax: number): Promise<readonly PendingLetter[]>;
  forget(task: SinkTaskId, ids: readonly string[]): Promise<void>;
}
