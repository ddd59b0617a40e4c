// A batch through a part with state. Records go through the steps in front of the first state one by one, and queue; then
// all their keys are fetched at once, then the queue is worked on, and so for each step with state. What comes out is
// what one record after the other would have made: outputs lie in the order of their records, and a record that fails
// leaves no trace, in state neither (if later records have seen its changes, the batch runs again without it).
import { assert } from "../core/errors.ts";
import type { DecodedRecord, Outcome, Stage } from "../core/outcome.ts";
import type { OutRecord } from "../core/record.ts";
import type { StateKey, TaskStores } from "../core/state.ts";
import type { Wired } from "./compile.ts";
import { newTrail, type Held, type StatefulPass, type Trail, type Waiting } from "./operators.ts";
import type { StatefulStep } from "./stateful.ts";

export interface TimedRecord {
  readonly record: DecodedRecord;
  /** The greatest timestamp that the task has seen, this record's included. */
  readonly streamTimeMs: number;
}

export interface Batch {
  readonly records: readonly TimedRecord[];
  readonly stores: TaskStores;
}

export interface BatchResult {
  /** One a record; after one that halts there is none. */
  readonly outcomes: readonly Outcome[];
  /** In the order of their records. */
  readonly outputs: readonly OutRecord[];
  /** Changes to tell at the checkpoint, in order. */
  readonly held: readonly Held[];
}

/** The record at `index` cannot stay in this pass. */
interface Trouble {
  readonly index: number;
  readonly outcome: Outcome;
}

export async function runBatch(wired: Wired, batch: Batch): Promise<BatchResult> {
  const leftOut = new Map<number, Outcome>();
  for (;;) {
    const pass = new Pass(wired, batch, leftOut);
    const trouble = await pass.run();
    if (trouble === null) return pass.finish();
    batch.stores.rollback(0);
    // Records behind it may have failed for what it did, so they are tried again.
    for (const index of leftOut.keys()) if (index > trouble.index) leftOut.delete(index);
    leftOut.set(trouble.index, trouble.outcome);
  }
}

/** Nothing of what follows a halt is kept. */
function endOf({ records }: Batch, leftOut: ReadonlyMap<number, Outcome>): number {
  const halted = [...leftOut].find(([, outcome]) => outcome.kind === "halted");
  return halted === undefined ? records.length : halted[0];
}

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

  constructor(wired: Wired, batch: Batch, leftOut: ReadonlyMap<number, Outcome>) {
    this.#wired = wired;
    this.#batch = batch;
    this.#end = endOf(batch, leftOut);
    this.stores = batch.stores;
    this.#failed = new Map(leftOut);
    this.#trails = batch.records.map((_, index) => newTrail(index));
  }

  streamTimeMs({ index }: Trail): number {
    return (this.#batch.records[index] as TimedRecord).streamTimeMs;
  }

  /** Null when every record that is not left out has passed. */
  async run(): Promise<Trouble | null> {
    const enter = (record: DecodedRecord): void => this.#enter(record);
    for (let index = 0; index < this.#end; index++) {
      const { record } = this.#batch.records[index] as TimedRecord;
      const place = { record, trail: this.#trails[index] as Trail };
      const trouble = this.#work(place, enter, record);
      if (trouble !== null) return trouble;
    }
    for (const step of this.#wired.steps) {
      const trouble = await this.#runStep(step);
      if (trouble !== null) return trouble;
    }
    return null;
  }

  #enter(record: DecodedRecord): void {
    const entry = this.#wired.entries.get(record.raw.topic);
    assert(entry !== undefined, `the part has no source ${record.raw.topic}`);
    entry(record.value);
  }

  async #runStep(step: StatefulStep): Promise<Trouble | null> {
    // Several streams may lead here, each in order.
    const queue = (this.waiting.get(step.at) ?? []).sort((a, b) => a.trail.index - b.trail.index);
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
    } catch (error) {
      const outcome = this.#wired.failed(error);
      if (trail.hasChanged || outcome.kind === "halted") return { index, outcome };
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

  finish(): BatchResult {
    const outcomes = this.#trails
      .slice(0, this.#failed.get(this.#end)?.kind === "halted" ? this.#end + 1 : this.#end)
      .map((trail) => this.#failed.get(trail.index) ?? this.#wired.outcomeOf(trail));
    return { outcomes, outputs: [...this.#inOrder()], held: this.held };
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
