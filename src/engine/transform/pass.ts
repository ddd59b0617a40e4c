// A batch through a part where records queue. Records go through the steps in front of the first group one by one, and
// queue; then all the group's keys are read at once, then its queue is worked in the order of the records, and so for each
// group. The result is as if records went one after the other: outputs are in the order of their records, and a record
// that fails leaves no trace, not in state either (if later ones saw its changes, the batch runs again without it). Before a
// record, its group works what has become due (agenda.ts).
import type { DecodedRecord, Outcome, Stage } from "../core/outcome.ts";
import type { OutRecord } from "../core/record.ts";
import type { DueStateKey, StateKey } from "../core/state.ts";
import { cannotGiveUp } from "./failures.ts";
import { CUT, GroupRun, type Again, type PassOfGroup } from "./group.ts";
import { NoRoom, ofRoom, TooLargeToQueue } from "./calls/key-queue.ts";
import type { CallStep } from "./calls/map-async.ts";
import {
  type GroupQueues,
  type DeferredChange,
  isOfDue,
  type Item,
  type KeptResult,
  lateOf,
  type Lateness,
  newTrail,
  type Operator,
  orderOf,
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
  readonly due?: { readonly at: number; readonly input: number; readonly key: DueStateKey };
}

export interface Batch extends Prepared {
  readonly records: readonly TimedRecord[];
  /** The watermark in front of an operator, where that of the records' input is this one. */
  watermarkOf(at: number, watermark: number): number;
  /** Changes state before each pass. */
  readonly begin?: () => void;
  /** Set where entries fire as the records move time: the watermark of their input in front of the first one. */
  readonly watermarkBefore?: number;
}

export interface BatchResult {
  /** An outcome for each record, in order. The list ends with a record that halts, or before one that has no room. */
  readonly outcomes: readonly Outcome[];
  /** In the order of their records. */
  readonly outputs: readonly OutRecord[];
  /** Changes to emit at the checkpoint, in order. */
  readonly deferred: readonly DeferredChange[];
  /** Operators that have let something go ahead of its time, once for each. */
  readonly evicted: readonly number[];
  /** Keys of which records were queued. */
  readonly queued: readonly StepKey[];
  /** Entries that were due, and were worked among the records. */
  readonly fired: number;
  /** By the place of an operator that asks for time: records that were behind the watermark in front of it (W4). */
  readonly behind: ReadonlyMap<number, number>;
  /** Why results of entries that were due, whoever worked them, came to nothing: they were late for an operator behind. */
  readonly lateResults: readonly Lateness[];
  /** By index: the results of entries that were due and have failed, which went no further; their store has gone on. */
  readonly kept: ReadonlyMap<number, readonly KeptResult[]>;
  /** Nothing was worked, since what is due before the first record is too much for a batch, or fails: it goes first. */
  readonly isDueFirst: boolean;
}

export interface StepKey {
  readonly step: CallStep;
  readonly key: Buffer;
}

/** An item that does not come from a source. */
type Entering = Pick<Item, "at" | "entry" | "value" | "prepared"> & {
  readonly key?: StateKey | null;
  readonly input?: number;
};

/** Runs a batch through a part where records queue; one outcome a record, up to the first that halts. */
export async function runBatch(program: Program, batch: Batch): Promise<BatchResult> {
  const { records, stores, book } = batch;
  const leftOut = new Map<number, Outcome>();
  let end = records.length;
  let isDueFirst = false;
  for (;;) {
    const pass = new Pass(program, batch, leftOut, end);
    const again = await pass.run();
    if (again === null) return { ...pass.finish(), isDueFirst };
    stores.rollback(0);
    const { index, why } = again;
    isDueFirst = index === 0 && why === CUT;
    // Records behind it may have failed for what it did, so they are tried again.
    for (const other of leftOut.keys()) if (other > index) leftOut.delete(other);
    if (why instanceof TooLargeToQueue)
      book.inPlace.add((records[index] as TimedRecord).record.raw);
    else if (why instanceof NoRoom || why === CUT) end = index;
    else leftOut.set(index, why);
  }
}

/** How much there was before a piece. */
interface PieceStart {
  readonly from: number;
  readonly mark: number;
  readonly deferred: number;
  readonly evicted: number;
}

class Pass implements GroupQueues, PassOfGroup {
  readonly program: Program;
  readonly batch: Batch;
  readonly items: Item[][];
  readonly deferred: DeferredChange[] = [];
  readonly evicted: number[] = [];
  readonly keys: Map<string, { readonly at: number; readonly key: Buffer }> = new Map();
  /** Records from here on are discarded: a record halts there, or has no room. */
  readonly #end: number;
  readonly #failed: Map<number, Outcome>;
  readonly #trails: Trail[] = [];
  readonly #stage: Stage = { outputs: [], rows: [], index: 0 };
  /** Outputs of one record from one piece of its way: their places in the stage. */
  readonly #made: { readonly trail: Trail; readonly from: number; readonly to: number }[] = [];
  readonly #kept = new Map<number, readonly KeptResult[]>();
  readonly #behind = new Map<number, number>();
  readonly #fired: Trail[] = [];

  constructor(program: Program, batch: Batch, leftOut: ReadonlyMap<number, Outcome>, end: number) {
    this.program = program;
    this.batch = batch;
    this.items = program.groups.map(() => []);
    this.#failed = new Map(leftOut);
    const halted = [...leftOut].find(([, outcome]) => outcome.kind === "halted");
    this.#end = Math.min(end, halted?.[0] ?? Infinity);
  }

  /** Null when every record that is not left out has passed. */
  async run(): Promise<Again | null> {
    this.batch.begin?.();
    const enter = (timed: TimedRecord): void => this.#enter(timed);
    this.program.cursor.begin();
    for (let index = 0; index < this.#end; index++) {
      const timed = this.batch.records[index] as TimedRecord;
      const { raw, originMs } = timed.record;
      const { partition, offset } = raw;
      const place = { time: originMs, partition, offset, index: 0 };
      const origin = timed.due === undefined ? place : { ...place, due: timed.due };
      const trail = newTrail(index, origin, orderOf(index));
      this.#trails.push(trail);
      // What is due enters even where it is known to fail: its store goes on.
      const again = timed.due === undefined ? this.piece(timed.record, trail, enter, timed) : null;
      if (timed.due !== undefined) this.#enterDue(timed, timed.due, trail);
      if (again !== null) return again;
    }
    for (const group of this.items.keys()) {
      const own = new GroupRun(this, this.program.groups[group] as readonly number[]);
      const again = await own.run(this.items[group] as Item[]);
      own.close(again === null);
      if (again !== null) return again;
      this.#fired.push(...own.fired);
    }
    return null;
  }

  /** Records that have entered. */
  get length(): number {
    return this.#trails.length;
  }

  #enter({ record, released }: TimedRecord): void {
    if (released === undefined) return this.program.entry(record.raw.topic)(record.value);
    const { trail } = this.program.cursor;
    this.#queue({ ...released, entry: "answer", prepared: released.answer }, record, trail);
  }

  #enterDue({ record }: TimedRecord, due: NonNullable<TimedRecord["due"]>, trail: Trail): void {
    this.#queue({ ...due, entry: "due", value: undefined, prepared: undefined }, record, trail);
  }

  /** It enters at an operator, behind its source. */
  #queue(
    { at, entry, value, prepared, key = null, input = 0 }: Entering,
    record: DecodedRecord,
    trail: Trail,
  ): void {
    const { groups } = this.program;
    const origin = trail.origin as RecordOrigin;
    const group = groups.findIndex((places) => places.includes(at));
    const own = { at, entry, input, record, trail, origin, watermark: -Infinity };
    this.items[group]?.push({ ...own, value, key, prepared });
  }

  /** Runs one piece of one record's way; between two pieces other batches may use the closures. */
  piece<T>(record: DecodedRecord, trail: Trail, piece: (of: T) => void, of: T): Again | null {
    if (this.hasFailed(trail)) return null;
    const { cursor, refusals } = this.program;
    const { stores } = this.batch;
    // Fields are set singly: this is done for each record and step, and an object for it would be garbage.
    cursor.takes(record, trail);
    cursor.stage = this.#stage;
    cursor.queues = this;
    const from = this.#stage.outputs.length;
    const mark = stores.mark();
    const deferred = this.deferred.length;
    const evicted = this.evicted.length;
    try {
      piece(of);
      cursor.passed();
      if (refusals.size > 0) this.#checkEffect(record, mark, deferred);
      trail.hasChanged ||= stores.mark() !== mark;
    } catch (error) {
      cursor.passed();
      return this.#failedPiece(error, trail, { from, mark, deferred, evicted });
    }
    const to = this.#stage.outputs.length;
    if (to > from) this.#made.push({ trail, from, to });
    return null;
  }

  /** A record that has left nothing behind yet is taken out of this pass; else the pass begins again without it. */
  #failedPiece(error: unknown, trail: Trail, start: PieceStart): Again | null {
    const { index } = trail;
    // The task stops where what is due fails by itself, or makes room first.
    if (isOfDue(trail)) return { index, why: CUT };
    const why = ofRoom(error) ?? this.program.failed(error);
    if (trail.hasChanged || why instanceof Error || why.kind === "halted") return { index, why };
    this.#stage.outputs.length = start.from;
    this.deferred.length = start.deferred;
    // mistake: eviction of a failed record counts
    this.evicted.length = start.evicted;
    this.batch.stores.rollback(start.mark);
    this.#failed.set(index, why);
    return null;
  }

  /** Works an entry that was due, and has failed, once more: its store goes on, and its results go into its letter. */
  giveUp(item: Item, operator: Operator): Again | null {
    const { cursor } = this.program;
    const { stores } = this.batch;
    const { index } = item.trail;
    const mark = stores.mark();
    const deferred = this.deferred.length;
    const kept: KeptResult[] = [];
    cursor.takes(item.record, item.trail);
    cursor.kept = kept;
    try {
      operator.due?.(item, stores);
      this.#kept.set(index, kept);
      return null;
    } catch {
      stores.rollback(mark);
      this.deferred.length = deferred;
      const left = operator.giveUpDue?.(item, stores) ?? null;
      if (left === null) return { index, why: cannotGiveUp(this.#failed.get(index)) };
      this.#kept.set(index, left);
      return null;
    } finally {
      cursor.kept = null;
    }
  }

  countBehind(at: number): void {
    this.#behind.set(at, (this.#behind.get(at) ?? 0) + 1);
  }

  hasFailed(trail: Trail): boolean {
    return !isOfDue(trail) && this.#failed.has(trail.index);
  }

  /** A broker may have refused what the record changes. */
  #checkEffect({ raw }: DecodedRecord, mark: number, deferred: number): void {
    if (this.batch.stores.mark() !== mark || this.deferred.length !== deferred)
      this.program.refusals.checkEffect(raw);
  }

  finish(): Omit<BatchResult, "isDueFirst"> {
    const { operators } = this.program;
    const outcomes = this.#trails.map(
      (trail, index) =>
        this.#failed.get(index) ??
        this.program.outcomeOf(trail, (this.batch.records[index] as TimedRecord).record),
    );
    const halted = this.#failed.get(this.#end);
    if (halted?.kind === "halted") outcomes.push(halted);
    const queued = [...this.keys.values()].map(({ at, key }): StepKey => {
      return { step: operators[at] as CallStep, key };
    });
    const made = { outputs: this.#outputs(), deferred: this.deferred, kept: this.#kept };
    const late = { lateResults: this.#lateResults(), behind: this.#behind, evicted: this.evicted };
    return { ...made, ...late, outcomes, queued, fired: this.#fired.length };
  }

  #lateResults(): Lateness[] {
    // Entries that are worked by themselves have a batch without records.
    const hasEntries = this.batch.records[0]?.due !== undefined;
    const alone = hasEntries ? this.#trails.filter((trail) => !this.hasFailed(trail)) : [];
    // mistake: late result in no ledger
    return [...alone, ...this.#fired].flatMap((trail) => lateOf(trail) ?? []);
  }

  #outputs(): OutRecord[] {
    const { outputs } = this.#stage;
    // Stable: outputs of one record stay in the order of its groups.
    const made = this.#made
      .filter(({ trail }) => !this.hasFailed(trail))
      .sort((a, b) => a.trail.order - b.trail.order);
    return made.flatMap(({ from, to }) => outputs.slice(from, to));
  }
}
