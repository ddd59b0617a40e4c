// A stream task: one part on one partition, from takeover to revocation. It takes runs from its inbox, processes them
// into its stage, and hands the stage over when a checkpoint asks. It never writes.
import type { StagedTask } from "../../checkpoint/commit.ts";
import type { MillraceError } from "../../core/errors.ts";
import type { GroupGeneration, RecordBatch, SentBatch } from "../../core/kafka.ts";
import { emptyLedger, type LedgerCounts } from "../../core/ledger.ts";
import { countOutcome, isLetter, type Outcome, type Stage } from "../../core/outcome.ts";
import type { OutRecord, RawRecord, TopicName } from "../../core/record.ts";
import type { TaskAddress } from "../../observe/health.ts";
import { letterOf, type LetterOrigin } from "../../sinks/letter.ts";
import { openInbox, type TaskInbox } from "../../source/bounded-inbox.ts";
import type { Run, Valve } from "../../source/inbox.ts";
import type { TakenOver } from "../../source/takeover.ts";
import type { OpenStores } from "../../state/task-stores.ts";
import type { Held } from "../../transform/operators.ts";
import { emptyStage, type BoundPart } from "../line/bind.ts";
import type { WorkerContext } from "../context.ts";
import { ours, persist } from "../failure.ts";
import type { Breaker } from "../gate/breaker.ts";
import { processRun, unknownIds, type ProcessedRun } from "../line/process.ts";
import { TaskProgress } from "./progress.ts";
import { TaskState, type SealedState } from "./state.ts";

/** A stage that a checkpoint took: what to write, and what to publish when it is written. */
export interface TaskCheckpoint extends StagedTask {
  readonly task: StreamTask;
  readonly state: SealedState | null;
  readonly records: number;
  /** What this checkpoint adds to the ledger. */
  readonly delta: LedgerCounts;
}

export interface StreamTaskOptions {
  readonly context: WorkerContext;
  readonly bound: BoundPart;
  readonly partition: number;
  readonly generation: GroupGeneration;
  readonly starts: readonly TakenOver[];
  readonly valve: Valve;
  readonly letters: LetterOrigin;
  readonly breaker: Breaker;
  /** Null in a part without state. */
  readonly stores: OpenStores | null;
  /** Told how many records were staged. */
  note(records: number): void;
}

export class StreamTask {
  readonly partition: number;
  readonly #options: StreamTaskOptions;
  readonly #inbox: TaskInbox;
  readonly #progress: TaskProgress;
  readonly #life = new AbortController();
  #stage: Stage = emptyStage();
  #letters: OutRecord[] = [];
  #delta: LedgerCounts = emptyLedger();
  #oldestMs: number | null = null;
  #roomAgain: (() => void) | null = null;
  #waitingFor: string | null = null;
  readonly #state: TaskState | null;
  /** What ends the task beside a record that halts. */
  #failure: MillraceError | null = null;

  constructor(options: StreamTaskOptions) {
    this.#options = options;
    this.partition = options.partition;
    const { limits, bounds, pace } = options.context;
    const how = { ...limits, bytesMax: limits.inboxBytesMax };
    const bounded = { group: options.bound.part.group, bounds, pace };
    this.#inbox = openInbox(options.starts, how, options.valve, bounded);
    this.#state = this.#stateOf(options);
    this.#progress = new TaskProgress(options.partition, options.starts);
  }

  #stateOf({ stores, bound, partition, starts, context }: StreamTaskOptions): TaskState | null {
    if (stores === null) return null;
    return new TaskState({
      bound,
      partition,
      stores,
      streamTimeMs: Math.max(...starts.map(({ streamTimeMs }) => streamTimeMs ?? -1)),
      patiently: (work) => this.#persist(bound.plan.options.state, work),
      now: () => context.clock.now(),
    });
  }

  #persist(dependency: string, work: () => Promise<void>): Promise<void> {
    const onWaiting = (why: string | null): void => void (this.#waitingFor = why);
    const what = { dependency, signal: this.#life.signal, onWaiting };
    return persist(this.#options.context, what, work);
  }

  /** Names the task in metrics. */
  get address(): TaskAddress {
    const { plan, part } = this.#options.bound;
    const topic = part.sources[0]?.name ?? "";
    return { pipeline: plan.pipeline, part: part.name, topic, partition: this.partition };
  }

  /** Returns where to seek when the batch does not follow what was read before. */
  accept(batch: RecordBatch): bigint | null {
    return this.#inbox.push(batch);
  }

  /** Takes nothing more of these topics, and of the others as before. */
  hold(topics: ReadonlySet<TopicName>): void {
    this.#inbox.hold(topics);
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

  /** The line: fetch → learn schemas → decode, transform, stage → wait for room. Returns why it halted, or null when closed. */
  async run(): Promise<MillraceError | null> {
    for (;;) {
      const run = await this.#inbox.take();
      if (run === null) return this.#failure;
      for (let ids = this.#unknown(run); ids.size > 0; ids = this.#unknown(run)) {
        await this.#learn(ids);
        if (this.#life.signal.aborted) return this.#failure;
      }
      const halted =
        this.#state === null ? this.#process(run) : await this.#processWithState(run, this.#state);
      if (halted !== null) return halted;
      await this.#room();
    }
  }

  #unknown(run: Run): Set<number> {
    return unknownIds(this.#options.bound, run, this.#options.context.schemas);
  }

  async #learn(ids: ReadonlySet<number>): Promise<void> {
    const { schemas } = this.#options.context;
    await this.#persist("registry", () => schemas.learn(ids)).catch((error: unknown) => {
      if (!this.#life.signal.aborted) throw error;
    });
  }

  #process(run: Run): MillraceError | null {
    let error: MillraceError | null = null;
    let haltedAt: bigint | null = null;
    const done = processRun(this.#options.bound, run, this.#stage, (raw, outcome) => {
      error = this.#refusal(raw, outcome);
      if (error === null) this.#count(raw, outcome);
      else haltedAt = raw.offset;
      return error === null;
    });
    const stoppedAt = haltedAt ?? run.nextOffset;
    this.#progress.advance(run.topic, done ? run.nextOffset : stoppedAt);
    this.#options.note(run.records.length);
    return error;
  }

  /** As `#process`, with a wait for keys in its middle; what comes of the run is taken in one turn, or not at all. */
  async #processWithState(run: Run, state: TaskState): Promise<MillraceError | null> {
    const processed = await this.#judged(run, state).catch((error: unknown) => {
      if (this.#life.signal.aborted) return null;
      throw error;
    });
    if (processed === null || this.#life.signal.aborted) return this.#failure;
    const { outcomes, outputs } = processed;
    const last = outcomes.at(-1);
    const halted = last?.kind === "halted" ? last.error : null;
    outcomes.forEach((outcome, i) => {
      const raw = run.records[i] as RawRecord;
      if (this.#refusal(raw, outcome) === null) this.#count(raw, outcome);
    });
    for (const output of outputs) this.#stage.outputs.push(output);
    this.#stage.index += outcomes.length;
    state.keep(processed);
    const haltedAt = run.records[outcomes.length - 1]?.offset ?? run.nextOffset;
    this.#progress.advance(run.topic, halted === null ? run.nextOffset : haltedAt);
    this.#options.note(run.records.length);
    return halted;
  }

  /** The run up to the record that the breaker refuses: what was made of it and of those behind it is undone. */
  async #judged(run: Run, state: TaskState): Promise<ProcessedRun> {
    const { breaker } = this.#options;
    const processed = await state.process(run);
    const over = breaker.firstOver(processed.outcomes.map(isLetter));
    if (over === null || this.#life.signal.aborted) return processed;
    const raw = run.records[over] as RawRecord;
    state.undo();
    const before = { ...run, records: run.records.slice(0, over), nextOffset: raw.offset };
    const again = await state.process(before);
    return {
      ...again,
      outcomes: [...again.outcomes, { kind: "halted", error: breaker.error(raw) }],
    };
  }

  /** Why the record is not consumed, or null; then the breaker has counted it. */
  #refusal(raw: RawRecord, outcome: Outcome): MillraceError | null {
    const { breaker } = this.#options;
    if (outcome.kind === "halted") return outcome.error;
    return breaker.admits(isLetter(outcome)) ? null : breaker.error(raw);
  }

  #count(raw: RawRecord, outcome: Outcome): void {
    this.#oldestMs ??= raw.timestamp;
    countOutcome(this.#delta, outcome);
    countOutcome(this.#progress.ledger(raw.topic), outcome);
    if (outcome.kind !== "dead-lettered") return;
    const { letters, context } = this.#options;
    this.#letters.push(letterOf(raw, outcome.failure, letters, context.clock.now()));
  }

  /** Waits while more is staged than one checkpoint should hold; always lets the event loop turn. */
  async #room(): Promise<void> {
    const { clock, limits } = this.#options.context;
    while (this.#stage.index >= limits.checkpointRecordsMax && !this.#life.signal.aborted) {
      await new Promise<void>((resolve) => (this.#roomAgain = resolve));
      this.#roomAgain = null;
    }
    await clock.sleep(0);
  }

  /** The checkpoint was decided: it counts, and the copies of state get it. */
  settle({ progress, state }: TaskCheckpoint, sent: readonly SentBatch[]): void {
    this.#progress.settle(progress);
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
    if (!this.#progress.hasMoved || !this.#isStateReady()) return null;
    const { context, generation } = this.#options;
    const progress = this.#progress.take(context.owner, this.#state?.streamTimeMs ?? null);
    const state = this.#state?.seal() ?? null;
    const changelog = state === null ? [] : state.changelog;
    const { outputs, index: records } = this.#stage;
    const [letters, delta] = [this.#letters, this.#delta];
    this.#stage = emptyStage();
    this.#letters = [];
    this.#delta = emptyLedger();
    this.#oldestMs = null;
    this.#roomAgain?.();
    return { task: this, outputs, changelog, letters, progress, generation, records, delta, state };
  }

  /** Whether the copies have the checkpoint before, and everything that is told now could be told. */
  #isStateReady(): boolean {
    return this.#state === null || (!this.#state.isSettling && this.#tellHeld(this.#state));
  }

  /** Changes that are told at the checkpoint. False when one of them halts: then nothing of the stage may be committed. */
  #tellHeld(state: TaskState): boolean {
    const letters = new Set<Held["trail"]>();
    for (const { held, outcome } of state.tellHeld(this.#stage)) {
      if (outcome.kind === "halted") {
        this.#end(outcome.error);
        return false;
      }
      // Its record has one outcome: it counted as emitted so far.
      if (letters.has(held.trail)) continue;
      letters.add(held.trail);
      const { raw } = held.record;
      for (const ledger of [this.#delta, this.#progress.ledger(raw.topic)]) uncountEmitted(ledger);
      this.#count(raw, outcome);
      this.#options.breaker.late();
    }
    return true;
  }
}

function uncountEmitted(ledger: LedgerCounts): void {
  ledger.consumed--;
  ledger.emitted--;
}
