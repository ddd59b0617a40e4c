// The contract of operators. An operator without state is a closure: value in, followers called. With state or calls it
// is an `Operator`, in front of which records queue until its state and answers are there; operators that share a store
// are a group, whose queue is worked in the order of the records (pass.ts). `undefined` is a tombstone: it passes
// operators that keep the key, reaches no callback, and is dropped where a key would change.
import { Mistake, settled } from "../core/errors.ts";
import type { StepWatch } from "../core/loop-memory.ts";
import type { DecodedRecord, Stage } from "../core/outcome.ts";
import type { Operation, PlanNode, PlanOptions } from "../core/plan.ts";
import type { RawRecord, RecordContext } from "../core/record.ts";
import {
  DELETED_KEPT_MS,
  type StateEntry,
  type StateKey,
  type StoreView,
  type TaskStores,
} from "../core/state.ts";
import type { CallBook } from "./calls/book.ts";
import type { CallOperation, TaskCalls } from "./calls/call.ts";
import type { Keeping } from "./calls/key-queue.ts";
import type { GivenUpForm } from "./kept/given-up.ts";
import type { OriginOf } from "./process/origin.ts";

export interface Operator {
  /** Its node. */
  readonly at: number;
  /** By their names in the plan. */
  readonly stores: readonly string[];
  /** Those whose entries become due by event time, of equal dues the first one first; left out: all. */
  readonly dueStores?: readonly string[];
  /** Those whose entries become due by the wall clock; left out: none. */
  readonly wallStores?: readonly string[];
  /** It asks for the watermark in front of it. */
  readonly usesTime?: true;
  /** Sees an item before anything is read for it: entries are compared with the structures of what this code makes. */
  meets?(item: Item): void;
  /** Asked before work, so that the keys of a batch are read at once. */
  keys(item: Item, want: Want): void;
  /** Asked when those are in memory, until no new one is named. */
  moreKeys?(item: Item, views: Views, want: Want): void;
  /** The wait of operators that call. */
  prepare?(items: readonly Item[], batch: Prepared): Promise<void>;
  /** Reads and changes the keys of one item, and calls followers. */
  work(item: Item, views: Views): void;
  /** Asks for the keys that the work of an entry needs beside it, up to this watermark. The entry is in memory. */
  dueKeys?(key: StateKey, want: Want, by: DueLook): void;
  /** Asks for more once those are in memory. */
  moreDueKeys?(key: StateKey, want: Want, by: DueLook): void;
  /**
   * Works an entry of one of its stores that is due, and calls followers. It deletes the entry or gives it another
   * due.
   */
  due?(item: Item, views: Views): void;
  /**
   * The bytes of the records' key of an entry, which `due` decodes: its writer's schema is learnt before. Null, or left out: it
   * decodes none.
   */
  recordKeyOf?(key: StateKey, store: string): Buffer | null;
  /** The form of what `giveUpDue` leaves to be worked again; left out where that is nothing. */
  readonly givenUp?: GivenUpForm | undefined;
  /** An entry that was worked is not due again before so many ms more; left out: nobody knows. */
  readonly dueAgainMs?: number;
  /**
   * Does to the store what `due` does, where `due` itself fails: no result can be made. Left out where no callback of the user
   * has a part in it. Returns what was to be worked now, for its letter: records that have waited, or timers and records without a
   * partner; of other entries nothing. Null: something would be lost, so the task stops in front of it.
   */
  giveUpDue?(item: Item, views: Views): readonly KeptResult[] | null;
}

/** The look at an entry that is due: at the place of its store among those of the operator. */
export interface DueLook {
  readonly views: Views;
  readonly watermark: number;
  readonly input: number;
}

/** Asks for a key of a store. */
export type Want = (store: string, key: StateKey) => void;
export type Views = Pick<TaskStores, "view">;

/** The means that a batch gives to `prepare`. */
export interface Prepared {
  readonly stores: TaskStores;
  readonly calls: TaskCalls;
  /** The results of calls for these records so far. */
  readonly book: CallBook;
}

export type Next = (value: unknown) => void;

/** Makes a node work. Every operator names its own (`facts.work`). */
export type MakeOperator<Kind extends Operation = Operation> = (
  node: PlanNode & { readonly operation: Kind },
  wiring: Wiring,
) => Next | Operator;

export interface Wiring {
  /** The place of the node in its part. */
  readonly at: number;
  readonly cursor: Cursor;
  readonly count: OperatorCounts;
  readonly next: Next;
  /** Followers one by one: the arms of a branch. */
  readonly arms: readonly Next[];
  readonly options: CompileOptions;
}

export interface OperatorCounts {
  readonly operator: string;
  passed: number;
  dropped: number;
  failed: number;
}

/** Writes a value (undefined: a tombstone) of the record in hand to a topic or a table; false if it changes nothing. */
export type Emit = (value: unknown, cursor: Cursor) => boolean;

export interface CompileOptions {
  readonly onError: PlanOptions["onError"];
  /** The emitter of a node that writes; the runtime encodes and partitions. */
  emitterOf(node: PlanNode): Emit;
  /** The form in which a step keeps records whose key waits. */
  keepingOf(operation: Pick<CallOperation, "store" | "isCarried">): Keeping;
  /** Notes the structure of a value that a store may come to keep; left out where nobody compares them. */
  noteShape?(under: string, value: unknown): void;
  /** Writers of the values that a join keeps, by its inputs; left out where nothing joins. */
  bufferEncodersOf?(node: PlanNode): readonly ((value: unknown, cursor: Cursor) => Buffer)[];
  /** Decodes the key of the records in front of a node. */
  keyOf(node: PlanNode, key: Buffer): unknown;
  /** The origins of records; left out where nobody asks. */
  readonly originOf?: OriginOf;
  /** Called for a rule with `otherwise: "log"` that is broken. */
  onBroken(rule: string): void;
  /** Changes of state that a broker has refused. */
  readonly refusals?: RefusedEffects;
  /** Left out where nobody watches. */
  readonly watch?: StepWatch;
}

/** Records whose changes of state cannot be written. */
export interface RefusedEffects {
  /** 0 where nothing needs to be asked. */
  readonly size: number;
  /** Throws when the record is one. */
  checkEffect(raw: RawRecord): void;
}

// The memory of the hot path: one cursor a program, which all of its tasks share and which is reused from record to record,
// and one trail a record. An object for each record and operator would be garbage, and garbage is what costs here.

/** The source record that something was made of, through any number of topics between parts. */
export interface RecordOrigin {
  /** Its origin time (`DecodedRecord.originMs`). */
  readonly time: number;
  readonly partition: number;
  readonly offset: bigint;
  /** Its place among what was made of that record. */
  readonly index: number;
  /** Set for what an entry that was due has made: its operator, and its key there. */
  readonly due?: { readonly at: number; readonly key: StateKey };
}

/**
 * The reason why a record is late. own: its origin time is beyond what the operator waits for, in every run · closed: its
 * operator's watermark is, by idleness, a new partition or a letter that came back · evicted: what it belongs to was let go
 * ahead of its time, to stay within a bound.
 */
export type Lateness = "own" | "closed" | "evicted";

/** The effects of one record so far. */
export interface Trail {
  /** Its place in the batch; of what was due, the place of the record that it fires before. */
  readonly index: number;
  /** The order of work in a batch: of record i 2i + 1, of what is due before it 2i. */
  readonly order: number;
  /** Null where records go through one by one. */
  readonly origin: RecordOrigin | null;
  /** Outputs, rows and changes of state. */
  emitted: number;
  /** The number of records sent to other parts that carry its origin. */
  sent: number;
  /** The node that dropped it last. */
  last: number;
  nullKey: boolean;
  isRepeat: boolean;
  /** An operator has taken it for late. */
  late: Lateness | null;
  /** It waits in state for a call. */
  isQueued: boolean;
  /** It has changed state in an earlier group: what fails now must be run again without it. */
  hasChanged: boolean;
}

export const newTrail = (index: number, origin: RecordOrigin | null, order: number): Trail => ({
  index,
  order,
  origin,
  emitted: 0,
  sent: 0,
  last: 0,
  nullKey: false,
  isRepeat: false,
  late: null,
  isQueued: false,
  hasChanged: false,
});

/** Why it came to nothing, where that is for being late; null else. */
export const lateOf = ({ isQueued, emitted, late }: Trail): Lateness | null =>
  isQueued || emitted > 0 ? null : late;

/** The order of a record; what is due before it comes one sooner. */
export const orderOf = (index: number): number => 2 * index + 1;
/** Whether it belongs to an entry that was due, and to no record. */
export const isOfDue = ({ order }: Trail): boolean => order % 2 === 0;

/** A record in the queue of a group. Its time is that of its record. */
export interface Item {
  /** The node that it waits for. */
  readonly at: number;
  /**
   * "record": as it came · "returned": it had waited at the operator, and its letter comes back · "answer": its key was queued,
   * and the call for it has ended · "due": no record, but a key of the operator's store · "given-up": the value is what the
   * operator has given up, and its letter comes back.
   */
  readonly entry: "record" | "returned" | "answer" | "due" | "given-up";
  /** By which of the node's inputs it came; of what is due, the place of its store among those of the operator. */
  readonly input: number;
  readonly record: DecodedRecord;
  readonly trail: Trail;
  readonly origin: RecordOrigin;
  /** The watermark in front of the operator when it is worked (W1); set before `work` where the operator asks for time. */
  watermark: number;
  readonly value: unknown;
  /** Set by `keys`. */
  key: StateKey | null;
  /** Set by `prepare`, or the answer that it came with. */
  prepared: unknown;
}

/** A change that is emitted at the checkpoint. */
export interface DeferredChange {
  readonly at: number;
  readonly key: string;
  readonly trail: Trail;
  readonly record: DecodedRecord;
  readonly value: unknown;
}

/** Work that operators leave to the pass of a batch. */
export interface GroupQueues {
  /** By group. */
  readonly items: readonly Item[][];
  readonly deferred: DeferredChange[];
  /** The operators that have let something go ahead of its time, once for each. */
  readonly evicted: number[];
  /** Keys that were queued for a call. */
  readonly keys: Map<string, { readonly at: number; readonly key: Buffer }>;
}

/** The one record that is on its way through a program. */
export interface Cursor {
  record: DecodedRecord;
  stage: Stage;
  /** The node at work: names the step when a callback throws. */
  step: number;
  trail: Trail;
  /** Null in a part where nothing queues. */
  queues: GroupQueues | null;
  /** Set while an entry that was due is worked whose results go no further: they are put here. */
  kept: KeptResult[] | null;
}

/** Results of an operator, as a letter of them brings them back. */
export interface ReturnedResults {
  readonly at: number;
  readonly values: readonly unknown[];
}

/** Records that have waited at an operator, as a letter of them brings them back. */
export interface ReturnedRecords {
  readonly at: number;
  readonly records: readonly DecodedRecord[];
}

/** A result that goes no further, with the record in which it would have gone on. */
export interface KeptResult {
  readonly value: unknown;
  readonly record: DecodedRecord;
  /** Set of a record that was not worked: the store in which it has waited. */
  readonly waitedIn?: string;
  /** No result, but an entry in the form of its operator (`Operator.givenUp`). */
  readonly isGivenUp?: true;
  /** Its place in its letter, where one entry may have several letters; left out: that of the entry. */
  readonly place?: string;
}

/** Behind an operator whose entries become due, results that failed once are kept, and go no further. */
export const armsOf = (
  { facts, operation }: Pick<PlanNode, "facts" | "operation">,
  arms: readonly Next[],
  cursor: Cursor,
): readonly Next[] =>
  facts.closes !== true && operation.stores === undefined
    ? arms
    : arms.map((next): Next => (value) => {
        if (cursor.kept === null) next(value);
        else cursor.kept.push({ value, record: cursor.record });
      });

export const contextOf = (cursor: Cursor): RecordContext => cursor.record.context;

/** The record with another time, which its origin time is never behind. */
export function timed({ record }: Cursor, timestamp: number): DecodedRecord {
  if (timestamp === record.context.timestamp) return record;
  const originMs = Math.max(record.originMs, timestamp);
  return { ...record, originMs, context: { ...record.context, timestamp } };
}

/** The work of operators that do nothing to a value: sources, streams that meet, arms of a branch. */
export const passing: MakeOperator =
  (_node, { count, next }) =>
  (value) => {
    count.passed++;
    next(value);
  };

export function drop({ cursor, count, at }: Wiring): void {
  count.dropped++;
  cursor.trail.last = at;
}

/** Absent is null, never undefined: an undefined result is a mistake in the callback, and so is a promise. */
export function present(result: unknown): unknown {
  if (result === undefined) throw new Mistake("it returned undefined; absent is null");
  return settled(result);
}

/** Calls followers with each result; returns how many there were. */
export function passEach(results: Iterable<unknown>, { cursor, next, at }: Wiring): number {
  let made = 0;
  for (const result of settled(results)) {
    made++;
    next(present(result));
    cursor.step = at;
  }
  return made;
}

// Operators with state: the key of a record's state, and the newest time that a key has had.

export const stateKey = (bytes: Buffer): StateKey => ({ id: bytes.toString("latin1"), bytes });

/** The key of a window or a bucket. Most of such keys are in memory, so its bytes are made when they are asked for. */
export class MadeKey implements StateKey {
  readonly id: string;
  readonly startMs: number;

  constructor(id: string, startMs: number) {
    this.id = id;
    this.startMs = startMs;
  }

  get bytes(): Buffer {
    return Buffer.from(this.id, "latin1");
  }
}

/** The state key of a record is its own key. A tombstone has one only if the operator takes tombstones. */
export const ownKeys =
  (store: string, takesTombstones: boolean): Operator["keys"] =>
  (item, want) => {
    const { key } = item.record.raw;
    if (key === null || (item.value === undefined && !takesTombstones)) return;
    item.key = stateKey(key);
    want(store, item.key);
  };

/** Drops a record without a key, and a tombstone that the operator does not take. */
export function dropUnkeyed({ value, trail }: Item, takesTombstones: boolean, own: Wiring): void {
  if (value !== undefined || takesTombstones) trail.nullKey = true;
  drop(own);
}

/** The entry of a key that has none. */
export const NEVER: StateEntry = { value: null, timestamp: -Infinity, dueMs: null };

/** The entry of a key whose value stays until it is changed; of one that is deleted (null) the time stays for a while. */
export const lastingEntry = (value: unknown, timestamp: number): StateEntry => ({
  value,
  timestamp,
  dueMs: value === null ? timestamp + DELETED_KEPT_MS : null,
});

/** An entry that is due is deleted. */
export const forgetting =
  (store: string): NonNullable<Operator["due"]> =>
  ({ key }, views) =>
    views.view(store).set(key as StateKey, null);

/**
 * A key's value, null for none, and the highest time it has had. That of a deleted key is forgotten after a while, by
 * stream time, so that whether the store has forgotten it already makes no difference.
 */
export function storedOf(view: StoreView, key: StateKey, now: number): StateEntry {
  const entry = view.get(key);
  if (entry === null) return NEVER;
  // mistake: deleted time forgotten
  const isOver = entry.value === null && entry.timestamp < now - DELETED_KEPT_MS;
  return isOver ? NEVER : entry;
}
