// Aggregates by tumbling, hopping and calendar windows: one entry for each key and window, which is due with its close. A window takes
// records until its end is passed by the grace, by their origin times and by the watermark: time.md's rules W1 to W4.
import { Mistake, settled } from "../../core/errors.ts";
import type { Operation, PlanNode, PlanStore } from "../../core/plan.ts";
import type { RecordContext } from "../../core/record.ts";
import type { StateEntry, StateKey, StoreView } from "../../core/state.ts";
import { endOf, startsOf, type FixedWindow } from "../../core/window-span.ts";
import {
  drop,
  dropUnkeyed,
  present,
  stateKey,
  timed,
  type Item,
  type Lateness,
  type MakeOperator,
  type Operator,
  type Views,
  type Want,
  type Wiring,
} from "../operator.ts";
import { closedRecord, LATE, latenessOf, RESULTS, type WindowResult } from "./result.ts";

export interface WindowAggregate extends Operation {
  readonly kind: "window";
  readonly store: PlanStore;
  readonly window: FixedWindow;
  readonly init: (key: unknown) => unknown;
  readonly add: (aggregate: unknown, value: unknown, record: RecordContext) => unknown;
  readonly finish: (aggregate: unknown) => unknown;
  /** The changes that are emitted: each, the last of a checkpoint, or the last of all. */
  readonly emission: "update" | "checkpoint" | "close";
}

const START_BYTES = 8;

/** The start, so that keys sort by it, and the key of the records. */
function keyOf(startMs: number, key: Buffer): StateKey {
  const bytes = Buffer.allocUnsafeSlow(START_BYTES + key.length);
  bytes.writeBigUInt64BE(BigInt(startMs));
  key.copy(bytes, START_BYTES);
  return stateKey(bytes);
}
/** Whether these bytes are such a key. */
export const isWindowKey = (bytes: Buffer): boolean =>
  bytes.length >= START_BYTES && bytes.readBigUInt64BE() <= BigInt(Number.MAX_SAFE_INTEGER);
const startOf = (bytes: Buffer): number => Number(bytes.readBigUInt64BE());
const recordKeyOf = (bytes: Buffer): Buffer => bytes.subarray(START_BYTES);

/** The last ms at which a window that begins then is open. */
const lastOpenMs = (window: FixedWindow, startMs: number): number =>
  endOf(window, startMs) + window.graceMs - 1;

class AlignedWindows implements Operator {
  readonly at: number;
  readonly stores: readonly string[];
  readonly usesTime = true;
  readonly #node: PlanNode & { readonly operation: WindowAggregate };
  readonly #wiring: Wiring;
  readonly #store: string;

  constructor(node: PlanNode & { readonly operation: WindowAggregate }, wiring: Wiring) {
    this.at = wiring.at;
    this.#node = node;
    this.#wiring = wiring;
    this.#store = node.operation.store.name;
    this.stores = [this.#store];
  }

  keys({ record: { raw, context }, value }: Item, want: Want): void {
    if (raw.key === null || value === undefined) return;
    for (const startMs of startsOf(this.#node.operation.window, context.timestamp))
      want(this.#store, keyOf(startMs, raw.key));
  }

  work(item: Item, views: Views): void {
    const { trail, value, record } = item;
    const { window } = this.#node.operation;
    const { raw, context } = record;
    if (raw.key === null || value === undefined) return dropUnkeyed(item, false, this.#wiring);
    const view = views.view(this.#store);
    let lateness: Lateness | null = null;
    for (const startMs of startsOf(window, context.timestamp)) {
      // mistake: window takes what is late
      const why = latenessOf(item, lastOpenMs(window, startMs));
      if (why === null) this.#add(item, view, startMs);
      else lateness ??= why;
    }
    if (lateness === null) return void this.#wiring.count.passed++;
    trail.late = lateness;
    drop(this.#wiring);
    this.#wiring.arms[LATE]?.(value);
  }

  /** Adds a record to one of its windows. */
  #add(item: Item, view: StoreView, startMs: number): void {
    const { record, trail, value } = item;
    const { window, init, add, emission } = this.#node.operation;
    const { context, raw } = record;
    const key = keyOf(startMs, raw.key as Buffer);
    const old = view.get(key);
    const before = old === null ? settled(init(context.key)) : old.value;
    const after = present(add(before, value, context));
    if (after === null) throw new Mistake("the aggregate of a window is never null");
    const timestamp = Math.max(context.timestamp, old?.timestamp ?? -Infinity);
    view.set(key, { value: after, timestamp, dueMs: lastOpenMs(window, startMs) });
    trail.emitted++;
    if (emission !== "close") this.#emitChange(item, key, { value: after, timestamp });
  }

  /** Emits the value of a window that is open still. */
  #emitChange(
    { record, trail }: Item,
    key: StateKey,
    { value, timestamp }: Pick<StateEntry, "value" | "timestamp">,
  ): void {
    const { at } = this;
    const { cursor, arms } = this.#wiring;
    const changed = (cursor.record = timed(cursor, timestamp));
    const result = this.#result(startOf(key.bytes), value);
    if (this.#node.operation.emission === "update") arms[RESULTS]?.(result);
    else cursor.queues?.deferred.push({ at, key: key.id, trail, record: changed, value: result });
    cursor.record = record;
    cursor.step = at;
  }

  /** A window closes: it is forgotten, and its value emitted where that is asked for. */
  due({ key }: Item, views: Views): void {
    const { cursor, count, arms, options } = this.#wiring;
    const { window, emission } = this.#node.operation;
    const own = key as StateKey;
    const view = views.view(this.#store);
    const entry = view.get(own);
    view.set(own, null);
    if (emission !== "close" || entry === null) return;
    const startMs = startOf(own.bytes);
    const bytes = recordKeyOf(own.bytes);
    const keyValue = options.keyOf(this.#node, bytes);
    cursor.record = closedRecord(cursor.record, bytes, endOf(window, startMs) - 1, keyValue);
    count.passed++;
    arms[RESULTS]?.(this.#result(startMs, entry.value));
  }

  #result(startMs: number, aggregate: unknown): WindowResult<unknown, unknown> {
    const { window, finish } = this.#node.operation;
    const { key } = this.#wiring.cursor.record.context;
    return { aggregate: finish(aggregate), key, startMs, endMs: endOf(window, startMs) };
  }
}

export const aggregatingWindows: MakeOperator<WindowAggregate> = (node, wiring) =>
  new AlignedWindows(node, wiring);
