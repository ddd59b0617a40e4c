// The work of a sink task: one table's part on one partition. Rows, letters and progress are one transaction of the
// database; while it runs, the inbox fills, so batches grow by themselves when the database is slow.
import type { MillraceError } from "../../../core/errors.ts";
import type { PlainProducer, Progress } from "../../../core/kafka.ts";
import { addLedger, emptyLedger, sumLedgers, type LedgerCounts } from "../../../core/ledger.ts";
import { encodeMetadata } from "../../../core/task-inputs.ts";
import type { Outcome } from "../../../core/outcome.ts";
import type {
  PendingLetter,
  RowRefusal,
  SinkProgress,
  SinkResult,
  SinkRow,
  SinkTaskId,
  TableStore,
} from "../../../core/ports.ts";
import { placeOf, type RawRecord, type TopicPartition } from "../../../core/record.ts";
import {
  publishCheckpoint,
  publishCommitTime,
  publishLedger,
} from "../../../observe/task-metrics.ts";
import { letterOf, type LetterOrigin } from "../../../letters/letter.ts";
import { outboxStates } from "../../../letters/redriven.ts";
import type { WorkerContext } from "../../context.ts";
import type { BoundPart } from "../bind.ts";
import type { Breaker } from "../breaker.ts";
import type { Intake, Slice } from "../intake.ts";
import { processEach } from "../line/line.ts";
import { sendPending } from "./outbox.ts";
import {
  endsOf,
  isLetter,
  hasPendingLetters,
  isRedriven,
  ledgerOfBatch,
  newBatch,
  nothing,
  OverTheLimit,
  refusalOf,
  tombstoneWarning,
  upTo,
  type SinkBatch,
} from "./batch.ts";
import type { TaskPosition, Task, TaskWork } from "../task.ts";

/** Progress of which all is known. */
export interface SinkTaskStart extends SinkProgress {
  readonly ledger: LedgerCounts;
}

export interface SinkCommitterOptions {
  readonly context: WorkerContext;
  readonly bound: BoundPart;
  readonly store: TableStore;
  readonly start: SinkTaskStart;
  readonly letters: LetterOrigin;
  readonly breaker: Breaker;
  /** For letters of the outbox; they are sent after the decision. */
  readonly producer: PlainProducer;
  /** Commits to Kafka where the table is, for lag; a hint, never read back. */
  hint(progress: Progress): void;
}

export class SinkCommitter implements TaskWork {
  readonly #task: Task;
  readonly #id: SinkTaskId;
  readonly #options: SinkCommitterOptions;
  readonly #intake: Intake;
  readonly #lookForTombstone: (outcome: Outcome) => void;
  readonly room: number = Infinity;
  #nextOffset: bigint;
  #ledger: LedgerCounts;
  #batch: SinkBatch;
  #begunMs = 0;

  constructor(task: Task, options: SinkCommitterOptions, intake: Intake) {
    this.#task = task;
    this.#id = task.address;
    this.#options = options;
    this.#intake = intake;
    this.#nextOffset = options.start.nextOffset;
    this.#ledger = options.start.ledger;
    this.#batch = newBatch(this.#nextOffset);
    this.#lookForTombstone = tombstoneWarning(options.context.log, this.#id);
  }

  positions(): TaskPosition[] {
    return [{ topic: this.#id.topic, committed: this.#nextOffset }];
  }

  /** Sends what an earlier owner committed and did not live to send. */
  begin(): Promise<void> {
    return sendPending(this.#task, this.#options);
  }

  turn(): Promise<null> {
    if (this.#batch.nextOffset === this.#nextOffset) this.#begunMs = this.#elapsedMs();
    return Promise.resolve(null);
  }

  /** Takes everything that is there into one batch, up to a limit. */
  async take(slice: Slice): Promise<MillraceError | null> {
    const { clock, limits } = this.#options.context;
    const halted = this.#process(slice);
    if (halted !== null) return (await this.#commitWithin(this.#batch)) ?? halted;
    await clock.sleep(0);
    const isFull = this.#batch.raws.length >= limits.checkpointRecordsMax;
    if (this.#task.signal.aborted || !(isFull || this.#intake.isEmpty)) return null;
    return this.flush();
  }

  #process(slice: Slice): MillraceError | null {
    const { bound, letters, context } = this.#options;
    const batch = this.#batch;
    const { outcomes } = processEach(bound, slice, {
      ...{ stage: batch.stage, time: null },
      judged: (_raw, outcome) => outcome,
    });
    batch.nextOffset = slice.nextOffset;
    for (const [i, outcome] of outcomes.entries()) {
      const raw = slice.records[i] as RawRecord;
      if (outcome.kind === "halted") {
        batch.nextOffset = placeOf(raw).offset;
        return outcome.error;
      }
      this.#lookForTombstone(outcome);
      batch.raws.push(raw);
      batch.outcomes.push(outcome);
      if (outcome.kind === "dead-lettered")
        batch.letters.push(letterOf(raw, outcome.failure, letters, context.clock.now()));
    }
    return null;
  }

  /** At most one commit an interval: small batches cost a transaction each. */
  async flush(): Promise<MillraceError | null> {
    const { clock, limits } = this.#options.context;
    const batch = this.#batch;
    if (batch.nextOffset === this.#nextOffset) return null;
    const tripped = await this.#commitWithin(batch);
    if (tripped !== null) return tripped;
    this.#batch = newBatch(this.#nextOffset);
    const spentMs = this.#elapsedMs() - this.#begunMs;
    const left = limits.checkpointIntervalMs - spentMs;
    if (left > 0) await clock.sleep(left, this.#task.signal).catch(() => undefined);
    this.#begunMs = this.#elapsedMs();
    return null;
  }

  #elapsedMs(): number {
    const { clock } = this.#options.context;
    // mistake: wall clock trusted
    return clock.monotonic();
  }

  /** As much of the batch as the breaker admits; what the database refuses is known only once it was tried. */
  async #commitWithin(collected: SinkBatch): Promise<MillraceError | null> {
    const { breaker, context } = this.#options;
    breaker.tick(context.clock.monotonic());
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

  #over({ outcomes }: SinkBatch, refused: ReadonlySet<number>): number | null {
    const isOne = (outcome: Outcome, i: number): boolean => isLetter(outcome) || refused.has(i);
    return this.#options.breaker.firstOver(outcomes.map(isOne));
  }

  async #commit(batch: SinkBatch): Promise<void> {
    if (batch.nextOffset === this.#nextOffset) return;
    const { context, store, start, hint, breaker } = this.#options;
    const startedMs = context.clock.monotonic();
    let [delta, refused] = [emptyLedger(), nothing];
    // 1 to 3: rows, letters and progress, decided by the database
    await this.#task.persist("postgres", () =>
      store.commit({
        task: this.#id,
        epoch: start.epoch,
        expectedOffset: this.#nextOffset,
        nextOffset: batch.nextOffset,
        rows: batch.stage.rows,
        ...(isRedriven(batch) ? { origin: this.#origin() } : {}),
        letters: batch.letters,
        outcomes: (result) => this.#letterStates(batch, result),
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
    // 4 send the letters of the decision
    if (hasPendingLetters(batch, delta)) await sendPending(this.#task, this.#options);
    // 5 hint
    const metadata = encodeMetadata({ owner: context.owner, ledger: this.#ledger });
    const { topic, partition } = this.#id;
    hint({ topic, partition, nextOffset: this.#nextOffset, metadata });
    // 6 publish
    const spentMs = context.clock.monotonic() - startedMs;
    publishCheckpoint(context.meter, "sink", { ms: spentMs, records: batch.raws.length });
    publishLedger(context.meter, this.#id, delta);
    publishCommitTime(context.meter, this.#id, context.clock.now());
  }

  /** Redriven rows say where their records were first read, so that ties of versions fall as if they had passed then. */
  #origin(): TopicPartition {
    const { part } = this.#options.bound;
    return { topic: part.sources[0]?.name ?? this.#id.topic, partition: this.#id.partition };
  }

  /** The new states of letters that came back. */
  #letterStates(batch: SinkBatch, result: SinkResult): PendingLetter[] {
    const { letters, context, bound } = this.#options;
    return endsOf(batch, result, bound.part.name).flatMap((outcome, index) =>
      outboxStates(batch.raws[index] as RawRecord, outcome, letters, context.clock.now()),
    );
  }

  #refused(batch: SinkBatch, row: SinkRow, { code, message }: RowRefusal): PendingLetter {
    const { letters, context, bound } = this.#options;
    const failure = refusalOf(bound.part.name, code, message);
    return letterOf(batch.raws[row.index] as RawRecord, failure, letters, context.clock.now());
  }

  /** Throws the database's word that another owner has the task; used by the idle check too. */
  async checkProgress(): Promise<boolean> {
    const expected = this.#nextOffset;
    const stored = await this.#options.store.progress(this.#id);
    // A commit may have moved on while the row was read.
    if (expected !== this.#nextOffset) return true;
    return (
      stored !== null &&
      stored.epoch === this.#options.start.epoch &&
      stored.nextOffset === expected
    );
  }

  close(): void {
    // Nothing to do: records that are not committed are read again.
  }
}
