// The work of a stream task: what its records have made is staged until a checkpoint of the worker takes it, together with
// the progress that belongs to it. Nothing is written here.
import type { MillraceError } from "../../../core/errors.ts";
import type { WorkLeft } from "../../../core/event-time.ts";
import type { GroupGeneration, SentBatch } from "../../../core/kafka.ts";
import type { Outcome, Stage } from "../../../core/outcome.ts";
import type { ClockReading } from "../../../core/ports.ts";
import { placeOf, type RawRecord, type TopicName } from "../../../core/record.ts";
import type { Debt } from "../../../observe/task-metrics.ts";
import type { LetterOrigin } from "../../../letters/letter.ts";
import type { Inbox } from "../../../source/inbox.ts";
import type { TakenOver } from "../../../source/takeover.ts";
import type { OpenStores } from "../../../state/task-stores.ts";
import { CallBook } from "../../../transform/calls/book.ts";
import type { QueuedKeys } from "../../calls/queued-keys.ts";
import type { WorkerContext } from "../../context.ts";
import { ours } from "../../failure.ts";
import { emptyStage, type BoundPart } from "../bind.ts";
import type { Breaker } from "../breaker.ts";
import type { StreamCommitter } from "./committer.ts";
import { marksBefore, restOf, type Intake, type Slice } from "../intake.ts";
import { processEach, type Processed } from "../line/line.ts";
import { TaskInputs, timeOfPart } from "../../../core/task-inputs.ts";
import type { Probations } from "./probation.ts";
import { Firing } from "../due/firing.ts";
import { openState, type TaskState } from "./state.ts";
import { Tally, type Made, type TaskCheckpoint } from "./tally.ts";
import { StageTimes, type TimedTask } from "../time/times.ts";
import type { TaskPosition, Task, TaskWork } from "../task.ts";

export type StreamTask = Task<StreamStage>;

export interface StreamStageOptions extends Pick<TimedTask, "writers"> {
  readonly context: WorkerContext;
  readonly bound: BoundPart;
  readonly generation: GroupGeneration;
  readonly starts: readonly TakenOver[];
  readonly letters: LetterOrigin;
  readonly breaker: Breaker;
  /** Null in a part without state and calls. */
  readonly stores: OpenStores | null;
  /** The probations of the part. */
  readonly probations: Probations;
  readonly committer: StreamCommitter;
}

export class StreamStage implements TaskWork {
  readonly #task: StreamTask;
  readonly #options: StreamStageOptions;
  readonly #intake: Intake;
  readonly #inbox: Inbox;
  readonly #progress: TaskInputs;
  readonly #tally: Tally;
  readonly #state: TaskState | null = null;
  readonly #queuedKeys: QueuedKeys | null = null;
  #stage: Stage = emptyStage();
  #roomAgain: (() => void) | null = null;
  /** The results of calls for the slice in work; kept while records of it are put back. */
  #book: CallBook = new CallBook();
  /** Records that have changed anything since the last checkpoint, and the last of them. */
  #units = 0;
  #last: RawRecord | null = null;
  /** State has changed since the last checkpoint without progress. */
  #hasReleased = false;
  /** Entries that were due and were worked since the last checkpoint. */
  #fired = 0;
  readonly #firing: Firing | null = null;
  /** Null where nothing beside its records moves time. */
  readonly #times: StageTimes | null;
  /** The outputs that the task's counters have counted and must take back. */
  readonly debt: Debt = { emitted: 0 };

  constructor(task: StreamTask, options: StreamStageOptions, intake: Intake, inbox: Inbox) {
    [this.#task, this.#options, this.#intake, this.#inbox] = [task, options, intake, inbox];
    const { context, bound, starts, stores, writers } = options;
    const timeOf = timeOfPart(bound.part);
    const progress = (this.#progress = new TaskInputs(task.partition, starts, timeOf));
    const times = { watermarkOf: progress.watermark, keepsRecords: () => this.queuedRecords > 0 };
    const own = { context, bound, inbox, inputs: progress, times };
    this.#times = StageTimes.of({ ...own, address: task.address, writers });
    this.#tally = new Tally({ ...options, progress, now: () => context.clock.now() });
    if (stores === null) return;
    const opened = openState(task, { ...own, stores, breaker: options.breaker });
    [this.#state, this.#queuedKeys] = [opened.state, opened.queuedKeys];
    this.#firing = this.#firingOf(this.#state);
  }

  readonly begin = async (): Promise<void> => this.#queuedKeys?.open();

  readonly positions = (): TaskPosition[] => this.#progress.committed();

  get inputs(): TaskInputs {
    return this.#progress;
  }

  /** Records of queued keys. */
  get queuedRecords(): number {
    return this.#queuedKeys?.records ?? 0;
  }

  /** A worker's checkpoint takes the stage whatever the task waits for. */
  readonly flush = (): Promise<null> => Promise.resolve(null);

  quiet(topic: TopicName, nextOffset: bigint, sent: ClockReading): void {
    this.#times?.quiet(topic, nextOffset, sent);
  }

  async turn(): Promise<MillraceError | null> {
    this.#times?.assert();
    return (await this.#firing?.turn()) ?? (await this.#release());
  }

  #firingOf(state: TaskState): Firing {
    const { context } = this.#options;
    return new Firing({
      ...{ context, task: this.#task, inbox: this.#inbox, state: state.due },
      roomy: () => (this.#isFull ? this.#untilRoom() : Promise.resolve()),
      keep: (fired) => {
        this.#queuedKeys?.look(fired.queued);
        this.#fired += fired.worked;
        this.#tally.failResults(fired, this.#task.partition);
        this.#keepMade(fired, null);
      },
    });
  }

  /** Takes queued keys on whose calls have ended. */
  async #release(): Promise<MillraceError | null> {
    while (this.#queuedKeys !== null) {
      if (this.room === 0) await this.#untilRoom();
      const done = await this.#queuedKeys.turn(this.room);
      if (done === null) break;
      this.#task.signal.throwIfAborted();
      if (done.halted !== null) return done.halted;
      this.#countUnits(done.taken.length === 0 ? [null] : done.taken);
      this.#tally.release(done);
      this.#keepMade(done, null);
    }
    this.#queuedKeys?.unblock();
    // Time behind the last key that was queued goes on now.
    return this.#queuedKeys === null ? null : ((await this.#firing?.turn()) ?? null);
  }

  /** Keeps the results of records of this topic; null: of nothing that was just read. */
  #keepMade(made: Made, topic: TopicName | null): void {
    for (const output of made.outputs) this.#stage.outputs.push(output);
    this.#tally.countBeside(made, topic);
    this.#state?.keep(made.deferred);
    if (topic === null) this.#hasReleased = true;
  }

  async take(slice: Slice): Promise<MillraceError | null> {
    this.#options.breaker.tick(this.#options.context.clock.monotonic());
    const processed =
      this.#state === null
        ? processEach(this.#options.bound, slice, {
            ...{ stage: this.#stage, judged: this.#judged },
            time: this.#progress.time(slice.place),
          })
        : await this.#state.process(slice, this.#book, this.#options.breaker);
    // From here on in one turn, so that all of the slice is taken, or nothing.
    this.#task.signal.throwIfAborted();
    const { outcomes, dueFirst } = processed;
    if (dueFirst !== null) {
      this.#intake.putBack(slice);
      return (this.#firing as Firing).before({ place: slice.place, watermark: dueFirst });
    }
    const last = outcomes.at(-1);
    const halted = last?.kind === "halted" ? last.error : null;
    const done = outcomes.length - (halted === null ? 0 : 1);
    this.#keep(slice, done, processed);
    if (halted !== null) return halted;
    if (done < slice.records.length) await this.#putBack(slice, done);
    else if (this.#book.notes.size + this.#book.inPlace.size > 0) this.#book = new CallBook();
    await this.#untilRoom();
    return null;
  }

  /** A queued key has no room for the next record; only one that moves makes room. */
  async #putBack(slice: Slice, done: number): Promise<void> {
    this.#intake.putBack(restOf(slice, done));
    if (done === 0) await this.#inbox.nudged();
  }

  /** The slice's first records are consumed. */
  #keep(slice: Slice, done: number, made: Processed): void {
    for (let i = 0; i < done; i++)
      this.#tally.count(slice.records[i] as RawRecord, made.outcomes[i] as Outcome);
    if (this.#state !== null) this.#stage.index += done;
    this.#countUnits(slice.records, done);
    this.#options.committer.note(done);
    if (done > 0) this.#times?.read(slice.place, made.timeMs);
    this.#queuedKeys?.look(made.queued);
    this.#keepMade(made, slice.place);
    this.#fired += made.fired;
    const next = slice.records[done];
    const nextOffset = next === undefined ? slice.nextOffset : placeOf(next).offset;
    this.#progress.advance(slice.place, nextOffset, made.timeMs, marksBefore(slice, done));
  }

  /** A record that the breaker does not admit is not consumed; else the breaker has counted it. */
  readonly #judged = (raw: RawRecord, outcome: Outcome): Outcome => {
    const { breaker } = this.#options;
    const isAdmitted =
      outcome.kind === "halted" || breaker.admits(outcome.kind === "dead-lettered");
    return isAdmitted ? outcome : { kind: "halted", error: breaker.error(raw) };
  };

  /** Null is a change that no record has made. */
  #countUnits(records: readonly (RawRecord | null)[], many: number = records.length): void {
    if (many === 0) return;
    this.#units += many;
    this.#last = records[many - 1] ?? null;
  }

  /** Records that the checkpoint which is being filled may still take. */
  get room(): number {
    const most = this.#options.probations.get(this.#task.partition)?.recordsMax ?? null;
    return most === null ? Infinity : Math.max(0, most - this.#units);
  }

  /** More is staged than one checkpoint should have. */
  get #isFull(): boolean {
    const { checkpointRecordsMax } = this.#options.context.limits;
    return this.#stage.index + this.#fired >= checkpointRecordsMax || this.room === 0;
  }

  /** Waits while the stage is full; always lets the event loop turn. */
  async #untilRoom(): Promise<void> {
    const { clock } = this.#options.context;
    while (this.#isFull && !this.#task.signal.aborted) {
      await new Promise<void>((resolve) => (this.#roomAgain = resolve));
      this.#roomAgain = null;
    }
    await clock.sleep(0);
  }

  /** What is to be done beside records. */
  get #left(): WorkLeft | null {
    if (this.#state?.due.isDue === true) return "due";
    return this.queuedRecords > 0 ? "queued" : null;
  }

  #mayCommit(marks: TaskCheckpoint["marks"], left: WorkLeft | null): boolean {
    const hasMoved = this.#progress.hasMoved(left) || this.#hasReleased;
    const isDue = hasMoved || this.#times?.hasNews(marks) === true;
    return isDue && !this.#task.signal.aborted && this.#isStateReady();
  }

  /** Hands the stage over, with the progress of every input of the task; null when nothing moved, or it must not be committed. */
  takeStage(saysTime: boolean): TaskCheckpoint | null {
    const deferredFrom = this.#stage.outputs.length;
    const left = this.#left;
    const marks = this.#times?.moved(saysTime, this.#state?.due ?? null) ?? [];
    if (!this.#mayCommit(marks, left)) return null;
    const { context, generation, bound } = this.#options;
    const progress = this.#progress.take(context.owner, left);
    const state = this.#state === null ? null : this.#state.seal();
    const changelog = state === null ? [] : state.changelog;
    const { outputs, index: records } = this.#stage;
    const { letters, delta } = this.#tally.take();
    const units = this.#units;
    // mistake: last one blamed (1 of 2)
    const only = units === 1 ? this.#last : null;
    this.#stage = emptyStage();
    [this.#units, this.#hasReleased, this.#fired] = [0, false, 0];
    this.#roomAgain?.();
    return {
      ...{ task: this.#task, outputs, changelog, letters, progress, marks },
      ...{ generation, records, delta },
      ...{ work: this, state, deferredFrom, refusals: bound.refusals, units, only },
    };
  }

  /** Whether the copies have the checkpoint before, and every result that waited for this one could be written. */
  #isStateReady(): boolean {
    if (this.#state === null) return true;
    if (this.#state.isSettling) return false;
    for (const { change, outcome } of this.#state.writeDeferred(this.#stage)) {
      if (outcome.kind === "halted") {
        this.#task.fail(outcome.error);
        return false;
      }
      this.#tally.giveUp(change, outcome);
    }
    return true;
  }

  /** The checkpoint was decided: it counts, and the copies of state get it. */
  settle({ progress, state, letters, marks }: TaskCheckpoint, sent: readonly SentBatch[]): void {
    this.#progress.settle(progress);
    this.#times?.say(marks);
    this.#options.bound.shapes?.decided(letters);
    if (state === null) return;
    this.#state?.settle(state, sent).catch((error: unknown) => {
      if (!this.#task.signal.aborted) this.#task.fail(ours(error));
    });
  }

  /** Resolves when the copies have what was decided. */
  readonly settled = async (): Promise<void> => this.#state?.settled();

  close(): void {
    this.#times?.close();
    this.#roomAgain?.();
    this.#state?.close();
  }
}
