// The state of a stream task: what a slice changed is kept when the slice is, sealed when a checkpoint takes the stage, and
// given to the copies when Kafka has decided. One checkpoint is on its way to the copies at a time.
import type { PlanStore } from "../../../core/plan.ts";
import type { SentBatch } from "../../../core/kafka.ts";
import type { Outcome, Stage } from "../../../core/outcome.ts";
import { addressOf, type OutRecord, type RawRecord } from "../../../core/record.ts";
import type { TaskInputs } from "../../../core/task-inputs.ts";
import type { Sealed } from "../../../state/cell.ts";
import type { OpenStores } from "../../../state/task-stores.ts";
import type { CallBook } from "../../../transform/calls/book.ts";
import { TaskCalls } from "../../../transform/calls/call.ts";
import {
  release,
  type EndedCall,
  type LearnKept,
  type Released,
} from "../../../transform/calls/release.ts";
import type { CallStep } from "../../../transform/calls/map-async.ts";
import type { TaskTimes } from "../../../transform/program.ts";
import type { DeferredChange } from "../../../transform/operator.ts";
import { publishQueued } from "../../../observe/task-metrics.ts";
import type { Inbox } from "../../../source/inbox.ts";
import { QueuedKeys } from "../../calls/queued-keys.ts";
import { callPortsOf } from "../../calls/ports.ts";
import type { WorkerContext } from "../../context.ts";
import type { BoundPart } from "../bind.ts";
import type { Breaker } from "../breaker.ts";
import { DueWork } from "../due/firing.ts";
import type { Slice } from "../intake.ts";
import { learnQueued } from "../line/recognise.ts";
import { processBatch, type Processed } from "../line/line.ts";
import type { Task } from "../task.ts";

export interface TaskStateOptions {
  readonly bound: BoundPart;
  readonly partition: number;
  readonly stores: OpenStores;
  readonly calls: TaskCalls;
  readonly inputs: TaskInputs;
  readonly times: TaskTimes;
  readonly breaker: Breaker;
  /** Runs again for as long as the copies are away; rejects when the task ends first. */
  patiently<T>(work: () => Promise<T>): Promise<T>;
  readonly learn: LearnKept;
  now(): number;
}

/** The changes of state that a checkpoint writes to the changelogs. */
export interface SealedState {
  readonly changelog: readonly OutRecord[];
  readonly stores: readonly { readonly store: PlanStore; readonly sealed: Sealed }[];
}

/** A result that waited for the checkpoint and cannot be written. */
export interface UnwrittenChange {
  readonly change: DeferredChange;
  readonly outcome: Outcome;
}

export class TaskState {
  readonly #options: TaskStateOptions;
  /** The last result of each step and key that waits for the checkpoint. */
  readonly #deferred = new Map<number, Map<string, DeferredChange>>();
  #settling: Promise<void> | null = null;
  /** The entries that are due without a record of their own. */
  readonly due: DueWork;

  constructor(options: TaskStateOptions) {
    this.#options = options;
    this.due = new DueWork(options);
  }

  /**
   * The slice, up to the record that the breaker does not admit: what was made of that one and of those behind it is undone.
   * Nothing of it stays before `keep`.
   */
  async process(slice: Slice, book: CallBook, breaker: Breaker): Promise<Processed> {
    const { bound, stores, calls, inputs, times } = this.#options;
    const lent = { stores, calls, book, inputs, times };
    let processed = await processBatch(bound, slice, lent);
    const over = breaker.firstOver(processed.outcomes.map(({ kind }) => kind === "dead-lettered"));
    if (over !== null) {
      stores.rollback(0);
      // Calls that have answered are in the book.
      const before = { ...slice, records: slice.records.slice(0, over) };
      const { outcomes, ...again } = await processBatch(bound, before, lent);
      const error = breaker.error(slice.records[over] as RawRecord);
      processed = { ...again, outcomes: [...outcomes, { kind: "halted", error }] };
    }
    for (const { kind } of processed.outcomes)
      if (kind !== "halted") breaker.admits(kind === "dead-lettered");
    return processed;
  }

  /** As `process`, for queued keys whose calls have ended. */
  release(step: CallStep, ended: readonly EndedCall[]): Promise<Released> {
    const { bound, stores, calls, learn } = this.#options;
    const watermarkOf = this.#watermark;
    return release(bound.program, { step, ended, stores, calls, watermarkOf, learn });
  }

  /** In front of an operator, by what was consumed. */
  readonly #watermark = (at: number): number =>
    this.#options.bound.program.watermark(at, this.#options.times);

  keep(changes: readonly DeferredChange[]): void {
    for (const one of changes) {
      let ofStep = this.#deferred.get(one.at);
      if (ofStep === undefined) this.#deferred.set(one.at, (ofStep = new Map()));
      ofStep.set(one.key, one);
    }
    this.#options.stores.endBatch();
  }

  /** Writes the results that waited into the stage; returns those that cannot be written, one a record. */
  writeDeferred(stage: Stage): UnwrittenChange[] {
    const unwritten = new Map<DeferredChange["trail"], UnwrittenChange>();
    for (const change of [...this.#deferred.values()].flatMap((ofStep) => [...ofStep.values()])) {
      const outcome = this.#options.bound.program.emitDeferred(change, stage);
      // A halt counts whatever the record did before.
      if (outcome !== null && (outcome.kind === "halted" || !unwritten.has(change.trail)))
        unwritten.set(change.trail, { change, outcome });
    }
    this.#deferred.clear();
    return [...unwritten.values()];
  }

  seal(): SealedState {
    const { bound, partition, stores, now } = this.#options;
    const timestamp = now();
    const parts = bound.part.stores.flatMap((store) => {
      const sealed = stores.store(store.name).seal();
      return sealed === null ? [] : [{ store, sealed }];
    });
    const changelog = parts.flatMap(({ store, sealed }) =>
      sealed.changes.map(({ key, value }): OutRecord => {
        return { topic: store.changelog.name, partition, key, value, headers: [], timestamp };
      }),
    );
    return { changelog, stores: parts };
  }

  /** Whether the copies still lack a decided checkpoint. */
  get isSettling(): boolean {
    return this.#settling !== null;
  }

  /** Resolves when the copies have everything that was decided. */
  settled(): Promise<void> {
    return this.#settling ?? Promise.resolve();
  }

  /** The checkpoint was decided. Resolves when the copies have it; the next checkpoint waits for that. */
  settle({ stores }: SealedState, sent: readonly SentBatch[]): Promise<void> {
    if (stores.length === 0) return Promise.resolve();
    const { partition, now, patiently } = this.#options;
    const all = stores.map(({ store, sealed }) => {
      const own = addressOf({ topic: store.changelog.name, partition });
      const batches = sent.filter((batch) => addressOf(batch) === own);
      const timeMs = Math.max(...batches.map(({ appendTimeMs }) => appendTimeMs ?? now()));
      const open = this.#options.stores.store(store.name);
      return patiently(() => open.settle(sealed, offsetsOf(batches), timeMs));
    });
    this.#settling = Promise.all(all).then(() => void (this.#settling = null));
    return this.#settling;
  }

  close(): void {
    this.#options.stores.close();
  }
}

/** The parts of a task with state, or with calls. */
interface StateParts extends Pick<
  TaskStateOptions,
  "bound" | "stores" | "inputs" | "times" | "breaker"
> {
  readonly context: WorkerContext;
  readonly inbox: Inbox;
}

/** The state of a task, and its queued keys; null where no step queues any. */
export function openState(
  task: Task,
  { context, inbox, ...parts }: StateParts,
): { readonly state: TaskState; readonly queuedKeys: QueuedKeys | null } {
  const { bound, stores } = parts;
  const { watch, queueingSteps: steps } = bound.program;
  const calls = new TaskCalls(callPortsOf(context, task.address, task.signal, watch));
  const patiently = <T>(work: () => Promise<T>): Promise<T> =>
    task.persist(bound.plan.options.state, work);
  const learn: LearnKept = (step, kept) =>
    learnQueued(bound, step.store?.name ?? "", kept, task.learner);
  const now = (): number => context.clock.now();
  const { partition } = task;
  const state = new TaskState({ ...parts, partition, calls, patiently, learn, now });
  if (steps.length === 0) return { state, queuedKeys: null };
  const queuedKeys = new QueuedKeys({
    ...{ steps, stores, calls, patiently, learn },
    nudge: () => inbox.nudge(),
    release: (step, ended) => state.release(step, ended),
    onChange: (step, waiting) => publishQueued(context.meter, task.address, step, waiting),
  });
  return { state, queuedKeys };
}

/** The offset of each record, in the order sent; null when the broker has not said one of them. */
function offsetsOf(batches: readonly SentBatch[]): bigint[] | null {
  const offsets: bigint[] = [];
  for (const { baseOffset, count } of batches) {
    if (baseOffset === null) return null;
    for (let i = 0; i < count; i++) offsets.push(baseOffset + BigInt(i));
  }
  return offsets;
}
