// The common part of all aggregates by windows: when a window is late for a record, how it takes one, and what it emits.
import { checkRoom, type KeyBound } from "../bounds/bound.ts";
import type { Operation, PlanNode, PlanStore } from "../../core/plan.ts";
import { foldingAtOnce, FoldAtClose, type FoldFunctions, type WindowFold } from "../kept/fold.ts";
import {
  drop,
  stateKey,
  timed,
  type Item,
  type Lateness,
  type Next,
  type Views,
  type Want,
  type Wiring,
} from "../operator.ts";
import type { StateKey } from "../../core/state.ts";
import { keyOfResult, resultRecord } from "./result-record.ts";

export interface WindowOperation extends Operation, FoldFunctions {
  readonly store: PlanStore;
  /** Of the records of windows that are folded when they close; left out where they are folded as they come. */
  readonly recordStore?: PlanStore;
  /** The changes that are emitted: each, the last of a checkpoint, or the last of all. */
  readonly emission: "update" | "checkpoint" | "close";
  /** Of the windows that a key may have open; left out where nothing is said. */
  readonly bound?: KeyBound;
}

/** An aggregate with its window. */
export interface WindowResult<K, A> {
  readonly aggregate: A;
  readonly key: K;
  readonly startMs: number;
  readonly endMs: number;
}

/** The content of a window that is emitted; an aggregate that is null withdraws it. */
type WindowContent = Pick<WindowResult<never, unknown>, "aggregate" | "startMs" | "endMs">;

/**
 * A window that is open for the last time at `lastMs` is late for a record, and why; null: it takes it. At its close it is late
 * already (W3). `isClosed`: it was closed, perhaps by a shorter grace.
 */
export function latenessOf(
  { record, watermark }: Item,
  lastMs: number,
  isClosed = false,
): Lateness | null {
  // mistake: late after the close
  if (record.originMs > lastMs) return "own";
  // mistake: closed window reopened
  return watermark > lastMs || isClosed ? "closed" : null;
}

/** The state key of the largest end: that of no window, and of no record but one that somebody has made for it. */
const PLACE: StateKey = stateKey(Buffer.from("\0millrace\0closed\0e1c4f0a7b2d95386", "latin1"));

/**
 * The largest end of the windows that an operator has closed, kept in its store: they stay closed, also under a plan with a
 * longer grace, which would still take records for them (O4).
 */
export class ClosedEnds {
  readonly #store: string;

  constructor(store: string) {
    this.#store = store;
  }

  /** Asked for before `endMs` and `close`. */
  want(want: Want): void {
    want(this.#store, PLACE);
  }

  /** -Infinity before the first one. */
  endMs(views: Views): number {
    return views.view(this.#store).get(PLACE)?.timestamp ?? -Infinity;
  }

  /** A window that ends then is closed. An entry without a value has a time, in whatever form the store's values are. */
  close(views: Views, endMs: number): void {
    // mistake: closed end forgotten
    if (endMs > this.endMs(views))
      views.view(this.#store).set(PLACE, { value: null, timestamp: endMs, dueMs: null });
  }
}

/** The work that does not depend on the kind of the windows. */
export class WindowWork {
  /** Whether windows are emitted that may change yet. */
  readonly emitsChanges: boolean;
  readonly fold: WindowFold;
  readonly #node: PlanNode & { readonly operation: WindowOperation };
  readonly #wiring: Wiring;
  readonly #results: Next;
  readonly #late: Next;

  /** The arms behind such a node are its results, and what is late. */
  constructor(node: PlanNode & { readonly operation: WindowOperation }, wiring: Wiring) {
    const [results, late] = wiring.arms;
    const { emission, recordStore } = node.operation;
    this.emitsChanges = emission !== "close";
    this.fold =
      recordStore === undefined
        ? foldingAtOnce(node.operation)
        : new FoldAtClose(node.operation, recordStore, wiring.options);
    this.#node = node;
    this.#wiring = wiring;
    this.#results = results ?? (() => undefined);
    this.#late = late ?? (() => undefined);
  }

  /** The stores of the operator: that of its windows, and those beside it. */
  storesWith(...others: readonly (string | undefined)[]): readonly string[] {
    const all = [this.#node.operation.store.name, ...others, this.fold.store ?? undefined];
    return all.filter((name) => name !== undefined);
  }

  /** Emits a window that may change yet, unless only closed ones are. Of those with one `id` a checkpoint emits the last. */
  changed({ record, trail }: Item, content: WindowContent, of: ChangedWindow): void {
    if (this.emitsChanges) this.#emit({ record, trail }, content, of);
  }

  /** Emits a window that its newest record has closed; where changes are emitted, that one was. */
  filled(item: Item, content: WindowContent, timestamp: number): void {
    if (!this.emitsChanges) this.#emit(item, content, { id: "", timestamp });
  }

  #emit(
    { record, trail }: Pick<Item, "record" | "trail">,
    content: WindowContent,
    of: ChangedWindow,
  ): void {
    const { at, cursor } = this.#wiring;
    const value = this.#resultOf(content, record.context.key);
    cursor.record = timed(cursor, of.timestamp);
    if (this.#node.operation.emission !== "checkpoint") this.#results(value);
    else cursor.queues?.deferred.push({ at, key: of.id, trail, record: cursor.record, value });
    cursor.record = record;
    cursor.step = at;
  }

  /** Emits a window that is closed, at the last ms that lies in it. */
  closed(key: Buffer, content: WindowContent, lastMs: number, views: Views): void {
    if (this.emitsChanges) return;
    const { cursor, count } = this.#wiring;
    const keyValue = keyOfResult(this.#wiring, this.#node, key);
    const aggregate = this.fold.result(content.aggregate, key, views);
    if (aggregate === undefined) return;
    // mistake: result with an age
    cursor.record = resultRecord(cursor.record, { key, keyValue }, lastMs);
    count.passed++;
    const { startMs, endMs } = content;
    this.#results({ aggregate, key: keyValue, startMs, endMs });
  }

  /** Whether so many windows are more than a key may have open. */
  isOver(windows: number): boolean {
    return windows > (this.#node.operation.bound?.most ?? Infinity);
  }

  /** A record would open one window too many: throws, unless the oldest makes room. */
  checkRoom(): void {
    const { name, operation } = this.#node;
    if (operation.bound !== undefined) checkRoom(operation.bound, name, "windows are open");
  }

  /** Emits a window that goes ahead of its time, to make room for the record in hand. */
  evicted({ record }: Item, content: WindowContent, lastMs: number, views: Views): void {
    const { at, cursor } = this.#wiring;
    // mistake: evicted window not counted
    cursor.queues?.evicted.push(at);
    const { raw, context } = record;
    const place = { topic: this.#node.operation.store.name, offset: -1n, headers: [] };
    cursor.record = {
      ...record,
      raw: { ...raw, headers: [] },
      context: { ...context, ...place },
    };
    this.closed(raw.key as Buffer, content, lastMs, views);
    cursor.record = record;
    cursor.step = at;
  }

  /** Ends the work of a record. */
  end({ trail, value }: Item, lateness: Lateness | null): void {
    if (lateness === null) return void this.#wiring.count.passed++;
    trail.late = lateness;
    drop(this.#wiring);
    this.#late(value);
  }

  #resultOf(
    { aggregate, startMs, endMs }: WindowContent,
    key: unknown,
  ): WindowResult<unknown, unknown> {
    const result = aggregate === null ? null : this.#node.operation.finish(aggregate);
    return { aggregate: result, key, startMs, endMs };
  }
}

/** A result that has come back, with the key that nobody could read when its letter was made. */
export function withKey(
  { operation }: Pick<PlanNode, "operation">,
  result: unknown,
  key: unknown,
): unknown {
  const isOfWindow = "emission" in operation && typeof result === "object" && result !== null;
  return isOfWindow && !("key" in result) ? { ...result, key } : result;
}

interface ChangedWindow {
  readonly id: string;
  /** The newest record in it. */
  readonly timestamp: number;
}

/** A part of what a store has for a key: two times, and an aggregate. */
export type TimedAggregate = readonly [fromMs: number, toMs: number, value: unknown];

/** The fault of a stored list of such, or null. `wrongValue` says that of an aggregate. */
export function wrongTimed(
  stored: unknown,
  wrongValue: (value: unknown) => string | null,
): string | null {
  if (!Array.isArray(stored) || stored.length === 0) return "it is no list";
  for (const one of stored as readonly unknown[]) {
    const [fromMs, toMs, value] = Array.isArray(one) ? (one as unknown[]) : [];
    if (!Number.isFinite(fromMs) || !Number.isFinite(toMs)) return "it lacks a time";
    const wrong = wrongValue(value);
    if (wrong !== null) return wrong;
  }
  return null;
}
