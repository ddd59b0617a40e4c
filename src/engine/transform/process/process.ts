// process: handlers of records and timers, with typed stores and timers for each key. A timer fires once the clock that it was
// set by has reached its due: by event time among the records, in the order of due and key, and by the wall clock
// between them.
import type { Operation, PlanNode, PlanStore } from "../../core/plan.ts";
import type { StateKey } from "../../core/state.ts";
import {
  contextOf,
  drop,
  dropUnkeyed,
  ownKeys,
  passEach,
  type Item,
  type KeptResult,
  type MakeOperator,
  type Operator,
  type Views,
  type Want,
  type Wiring,
} from "../operator.ts";
import { givenUpTimers, type GivenUpTimer } from "../kept/given-up.ts";
import { resultRecord } from "../windows/result-record.ts";
import { HandlerContext, type DeclaredState, type DeclaredTimer } from "./context.ts";
import { timersEntry, timersOf, type StoredTimer } from "./timers.ts";

export interface Process extends Operation {
  readonly kind: "process";
  readonly stores: readonly PlanStore[];
  readonly states: readonly DeclaredState[];
  readonly timers: readonly DeclaredTimer[];
  readonly onRecord: (value: unknown, context: unknown) => Iterable<unknown>;
  readonly onTimer: Readonly<Record<string, (context: unknown) => Iterable<unknown>>>;
  /** The handler of a tombstone. Without it, tombstones are dropped. */
  readonly onTombstone?: (context: unknown) => Iterable<unknown>;
}

type ProcessNode = PlanNode & { readonly operation: Process };

export const processing: MakeOperator<Process> = (node, wiring) => new ProcessWork(node, wiring);

class ProcessWork implements Operator {
  readonly at: number;
  readonly stores: readonly string[];
  readonly dueStores: readonly string[];
  readonly wallStores: readonly string[];
  readonly usesTime = true;
  readonly givenUp = givenUpTimers;
  readonly #node: ProcessNode;
  readonly #wiring: Wiring;
  readonly #context: HandlerContext;
  readonly #takesTombstones: boolean;

  constructor(node: ProcessNode, wiring: Wiring) {
    const { stores, states, timers, onTombstone } = node.operation;
    const clocked = (clock: DeclaredTimer["clock"]): string[] => [
      ...new Set(timers.flatMap((timer) => (timer.clock === clock ? [timer.store] : []))),
    ];
    this.at = wiring.at;
    this.stores = stores.map(({ name }) => name);
    this.dueStores = clocked("event-time");
    this.wallStores = clocked("wall-clock");
    this.#node = node;
    this.#wiring = wiring;
    this.#context = new HandlerContext(states, timers);
    this.#takesTombstones = onTombstone !== undefined;
  }

  keys(item: Item, want: Want): void {
    for (const store of this.stores) ownKeys(store, this.#takesTombstones)(item, want);
  }

  work(item: Item, views: Views): void {
    const { value, trail } = item;
    if (item.entry === "given-up") return this.#fireAgain(item, views);
    if (item.key === null) return dropUnkeyed(item, this.#takesTombstones, this.#wiring);
    const { cursor, count } = this.#wiring;
    const { onRecord, onTombstone } = this.#node.operation;
    const context = this.#context;
    const record = contextOf(cursor);
    Object.assign(context, { key: record.key, record, due: undefined });
    context.streamTime = finite(item.record.originMs);
    context.setMs = Math.max(context.streamTime, finite(item.watermark));
    context.begin(item, views, null);
    let emitted = 0;
    let hasChanged = false;
    try {
      const made = value === undefined ? onTombstone?.(context) : onRecord(value, context);
      emitted = passEach(made ?? [], this.#wiring);
    } finally {
      hasChanged = context.end();
    }
    if (hasChanged) trail.emitted++;
    if (hasChanged || emitted > 0) count.passed++;
    else drop(this.#wiring);
  }

  dueKeys(key: StateKey, want: Want): void {
    for (const store of this.stores) want(store, key);
  }

  recordKeyOf({ bytes }: StateKey): Buffer {
    return bytes;
  }

  /** The timers of one key that are due at the same time. */
  due(item: Item, views: Views): void {
    const { key, input, record } = item;
    const store = this.stores[input] as string;
    const view = views.view(store);
    const [first] = timersOf(view, key as StateKey);
    if (first === undefined) return view.set(key as StateKey, null);
    const [, dueMs] = first;
    for (;;) {
      const [next, ...others] = timersOf(view, key as StateKey);
      if (next?.[1] !== dueMs) return;
      // It is over before its handler is called, which may set it again.
      // mistake: timer over behind its handler (1 of 2)
      view.set(key as StateKey, timersEntry(others, record.context.timestamp));
      // mistake: timer over behind its handler (2 of 2)
      this.#fire(next, item, views);
    }
  }

  /** A handler has failed: the timers of the key that are due with it are over, and have changed nothing. */
  giveUpDue({ key, input, record }: Item, views: Views): readonly KeptResult[] {
    const view = views.view(this.stores[input] as string);
    const timers = timersOf(view, key as StateKey);
    const left = timers.filter(([, dueMs]) => dueMs !== timers[0]?.[1]);
    view.set(key as StateKey, timersEntry(left, record.context.timestamp));
    const of = { key: (key as StateKey).bytes, keyValue: null };
    // mistake: failed timer given up
    return timers.slice(0, timers.length - left.length).map(([timer, due, set]): KeptResult => {
      const value: GivenUpTimer = { timer, due, set };
      return { value, record: resultRecord(record, of, due), isGivenUp: true };
    });
  }

  /** A timer whose handler has failed comes back: the values of its key are those of now. */
  #fireAgain(item: Item, views: Views): void {
    const { timer, due, set } = item.value as GivenUpTimer;
    if (item.key === null) return drop(this.#wiring);
    const before = item.trail.emitted;
    if (this.#fire([timer, due, set], item, views)) item.trail.emitted++;
    this.#wiring.cursor.step = this.at;
    if (item.trail.emitted === before) drop(this.#wiring);
  }

  /** Whether its handler has changed a value or a timer. */
  #fire([name, dueMs, setMs]: StoredTimer, item: Item, views: Views): boolean {
    const { onTimer, timers } = this.#node.operation;
    const { cursor, count, options } = this.#wiring;
    const clock = timers.find((timer) => timer.name === name)?.clock ?? "event-time";
    const key = (item.key as StateKey).bytes;
    const keyValue = options.keyOf(this.#node, key);
    // The step is still in front of what the watermark promises; the wall clock knows nothing of it.
    const originMs = Math.max(setMs, clock === "wall-clock" ? finite(item.watermark) : 0);
    const record = resultRecord(item.record, { key, keyValue }, dueMs, { originMs });
    const context = this.#context;
    Object.assign(context, { key: keyValue, record: undefined, due: dueMs });
    context.streamTime = context.setMs = record.originMs;
    context.begin(item, views, { clock, dueMs });
    let hasChanged = false;
    try {
      cursor.record = record;
      // A timer that the step no longer declares fires in vain.
      if (passEach(onTimer[name]?.(context) ?? [], this.#wiring) > 0) count.passed++;
    } finally {
      hasChanged = context.end();
    }
    return hasChanged;
  }
}

const finite = (ms: number): number => (Number.isFinite(ms) ? ms : 0);
