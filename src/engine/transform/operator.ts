// The contract of operators. One without state is a closure: value in, followers called. One with state or calls is an
// `Operator`, in front of which records queue until what it needs is there; operators that share a store are a group, whose
// queue is worked in the order of the records (pass.ts). `undefined` is a tombstone: it passes operators that keep the key,
// reaches no callback, and is dropped where a key would change.
import { Mistake, settled } from "../core/mistake.ts";
import type { Operation, PlanNode, PlanOptions } from "../core/plan.ts";
import type { RawRecord } from "../core/record.ts";
import type { StateKey, TaskStores } from "../core/state.ts";
import type { CallBook } from "./calls/book.ts";
import type { CallOperation, TaskCalls } from "./calls/call.ts";
import type { Keeping } from "./calls/parked.ts";
import type { Cursor, Item } from "./cursor.ts";

export interface Operator {
  /** Its node. */
  readonly at: number;
  /** By their names in the plan. */
  readonly stores: readonly string[];
  /** Asked before work, so that the keys of a batch are read at once. */
  keys(item: Item, want: Want): void;
  /** The wait of operators that call. */
  prepare?(items: readonly Item[], batch: Prepared): Promise<void>;
  /** Reads and changes the keys of one item, and calls followers. */
  work(item: Item, views: Views): void;
}

/** Asks for a key of a store. */
export type Want = (store: string, key: StateKey) => void;
export type Views = Pick<TaskStores, "view">;

/** What a batch lends to `prepare`. */
export interface Prepared {
  readonly stores: TaskStores;
  readonly calls: TaskCalls;
  /** What calls for these records have come to so far. */
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
  /** How a node writes: encoding and partitioning are the hallway's. */
  emitterOf(node: PlanNode): Emit;
  /** How a step keeps records whose key waits. */
  keepingOf(operation: CallOperation): Keeping;
  /** Called for a rule with `otherwise: "log"` that does not hold. */
  onBroken(rule: string): void;
  /** Changes of state that a broker has refused. */
  readonly refusals?: RefusedEffects;
}

/** Records whose changes of state cannot be written. */
export interface RefusedEffects {
  /** 0 where nothing needs to be asked. */
  readonly size: number;
  /** Throws when the record is one. */
  checkEffect(raw: RawRecord): void;
}

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
