// A stream task: one part on one partition, from takeover to revocation. It takes runs from its inbox, processes them
// into its stage, and hands the stage over when a checkpoint asks. It never writes.
import type { MillraceError } from "../../core/errors.ts";
import type { RecordBatch, SentBatch } from "../../core/kafka.ts";
import { emptyLedger, type LedgerCounts } from "../../core/ledger.ts";
import { countOutcome, isLetter, type Outcome, type Stage } from "../../core/outcome.ts";
import { placeOf, type OutRecord, type RawRecord, type TopicName } from "../../core/record.ts";
import type { TaskAddress } from "../../observe/health.ts";
import type { Debt } from "../../observe/task-metrics.ts";
import { statesOfEnded, lettersOf } from "../../letters/redriven.ts";
import type { Inbox } from "../../source/inbox.ts";
import { CallBook } from "../../transform/calls/book.ts";
import { emptyStage } from "../line/bind.ts";
import { ours, persist } from "../failure.ts";
import { inboxFor } from "../line/inbox.ts";
import type { Lot } from "../line/lots.ts";
import type { Learner } from "../line/learn.ts";
import { processRun } from "../line/process.ts";
import type { Parking } from "../calls/parking.ts";
import { Feed } from "./feed.ts";
import { admitted, endOf, keyedParts } from "./keyed/keyed.ts";
import { TaskProgress } from "./progress.ts";
import { withNotes } from "../shapes/book.ts";
import type { TaskState } from "./keyed/state.ts";
import type { StreamTaskOptions, TaskCheckpoint } from "./options.ts";

export class StreamTask {
  readonly partition: number;
  readonly #options: StreamTaskOptions;
  readonly #inbox: Inbox;
  readonly #feed: Feed;
  readonly #progress: TaskProgress;
  readonly #life = new AbortController();
  #stage: Stage = emptyStage();
  #letters: OutRecord[] = [];
  #delta: LedgerCounts = emptyLedger();
  #oldestMs: number | null = null;
  #roomAgain: (() => void) | null = null;
  #waitingFor: string | null = null;
  readonly #state: TaskState | null;
  readonly #parking: Parking | null;
  /** State has changed since the last checkpoint without progress. */
  #hasReleased = false;
  /** What its counters owe. */
  readonly debt: Debt = { emitted: 0 };
  /** What ends the task beside a record that halts. */
  #failure: MillraceError | null = null;

  constructor(options: StreamTaskOptions) {
    this.#options = options;
    this.partition = options.partition;
    this.#inbox = inboxFor(options, options.starts);
    this.#feed = new Feed(this.#inbox, options);
    const { state, parking } = keyedParts(options, {
      address: this.address,
      signal: this.#life.signal,
      learner: this.#learner,
      patiently: (work) => this.#persist(options.bound.plan.options.state, work),
      nudge: () => this.#inbox.nudge(),
    });
    this.#state = state;
    this.#parking = parking;
    this.#progress = new TaskProgress(options.partition, options.starts);
  }

  get #learner(): Learner {
    const onWaiting = (why: string | null): void => void (this.#waitingFor = why);
    return { context: this.#options.context, signal: this.#life.signal, onWaiting };
  }

  #persist(dependency: string, work: () => Promise<void>): Promise<void> {
    return persist(this.#options.context, { dependency, ...this.#learner }, work);
  }

  /** Names the task in metrics. */
  get address(): TaskAddress {
    const { plan, part } = this.#options.bound;
    const topic = part.sources[0]?.name ?? "";
    return { pipeline: plan.pipeline, part: part.name, topic, partition: this.partition };
  }

  /** Takes nothing more of these topics. */
  hold(topics: ReadonlySet<TopicName>): void {
    this.#inbox.hold(topics);
  }

  /** Returns where to seek when the batch does not follow what was read before. */
  accept(batch: RecordBatch): bigint | null {
    return this.#inbox.push(batch);
  }

  /** What the task waits for. */
  get waitingFor(): string | null {
    return this.#waitingFor;
  }

  get inboxBytes(): number {
    return this.#inbox.bytes;
  }

  /** Committed progress and the oldest record beyond it, for lag. */
  positions(): { topic: TopicName; committed: bigint; oldestMs: number | null }[] {
    return this.#progress.committed().map((place) => ({ ...place, oldestMs: this.#oldestMs }));
  }

  /** Ends the loop and drops everything that no checkpoint has taken. */
  close(): void {
    this.#inbox.close();
    this.#life.abort(new Error("the task was closed"));
    this.#roomAgain?.();
    this.#state?.close();
  }

  /** Records of parked keys. */
  get parkedRecords(): number {
    return this.#parking?.records ?? 0;
  }

  /** The line: fetch → learn schemas → decode, transform, stage → wait for room. Returns why it halted, or null when closed. */
  async run(): Promise<MillraceError | null> {
    try {
      await this.#parking?.open();
      return await this.#loop();
    } catch (error) {
      if (this.#life.signal.aborted) return this.#failure;
      throw error;
    }
  }

  async #loop(): Promise<MillraceError | null> {
    for (;;) {
      const stopped = await this.#release();
      if (stopped !== null) return stopped;
      const next = await this.#feed.next();
      if (this.#life.signal.aborted) return this.#failure;
      if (next === null) continue;
      const lot = await this.#feed.readable(next, this.#learner);
      const halted =
        this.#state === null ? this.#process(lot) : await this.#processWithState(lot, this.#state);
      if (halted !== null) return halted;
      await this.#room();
    }
  }

  #process(run: Lot): MillraceError | null {
    let [error, haltedAt]: [MillraceError | null, bigint | null] = [null, null];
    const done = processRun(this.#options.bound, run, this.#stage, (raw, outcome) => {
      error = this.#refusal(raw, outcome);
      if (error === null) this.#count(raw, outcome);
      else haltedAt = placeOf(raw).offset;
      return error === null;
    });
    const stoppedAt = haltedAt ?? run.nextOffset;
    this.#progress.advance(run.place, done ? run.nextOffset : stoppedAt);
    this.#feed.count(run.records);
    this.#options.note(run.records.length);
    return error;
  }

  /** As `#process`, with a wait for keys in its middle; what comes of the run is taken in one turn, or not at all. */
  async #processWithState(run: Lot, state: TaskState): Promise<MillraceError | null> {
    const book = this.#feed.rest?.book ?? new CallBook();
    const processed = await admitted(run, book, { state, breaker: this.#options.breaker });
    this.#life.signal.throwIfAborted();
    const { halted, done, rest, nextOffset } = endOf(run, processed.outcomes, book);
    for (let i = 0; i < done; i++) {
      const [raw, outcome] = [run.records[i] as RawRecord, processed.outcomes[i] as Outcome];
      if (this.#refusal(raw, outcome) === null) this.#count(raw, outcome);
    }
    this.#stageOutputs(processed.outputs, done);
    this.#feed.count(run.records, done);
    this.#parking?.look(processed.parked);
    state.keep(processed);
    this.#progress.advance(run.place, nextOffset);
    this.#feed.rest = rest;
    // Only a parked key that moves makes room for a record that comes first.
    if (rest !== null && done === 0) await this.#inbox.nudged();
    return halted;
  }

  /** Why the record is not consumed, or null; then the breaker has counted it. */
  #refusal(raw: RawRecord, outcome: Outcome): MillraceError | null {
    const { breaker } = this.#options;
    if (outcome.kind === "halted") return outcome.error;
    return breaker.admits(isLetter(outcome)) ? null : breaker.error(raw);
  }

  #stageOutputs(outputs: readonly OutRecord[], records: number): void {
    for (const output of outputs) this.#stage.outputs.push(output);
    this.#stage.index += records;
    this.#options.note(records);
  }

  /** Takes parked keys on whose calls have ended. Returns why the task must stop, or null. */
  async #release(): Promise<MillraceError | null> {
    const { letters, context } = this.#options;
    while (this.#parking !== null) {
      if (this.#feed.left === 0) await this.#room();
      const done = await this.#parking.turn(this.#feed.left);
      if (done === null) break;
      this.#life.signal.throwIfAborted();
      if (done.halted !== null) return done.halted;
      this.#feed.count(done.taken.length === 0 ? [null] : done.taken);
      for (const { record, outcome } of done.givenUp) this.#recount(record.raw, outcome);
      this.#letters.push(...statesOfEnded(done.wentOn, letters, context.clock.now()));
      this.#stageOutputs(done.outputs, 0);
      this.#state?.keep(done);
      this.#hasReleased = true;
    }
    this.#parking?.unblock();
    return null;
  }

  #count(raw: RawRecord, outcome: Outcome): void {
    this.#oldestMs ??= raw.timestamp;
    countOutcome(this.#delta, outcome);
    countOutcome(this.#progress.ledger(placeOf(raw).topic), outcome);
    if (outcome.kind !== "dead-lettered" && raw.redriven === undefined) return;
    const { letters, context, bound } = this.#options;
    const origin = bound.refusals.letterOrigin(raw, letters);
    this.#letters.push(...lettersOf(raw, outcome, origin, context.clock.now()));
  }

  /** Waits while more is staged than one checkpoint should hold; always lets the event loop turn. */
  async #room(): Promise<void> {
    const { clock, limits } = this.#options.context;
    const isFull = (): boolean =>
      this.#stage.index >= limits.checkpointRecordsMax || this.#feed.left === 0;
    while (isFull() && !this.#life.signal.aborted) {
      await new Promise<void>((resolve) => (this.#roomAgain = resolve));
      this.#roomAgain = null;
    }
    await clock.sleep(0);
  }

  /** The checkpoint was decided: it counts, and the copies of state get it. */
  settle({ progress, state, letters }: TaskCheckpoint, sent: readonly SentBatch[]): void {
    this.#progress.settle(progress);
    this.#options.bound.shapes?.decided(letters);
    if (state === null) return;
    this.#state?.settle(state, sent).catch((error: unknown) => {
      if (!this.#life.signal.aborted) this.#end(ours(error));
    });
  }

  /** Resolves when the copies have what was decided. */
  settled(): Promise<void> {
    return this.#state?.settled() ?? Promise.resolve();
  }

  #end(error: MillraceError): void {
    this.#failure ??= error;
    this.close();
  }

  /** Hands the stage over, with the progress of every partition of the task; null when nothing moved. */
  takeStage(): TaskCheckpoint | null {
    const heldFrom = this.#stage.outputs.length;
    if (!(this.#progress.hasMoved || this.#hasReleased) || !this.#isStateReady()) return null;
    const { context, generation, bound } = this.#options;
    const progress = this.#progress.take(context.owner, this.#state?.streamTimeMs ?? null);
    const state = this.#state?.seal() ?? null;
    const changelog = state === null ? [] : state.changelog;
    const { outputs, index: records } = this.#stage;
    const [letters, delta] = [withNotes(bound.shapes, this.#letters), this.#delta];
    [this.#stage, this.#letters, this.#delta] = [emptyStage(), [], emptyLedger()];
    this.#oldestMs = null;
    this.#hasReleased = false;
    this.#roomAgain?.();
    return {
      ...{ task: this, outputs, changelog, letters, progress, generation, records, delta, state },
      ...{ heldFrom, refusals: bound.refusals, ...this.#feed.takeCount() },
    };
  }

  /** Whether the copies have the checkpoint before, and everything that is told now could be told. */
  #isStateReady(): boolean {
    return this.#state === null || (!this.#state.isSettling && this.#tellHeld(this.#state));
  }

  /** Changes that are told at the checkpoint. False when one of them halts: then nothing of the stage may be committed. */
  #tellHeld(state: TaskState): boolean {
    for (const { held, outcome } of state.tellHeld(this.#stage)) {
      if (outcome.kind === "halted") {
        this.#end(outcome.error);
        return false;
      }
      this.#recount(held.record.raw, outcome);
    }
    return true;
  }

  /** It had counted as emitted. */
  #recount(raw: RawRecord, outcome: Outcome): void {
    for (const ledger of [this.#delta, this.#progress.ledger(placeOf(raw).topic)]) {
      ledger.consumed--;
      ledger.emitted--;
    }
    this.#count(raw, outcome);
    this.#options.breaker.late();
  }
}
