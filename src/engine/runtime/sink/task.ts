// A sink task: one table's part on one partition. Rows, letters and progress are one transaction of the database; while
// it runs, the inbox fills, so batches grow by themselves when the database is slow.
import type { MillraceError } from "../../core/errors.ts";
import type { GroupGeneration, PlainProducer, Progress, RecordBatch } from "../../core/kafka.ts";
import { addLedger, emptyLedger, sumLedgers, type LedgerCounts } from "../../core/ledger.ts";
import { encodeMetadata } from "../../core/metadata.ts";
import { isLetter, type Outcome } from "../../core/outcome.ts";
import type {
  OwedLetter,
  RowRefusal,
  SinkProgress,
  SinkResult,
  SinkRow,
  SinkTaskId,
  TableStore,
} from "../../core/ports.ts";
import { placeOf, type RawRecord, type TopicName, type TopicPartition } from "../../core/record.ts";
import { publishCheckpoint, publishCommitTime, publishLedger } from "../../observe/task-metrics.ts";
import { letterOf, type LetterOrigin } from "../../letters/letter.ts";
import { outboxStates } from "../../letters/redriven.ts";
import type { Inbox } from "../../source/inbox.ts";
import type { Valve } from "../../source/inbox.ts";
import type { BoundPart } from "../line/bind.ts";
import type { WorkerContext } from "../context.ts";
import { persist } from "../failure.ts";
import type { Breaker } from "../gate/breaker.ts";
import { inboxFor } from "../line/inbox.ts";
import type { Lot } from "../line/lots.ts";
import { Intake } from "../line/intake.ts";
import type { Learner } from "../line/learn.ts";
import { processRun } from "../line/process.ts";
import {
  endsOf,
  isOwing,
  isRedriven,
  ledgerOfBatch,
  newBatch,
  nothing,
  OverTheLimit,
  refusalOf,
  tombstoneWarning,
  upTo,
  type Batch,
} from "./batch.ts";
import { Outbox } from "./outbox.ts";

export interface SinkTaskOptions {
  readonly context: WorkerContext;
  readonly bound: BoundPart;
  readonly id: SinkTaskId;
  readonly store: TableStore;
  readonly start: SinkProgress;
  readonly generation: GroupGeneration;
  readonly valve: Valve;
  readonly letters: LetterOrigin;
  readonly breaker: Breaker;
  /** For owed letters; they are sent after the decision. */
  readonly producer: PlainProducer;
  /** Tells Kafka where the table is, for lag; a hint, never read back. */
  hint(progress: Progress): void;
  /** Told when the task waits for a dependency, and when it goes on. */
  onWaiting(why: string | null): void;
}

export class SinkTask {
  readonly id: SinkTaskId;
  readonly #options: SinkTaskOptions;
  readonly #inbox: Inbox;
  readonly #intake: Intake;
  readonly #life = new AbortController();
  readonly #outbox: Outbox;
  #nextOffset: bigint;
  #ledger: LedgerCounts;
  #oldestMs: number | null = null;
  readonly #lookForTombstone: (outcome: Outcome) => void;

  constructor(options: SinkTaskOptions) {
    this.#options = options;
    this.id = options.id;
    const { nextOffset, ledger } = options.start;
    this.#inbox = inboxFor(options, [{ ...options.id, nextOffset }]);
    this.#intake = new Intake(options.bound, this.#inbox);
    this.#nextOffset = nextOffset;
    this.#ledger = ledger;
    this.#lookForTombstone = tombstoneWarning(options.context.log, options.id);
    this.#outbox = new Outbox(options, this.#life.signal);
  }

  /** Returns where to seek when the batch does not follow what was read before. */
  accept(batch: RecordBatch): bigint | null {
    return this.#inbox.push(batch);
  }

  /** Takes nothing more of these topics. */
  hold(topics: ReadonlySet<TopicName>): void {
    this.#inbox.hold(topics);
  }

  /** Names the task in metrics. */
  get address(): SinkTaskId {
    return this.id;
  }

  get inboxBytes(): number {
    return this.#inbox.bytes;
  }

  /** Progress that is committed. */
  get nextOffset(): bigint {
    return this.#nextOffset;
  }

  positions(): { topic: string; committed: bigint; oldestMs: number | null }[] {
    return [{ topic: this.id.topic, committed: this.#nextOffset, oldestMs: this.#oldestMs }];
  }

  close(): void {
    this.#inbox.close();
    this.#life.abort(new Error("the task was closed"));
  }

  /** The line: fetch → learn schemas → decode, transform → rows, letters and progress in one transaction → letters → hint. */
  async run(): Promise<MillraceError | null> {
    // What an earlier owner committed and did not live to send.
    await this.#outbox.send();
    for (;;) {
      const startedMs = this.#options.context.clock.now();
      const batch = await this.#collect();
      if (batch === null) return null;
      const tripped = await this.#commitWithin(batch.batch);
      const halted = tripped ?? batch.halted;
      if (halted !== null) return halted;
      await this.#pace(startedMs);
    }
  }

  /** Everything that is there, up to a limit: one run, and more while the inbox has some. */
  async #collect(): Promise<{ batch: Batch; halted: MillraceError | null } | null> {
    const batch = newBatch(this.#nextOffset);
    const { clock, limits } = this.#options.context;
    do {
      const next = await this.#intake.next();
      if (next === null) return null;
      // The collected records are not kept back while something else is waited for.
      if (batch.raws.length > 0 && this.#intake.defers(next)) break;
      const lot = await this.#intake.readable(next, this.#learner);
      const halted = this.#process(lot, batch);
      if (halted !== null) return { batch, halted };
      await clock.sleep(0);
      if (this.#life.signal.aborted) return null;
    } while (!this.#intake.isEmpty && batch.raws.length < limits.checkpointRecordsMax);
    return { batch, halted: null };
  }

  get #learner(): Learner {
    return { ...this.#options, signal: this.#life.signal };
  }

  #process(run: Lot, batch: Batch): MillraceError | null {
    let halted: { error: MillraceError; offset: bigint } | null = null;
    const { bound, letters, context } = this.#options;
    const done = processRun(bound, run, batch.stage, (raw, outcome) => {
      if (outcome.kind === "halted") {
        halted = { error: outcome.error, offset: placeOf(raw).offset };
        return false;
      }
      this.#oldestMs ??= raw.timestamp;
      this.#lookForTombstone(outcome);
      batch.raws.push(raw);
      batch.outcomes.push(outcome);
      if (outcome.kind === "dead-lettered")
        batch.letters.push(letterOf(raw, outcome.failure, letters, context.clock.now()));
      return true;
    });
    const stopped = halted as { error: MillraceError; offset: bigint } | null;
    batch.nextOffset = done ? run.nextOffset : (stopped?.offset ?? batch.nextOffset);
    return stopped?.error ?? null;
  }

  /** As much of the batch as the breaker admits; what the database refuses is known only once it was tried. */
  async #commitWithin(collected: Batch): Promise<MillraceError | null> {
    const { breaker } = this.#options;
    let batch = collected;
    for (let over = this.#over(batch, nothing); ;) {
      const raw = over === null ? null : (collected.raws[over] as RawRecord);
      if (over !== null && raw !== null) batch = upTo(batch, over, placeOf(raw).offset);
      try {
        await this.#commit(batch);
        return raw === null ? null : breaker.error(raw);
      } catch (error) {
        if (!(error instanceof OverTheLimit)) throw error;
        over = error.index;
      }
    }
  }

  #over({ outcomes }: Batch, refused: ReadonlySet<number>): number | null {
    const isOne = (outcome: Outcome, i: number): boolean => isLetter(outcome) || refused.has(i);
    return this.#options.breaker.firstOver(outcomes.map(isOne));
  }

  async #commit(batch: Batch): Promise<void> {
    if (batch.nextOffset === this.#nextOffset) return;
    const { context, store, start, hint, breaker } = this.#options;
    const startedMs = context.clock.now();
    let [delta, refused] = [emptyLedger(), nothing];
    // 1 to 3: rows, letters and progress, decided by the database
    await this.#persist("postgres", () =>
      store.commit({
        task: this.id,
        epoch: start.epoch,
        expectedOffset: this.#nextOffset,
        nextOffset: batch.nextOffset,
        rows: batch.stage.rows,
        ...(isRedriven(batch) ? { origin: this.#origin() } : {}),
        letters: batch.letters,
        told: (result) => this.#told(batch, result),
        refused: (row, refusal) => this.#refused(batch, row, refusal),
        ledger: (result) => {
          const over = this.#over(batch, result.refused);
          if (over !== null) throw new OverTheLimit(over);
          refused = result.refused;
          delta = ledgerOfBatch(batch, result, this.#options.bound.part.name);
          return sumLedgers([this.#ledger, delta]);
        },
      }),
    );
    batch.outcomes.forEach((outcome, i) => breaker.admits(isLetter(outcome) || refused.has(i)));
    this.#ledger = addLedger(this.#ledger, delta);
    this.#nextOffset = batch.nextOffset;
    this.#oldestMs = null;
    // 4 send the letters that the decision owes
    if (isOwing(batch, delta)) await this.#outbox.send();
    // 5 hint
    const metadata = encodeMetadata({ owner: context.owner, ledger: this.#ledger });
    const { topic, partition } = this.id;
    hint({ topic, partition, nextOffset: this.#nextOffset, metadata });
    // 6 publish
    const now = context.clock.now();
    publishCheckpoint(context.meter, "sink", { ms: now - startedMs, records: batch.raws.length });
    publishLedger(context.meter, this.id, delta);
    publishCommitTime(context.meter, this.id, now);
  }

  /** Redriven rows say where their records were first read, so that ties of versions fall as if they had passed then. */
  #origin(): TopicPartition {
    const { part } = this.#options.bound;
    return { topic: part.sources[0]?.name ?? this.id.topic, partition: this.id.partition };
  }

  /** What became of letters that came back. */
  #told(batch: Batch, result: SinkResult): OwedLetter[] {
    const { letters, context, bound } = this.#options;
    return endsOf(batch, result, bound.part.name).flatMap((outcome, index) =>
      outboxStates(batch.raws[index] as RawRecord, outcome, letters, context.clock.now()),
    );
  }

  #refused(batch: Batch, row: SinkRow, { code, message }: RowRefusal): OwedLetter {
    const { letters, context, bound } = this.#options;
    const failure = refusalOf(bound.part.name, code, message);
    return letterOf(batch.raws[row.index] as RawRecord, failure, letters, context.clock.now());
  }

  /** Throws the database's word that another owner has the task; used by the idle check too. */
  async checkProgress(): Promise<boolean> {
    const expected = this.#nextOffset;
    const stored = await this.#options.store.progress(this.id);
    // A commit may have moved on while the row was read.
    if (expected !== this.#nextOffset) return true;
    return (
      stored !== null &&
      stored.epoch === this.#options.start.epoch &&
      stored.nextOffset === expected
    );
  }

  #persist<T>(dependency: string, work: () => Promise<T>): Promise<T> {
    const { context, onWaiting } = this.#options;
    return persist(context, { dependency, signal: this.#life.signal, onWaiting }, work);
  }

  /** At most one commit an interval: small batches cost a transaction each. */
  async #pace(startedMs: number): Promise<void> {
    const { clock, limits } = this.#options.context;
    const spentMs = clock.now() - startedMs;
    // Below 0 when the wall clock was put back: no reason to wait for longer than ever.
    // mistake: wall clock trusted
    const left = limits.checkpointIntervalMs - Math.max(0, spentMs);
    if (left > 0) await clock.sleep(left, this.#life.signal).catch(() => undefined);
  }
}
