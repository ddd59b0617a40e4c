// A batch through a part where records queue. Records go through the steps in front of the first group one by one, and
// queue; then all the group's keys are read at once, then its queue is worked in the order of the records, and so for each
// group. The result is as if records went one after the other: outputs are in the order of their records, and a record
// that fails leaves no trace, not in state either (if later ones saw its changes, the batch runs again without it).
import type { DecodedRecord, Outcome, Stage } from "../core/outcome.ts";
import type { OutRecord } from "../core/record.ts";
import type { StateKey } from "../core/state.ts";
import { NoRoom, TooLargeToQueue } from "./calls/key-queue.ts";
import type { CallStep } from "./calls/map-async.ts";
import {
  type GroupQueues,
  type DeferredChange,
  type Item,
  newTrail,
  type Operator,
  type Prepared,
  type RecordOrigin,
  type Trail,
} from "./operator.ts";
import type { Program } from "./program.ts";

export interface TimedRecord {
  readonly record: DecodedRecord;
  /** The event time to which it moves its input (S1); -Infinity where it moves none. */
  readonly movesToMs: number;
  /** The watermark of its input when it is worked. */
  readonly watermark: number;
  /** A queued record enters at its step, with its answer. */
  readonly released?: { readonly at: number; readonly value: unknown; readonly answer: unknown };
  /** No record, but a key that is due: it enters at the operator of its store. It is in memory. */
  readonly due?: { readonly at: number; readonly key: StateKey };
}

export interface Batch extends Prepared {
  readonly records: readonly TimedRecord[];
  /** The watermark in front of an operator, where that of the records' input is this one. */
  watermarkOf(at: number, watermark: number): number;
  /** Changes state before each pass. */
  readonly begin?: () => void;
}

export interface BatchResult {
  /** An outcome for each record, in order. The list ends with a record that halts, or before one that has no room. */
  readonly outcomes: readonly Outcome[];
  /** In the order of their records. */
  readonly outputs: readonly OutRecord[];
  /** Changes to emit at the checkpoint, in order. */
  readonly deferred: readonly DeferredChange[];
  /** Keys of which records were queued. */
  readonly queued: readonly StepKey[];
}

export interface StepKey {
  readonly step: CallStep;
  readonly key: Buffer;
}

/** An item that does not come from a source. */
type Entering = Pick<Item, "at" | "entry" | "value" | "prepared"> & {
  readonly key?: StateKey | null;
};

/** A reason to run the pass again: the record at `index` cannot stay in it, or not as it is. */
interface Again {
  readonly index: number;
  readonly why: Outcome | NoRoom | TooLargeToQueue;
}

/** Runs a batch through a part where records queue; one outcome a record, up to the first that halts. */
export async function runBatch(program: Program, batch: Batch): Promise<BatchResult> {
  const { records, stores, book } = batch;
  const leftOut = new Map<number, Outcome>();
  let end = records.length;
  for (;;) {
    const pass = new Pass(program, batch, leftOut, end);
    const again = await pass.run();
    if (again === null) return pass.finish();
    stores.rollback(0);
    const { index, why } = again;
    // Records behind it may have failed for what it did, so they are tried again.
    for (const other of leftOut.keys()) if (other > index) leftOut.delete(other);
    if (why instanceof TooLargeToQueue)
      book.inPlace.add((records[index] as TimedRecord).record.raw);
    else if (why instanceof NoRoom) end = index;
    else leftOut.set(index, why);
  }
}

const ofRoom = (error: unknown): NoRoom | TooLargeToQueue | null =>
  error instanceof NoRoom || error instanceof TooLargeToQueue ? error : null;

class Pass implements GroupQueues {
  readonly items: Item[][];
  readonly deferred: DeferredChange[] = [];
  readonly keys: Map<string, { readonly at: number; readonly key: Buffer }> = new Map();
  readonly #program: Program;
  readonly #batch: Batch;
  /** Records from here on are discarded: a record halts there, or has no room. */
  readonly #end: number;
  readonly #failed: Map<number, Outcome>;
  readonly #trails: Trail[] = [];
  readonly #stage: Stage = { outputs: [], rows: [], index: 0 };
  /** Outputs of one record from one piece of its way: their places in the stage. */
  readonly #made: { readonly index: number; readonly from: number; readonly to: number }[] = [];

  constructor(program: Program, batch: Batch, leftOut: ReadonlyMap<number, Outcome>, end: number) {
    this.#program = program;
    this.#batch = batch;
    this.items = program.groups.map(() => []);
    this.#failed = new Map(leftOut);
    const halted = [...leftOut].find(([, outcome]) => outcome.kind === "halted");
    this.#end = Math.min(end, halted?.[0] ?? Infinity);
  }

  /** Null when every record that is not left out has passed. */
  async run(): Promise<Again | null> {
    this.#batch.begin?.();
    const enter = (timed: TimedRecord): void => this.#enter(timed);
    this.#program.cursor.begin();
    for (let index = 0; index < this.#end; index++) {
      const timed = this.#batch.records[index] as TimedRecord;
      const { raw, originMs } = timed.record;
      const origin = { time: originMs, partition: raw.partition, offset: raw.offset, index: 0 };
      const trail = newTrail(index, origin);
      this.#trails.push(trail);
      const again = this.#piece(timed.record, trail, enter, timed);
      if (again !== null) return again;
    }
    for (const [group, items] of this.items.entries()) {
      const again = items.length === 0 ? null : await this.#runGroup(group);
      if (again !== null) return again;
    }
    return null;
  }

  #enter({ record, released, due }: TimedRecord): void {
    if (released !== undefined)
      return this.#queue({ ...released, entry: "answer", prepared: released.answer }, record);
    if (due !== undefined)
      return this.#queue({ ...due, entry: "due", value: undefined, prepared: undefined }, record);
    this.#program.entry(record.raw.topic)(record.value);
  }

  /** It enters at an operator, behind its source. */
  #queue({ at, entry, value, prepared, key = null }: Entering, record: DecodedRecord): void {
    const { groups, cursor } = this.#program;
    const { trail } = cursor;
    const origin = trail.origin as RecordOrigin;
    const group = groups.findIndex((places) => places.includes(at));
    const own = { at, entry, input: 0, record, trail, origin, watermark: -Infinity };
    this.items[group]?.push({ ...own, value, key, prepared });
  }

  async #runGroup(group: number): Promise<Again | null> {
    const { groups, operators, cursor } = this.#program;
    // Several streams may lead to a group, each in order.
    const items = (this.items[group] as Item[]).sort((a, b) => a.trail.index - b.trail.index);
    const { stores } = this.#batch;
    const wanted = new Map<string, Map<string, StateKey>>();
    const want = (store: string, key: StateKey): void => {
      const keys = wanted.get(store);
      if (keys === undefined) wanted.set(store, new Map([[key.id, key]]));
      else keys.set(key.id, key);
    };
    const ask = (item: Item): void => {
      if (item.entry !== "due") (operators[item.at] as Operator).keys(item, want);
    };
    const work = (item: Item): void => {
      const operator = operators[item.at] as Operator;
      if (operator.usesTime === true) item.watermark = this.#watermarkOf(item);
      if (item.entry === "due") operator.due?.(item, stores);
      else operator.work(item, stores);
    };
    for (const piece of [ask, work]) {
      cursor.begin();
      for (const item of items) {
        cursor.step = item.at;
        const again = this.#piece(item.record, item.trail, piece, item);
        if (again !== null) return again;
      }
      if (piece === work) break;
      for (const [store, keys] of wanted) await stores.load(store, keys);
      for (const at of groups[group] as number[])
        await this.#prepare(operators[at] as Operator, items);
    }
    return null;
  }

  #watermarkOf({ at, trail }: Item): number {
    const { records } = this.#batch;
    return this.#batch.watermarkOf(at, (records[trail.index] as TimedRecord).watermark);
  }

  async #prepare(operator: Operator, items: readonly Item[]): Promise<void> {
    if (operator.prepare === undefined) return;
    const own = items.filter(
      ({ at, entry, trail }) =>
        at === operator.at && entry !== "due" && !this.#failed.has(trail.index),
    );
    await operator.prepare(own, this.#batch);
  }

  /** Runs one piece of one record's way; between two pieces other batches may use the closures. */
  #piece<T>(record: DecodedRecord, trail: Trail, piece: (of: T) => void, of: T): Again | null {
    const { index } = trail;
    if (this.#failed.has(index)) return null;
    const { cursor, refusals } = this.#program;
    const { stores } = this.#batch;
    // Fields are set singly: this is done for each record and step, and an object for it would be garbage.
    cursor.record = record;
    cursor.trail = trail;
    cursor.stage = this.#stage;
    cursor.queues = this;
    const from = this.#stage.outputs.length;
    const mark = stores.mark();
    const deferred = this.deferred.length;
    try {
      piece(of);
      cursor.passed();
      if (refusals.size > 0) this.#checkEffect(record, mark, deferred);
      trail.hasChanged ||= stores.mark() !== mark;
    } catch (error) {
      cursor.passed();
      const why = ofRoom(error) ?? this.#program.failed(error);
      if (trail.hasChanged || why instanceof Error || why.kind === "halted") return { index, why };
      this.#stage.outputs.length = from;
      this.deferred.length = deferred;
      stores.rollback(mark);
      this.#failed.set(index, why);
      return null;
    }
    const to = this.#stage.outputs.length;
    if (to > from) this.#made.push({ index, from, to });
    return null;
  }

  /** A broker may have refused what the record changes. */
  #checkEffect({ raw }: DecodedRecord, mark: number, deferred: number): void {
    if (this.#batch.stores.mark() !== mark || this.deferred.length !== deferred)
      this.#program.refusals.checkEffect(raw);
  }

  finish(): BatchResult {
    const { operators } = this.#program;
    const outcomes = this.#trails.map(
      (trail, index) =>
        this.#failed.get(index) ??
        this.#program.outcomeOf(trail, (this.#batch.records[index] as TimedRecord).record),
    );
    const halted = this.#failed.get(this.#end);
    if (halted?.kind === "halted") outcomes.push(halted);
    const queued = [...this.keys.values()].map(({ at, key }): StepKey => {
      return { step: operators[at] as CallStep, key };
    });
    return { outcomes, outputs: this.#outputs(), deferred: this.deferred, queued };
  }

  #outputs(): OutRecord[] {
    const { outputs } = this.#stage;
    // Stable: outputs of one record stay in the order of its groups.
    const made = this.#made
      .filter(({ index }) => !this.#failed.has(index))
      .sort((a, b) => a.index - b.index);
    return made.flatMap(({ from, to }) => outputs.slice(from, to));
  }
}
