// A batch through a part with state. Records go through the steps in front of the first state one by one, and queue; then
// all their keys are fetched at once, then the queue is worked on, and so for each step with state. What comes out is
// what one record after the other would have made: outputs lie in the order of their records, and a record that fails
// leaves no trace, in state neither (if later records have seen its changes, the batch runs again without it).
import { assert } from "../core/errors.ts";
import type { DecodedRecord, Outcome, Stage } from "../core/outcome.ts";
import type { OutRecord } from "../core/record.ts";
import type { StateKey, TaskStores } from "../core/state.ts";
import type { CallBook } from "./calls/book.ts";
import type { TaskCalls } from "./calls/call.ts";
import { NoRoom, TooLargeToPark } from "./calls/parked.ts";
import { verdictsOf, type CallStep, type Verdict } from "./calls/map-async.ts";
import type { Wired } from "./program.ts";
import {
  newTrail,
  wait,
  type Held,
  type StatefulPass,
  type Trail,
  type Waiting,
} from "./operator.ts";
import { recordKey } from "./keyed/state-key.ts";
import type { StatefulStep } from "./keyed/aggregate.ts";

export interface TimedRecord {
  readonly record: DecodedRecord;
  /** The greatest timestamp that the task has seen, this record's included. */
  readonly streamTimeMs: number;
  /** A parked record enters at its step, with its answer. */
  readonly released?: { readonly at: number; readonly value: unknown; readonly answer: unknown };
}

export interface Batch {
  readonly records: readonly TimedRecord[];
  readonly stores: TaskStores;
  /** For steps that call. */
  readonly calls: TaskCalls;
  /** What calls for these records have come to so far. */
  readonly book: CallBook;
  /** Changes state before each pass. */
  readonly begin?: () => void;
}

export interface BatchResult {
  /** One a record; after one that halts there is none, and from one on that has no room none either. */
  readonly outcomes: readonly Outcome[];
  /** In the order of their records. */
  readonly outputs: readonly OutRecord[];
  /** Changes to tell at the checkpoint, in order. */
  readonly held: readonly Held[];
  /** Keys of which records were parked. */
  readonly parked: readonly Parked[];
}

export interface Parked {
  readonly step: CallStep;
  readonly key: Buffer;
}

/** The record at `index` cannot stay in this pass, or not as it is. */
interface Trouble {
  readonly index: number;
  readonly why: Outcome | "no room" | "too large to park";
}

/** What earlier passes have shown. */
class Lessons {
  readonly leftOut: Map<number, Outcome> = new Map();
  #roomEnd: number;

  constructor({ records }: Batch) {
    this.#roomEnd = records.length;
  }

  /** Nothing from here on is kept: of what follows a halt, or a record that has no room. */
  get end(): number {
    const halted = [...this.leftOut].find(([, outcome]) => outcome.kind === "halted");
    return Math.min(this.#roomEnd, halted?.[0] ?? Infinity);
  }

  learn({ index, why }: Trouble, { records, book }: Batch): void {
    // Records behind it may have failed for what it did, so they are tried again.
    for (const other of this.leftOut.keys()) if (other > index) this.leftOut.delete(other);
    if (why === "too large to park") {
      book.inPlace.add((records[index] as TimedRecord).record.raw);
      return;
    }
    if (why === "no room") this.#roomEnd = index;
    else this.leftOut.set(index, why);
  }
}

export async function runBatch(wired: Wired, batch: Batch): Promise<BatchResult> {
  const lessons = new Lessons(batch);
  for (;;) {
    const pass = new Pass(wired, batch, lessons);
    const trouble = await pass.run();
    if (trouble === null) return pass.finish();
    batch.stores.rollback(0);
    lessons.learn(trouble, batch);
  }
}

type Resumed = NonNullable<TimedRecord["released"]>;

/** A record on its way. */
interface Place {
  readonly record: DecodedRecord;
  readonly trail: Trail;
}

/** Outputs of one record from one step, and where they lie in the pass's own stage. */
interface Made {
  readonly index: number;
  readonly from: number;
  readonly to: number;
}

class Pass implements StatefulPass {
  readonly stores: TaskStores;
  readonly waiting: Map<number, Waiting[]> = new Map();
  readonly held: Held[] = [];
  readonly #wired: Wired;
  readonly #batch: Batch;
  readonly #end: number;
  readonly #failed: Map<number, Outcome>;
  readonly #trails: Trail[];
  readonly #stage: Stage = { outputs: [], rows: [], index: 0 };
  readonly #made: Made[] = [];
  readonly #parked = new Map<string, Parked>();

  constructor(wired: Wired, batch: Batch, { leftOut, end }: Lessons) {
    this.#wired = wired;
    this.#batch = batch;
    this.#end = end;
    this.stores = batch.stores;
    this.#failed = new Map(leftOut);
    this.#trails = batch.records.map((_, index) => newTrail(index));
  }

  streamTimeMs({ index }: Trail): number {
    return (this.#batch.records[index] as TimedRecord).streamTimeMs;
  }

  /** Null when every record that is not left out has passed. */
  async run(): Promise<Trouble | null> {
    this.#batch.begin?.();
    const enter = (record: TimedRecord): void => this.#enter(record);
    for (let index = 0; index < this.#end; index++) {
      const timed = this.#batch.records[index] as TimedRecord;
      const place = { record: timed.record, trail: this.#trails[index] as Trail };
      const trouble = this.#work(place, enter, timed);
      if (trouble !== null) return trouble;
    }
    for (const step of this.#wired.steps) {
      const trouble = await ("operation" in step ? this.#runCalls(step) : this.#runStep(step));
      if (trouble !== null) return trouble;
    }
    return null;
  }

  #enter({ record, released }: TimedRecord): void {
    if (released !== undefined) return this.#resume(record, released);
    const entry = this.#wired.entries.get(record.raw.topic);
    assert(entry !== undefined, `the part has no source ${record.raw.topic}`);
    entry(record.value);
  }

  #resume(record: DecodedRecord, { at, value, answer }: Resumed): void {
    const { cursor } = this.#wired;
    const key = recordKey(value, cursor);
    wait(this, at, { record, trail: cursor.trail, value, key, released: { answer } });
  }

  /** Several streams may lead to a step, each in order. */
  #queueAt(at: number): Waiting[] {
    return (this.waiting.get(at) ?? []).sort((a, b) => a.trail.index - b.trail.index);
  }

  /** All calls first; then what they came to, record by record. */
  async #runCalls(step: CallStep): Promise<Trouble | null> {
    const queue = this.#queueAt(step.at).filter(({ trail }) => !this.#failed.has(trail.index));
    if (queue.length === 0) return null;
    const { calls, book, stores } = this.#batch;
    const verdicts = await verdictsOf(step, queue, { calls, book, stores });
    const view = step.store === null ? null : this.stores.view(step.store.name);
    for (const [i, waiting] of queue.entries()) {
      const verdict = verdicts[i] as Verdict;
      const work = (): void => step.work(waiting, verdict, view);
      const trouble = this.#work(waiting, work, null);
      if (trouble !== null) return trouble;
      if (verdict.kind === "parks" || verdict.kind === "joins") this.#note(step, waiting);
    }
    return null;
  }

  #note(step: CallStep, { key }: Waiting): void {
    if (key !== null) this.#parked.set(`${String(step.at)}/${key.id}`, { step, key: key.bytes });
  }

  async #runStep(step: StatefulStep): Promise<Trouble | null> {
    const queue = this.#queueAt(step.at);
    const keys = new Map<string, StateKey>();
    for (const { key } of queue) if (key !== null) keys.set(key.id, key);
    if (keys.size > 0) await this.stores.load(step.store, keys);
    const view = this.stores.view(step.store);
    const { cursor } = this.#wired;
    const work = (waiting: Waiting): void => {
      cursor.step = step.at;
      step.work(waiting, view);
    };
    for (const waiting of queue) {
      const trouble = this.#work(waiting, work, waiting);
      if (trouble !== null) return trouble;
    }
    return null;
  }

  /** One piece of one record's way; between two pieces other batches may use the closures. */
  #work<T>({ record, trail }: Place, piece: (of: T) => void, of: T): Trouble | null {
    const { index } = trail;
    if (this.#failed.has(index)) return null;
    const { cursor } = this.#wired;
    // One by one: this is done for each record and step, and an object for it would be garbage.
    cursor.record = record;
    cursor.trail = trail;
    cursor.stage = this.#stage;
    cursor.pass = this;
    const from = this.#stage.outputs.length;
    const mark = this.stores.mark();
    const held = this.held.length;
    try {
      piece(of);
      this.#checkEffect(record, this.stores.mark() !== mark || this.held.length !== held);
    } catch (error) {
      if (error instanceof NoRoom) return { index, why: "no room" };
      if (error instanceof TooLargeToPark) return { index, why: "too large to park" };
      const outcome = this.#wired.failed(error);
      if (trail.hasChanged || outcome.kind === "halted") return { index, why: outcome };
      this.#stage.outputs.length = from;
      this.held.length = held;
      this.stores.rollback(mark);
      this.#failed.set(index, outcome);
      return null;
    }
    if (this.stores.mark() !== mark) trail.hasChanged = true;
    const to = this.#stage.outputs.length;
    if (to > from) this.#made.push({ index, from, to });
    return null;
  }

  /** A broker may have refused what the record changes. */
  #checkEffect({ raw }: DecodedRecord, hasEffect: boolean): void {
    const { refusals } = this.#wired;
    if (refusals.size > 0 && hasEffect) refusals.checkEffect(raw);
  }

  finish(): BatchResult {
    const outcomes = this.#trails
      .slice(0, this.#failed.get(this.#end)?.kind === "halted" ? this.#end + 1 : this.#end)
      .map((trail) => this.#failed.get(trail.index) ?? this.#endOf(trail));
    const parked = [...this.#parked.values()];
    return { outcomes, outputs: [...this.#inOrder()], held: this.held, parked };
  }

  #endOf(trail: Trail): Outcome {
    const { record } = this.#batch.records[trail.index] as TimedRecord;
    return this.#wired.outcomeOf(trail, record);
  }

  *#inOrder(): Iterable<OutRecord> {
    const { outputs } = this.#stage;
    // Stable: outputs of one record stay in the order of its steps.
    const made = this.#made
      .filter(({ index }) => !this.#failed.has(index))
      .sort((a, b) => a.index - b.index);
    for (const { from, to } of made) yield* outputs.slice(from, to);
  }
}
