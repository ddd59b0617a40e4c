// Aggregates by tumbling, hopping and calendar windows: one entry for each key and window, which is due with its close. A window
// takes records until its end is passed by the grace, by their origin times and by the watermark.
import type { PlanNode } from "../../core/plan.ts";
import type { StateKey, StoreView } from "../../core/state.ts";
import { orderedText } from "../../core/ordered-text.ts";
import { endOf, startsOf, type FixedWindow } from "../../core/window-span.ts";
import {
  dropUnkeyed,
  type Item,
  type Lateness,
  type MakeOperator,
  type Operator,
  type Views,
  type Want,
  type Wiring,
} from "../operator.ts";
import { ClosedEnds, latenessOf, type WindowOperation, WindowWork } from "./result.ts";

export interface WindowAggregate extends WindowOperation {
  readonly kind: "window";
  readonly window: FixedWindow;
}

const START_BYTES = 8;

/** The start, so that keys sort by it, and the key of the records. Its bytes are made when they are asked for. */
class WindowKey implements StateKey {
  readonly id: string;
  readonly startMs: number;

  constructor(startMs: number, key: Buffer) {
    this.startMs = startMs;
    this.id = orderedText(startMs) + key.toString("latin1");
  }

  get bytes(): Buffer {
    return Buffer.from(this.id, "latin1");
  }
}

/** Whether these bytes are such a key. */
export const isWindowKey = (bytes: Buffer): boolean =>
  bytes.length >= START_BYTES && bytes.readBigUInt64BE() <= BigInt(Number.MAX_SAFE_INTEGER);
const startOf = (bytes: Buffer): number => Number(bytes.readBigUInt64BE());
const recordKeyOf = (bytes: Buffer): Buffer => bytes.subarray(START_BYTES);

/** The last ms at which a window that begins then is open. */
const lastOpenMs = (window: FixedWindow, startMs: number): number =>
  endOf(window, startMs) + window.graceMs - 1;

export const aggregatingWindows: MakeOperator<WindowAggregate> = (node, wiring) =>
  new AlignedWork(node, wiring);

class AlignedWork implements Operator {
  readonly at: number;
  readonly stores: readonly string[];
  readonly usesTime = true;
  readonly #wiring: Wiring;
  readonly #store: string;
  readonly #window: FixedWindow;
  readonly #work: WindowWork;
  readonly #closed: ClosedEnds;

  constructor(node: PlanNode & { readonly operation: WindowAggregate }, wiring: Wiring) {
    const { store, window } = node.operation;
    this.at = wiring.at;
    this.stores = [store.name];
    this.#wiring = wiring;
    this.#store = store.name;
    this.#window = window;
    this.#work = new WindowWork(node, wiring);
    this.#closed = new ClosedEnds(store.name);
  }

  keys(item: Item, want: Want): void {
    const { raw, context } = item.record;
    if (raw.key === null || item.value === undefined) return;
    this.#closed.want(want);
    for (const startMs of startsOf(this.#window, context.timestamp)) {
      item.key = new WindowKey(startMs, raw.key);
      want(this.#store, item.key);
    }
  }

  work(item: Item, views: Views): void {
    const { value, record } = item;
    if (record.raw.key === null || value === undefined)
      return dropUnkeyed(item, false, this.#wiring);
    const view = views.view(this.#store);
    const closedMs = this.#closed.endMs(views);
    let lateness: Lateness | null = null;
    for (const startMs of startsOf(this.#window, record.context.timestamp)) {
      const isClosed = endOf(this.#window, startMs) <= closedMs;
      // mistake: window takes what is late
      const why = latenessOf(item, lastOpenMs(this.#window, startMs), isClosed);
      // mistake: late for one is late for all
      if (why === null) this.#fold(item, view, startMs);
      else lateness ??= why;
    }
    this.#work.end(item, lateness);
  }

  /** Adds the record to one of its windows. */
  #fold(item: Item, view: StoreView, startMs: number): void {
    const { record, trail } = item;
    const last = item.key as WindowKey;
    // The only window of a tumbling record is the last that was asked for.
    const key = last.startMs === startMs ? last : new WindowKey(startMs, record.raw.key as Buffer);
    const old = view.get(key);
    const aggregate = this.#work.added(old?.value ?? null, item);
    const timestamp = Math.max(record.context.timestamp, old?.timestamp ?? -Infinity);
    view.set(key, { value: aggregate, timestamp, dueMs: lastOpenMs(this.#window, startMs) });
    trail.emitted++;
    const content = { aggregate, startMs, endMs: endOf(this.#window, startMs) };
    this.#work.changed(item, content, { id: key.id, timestamp });
  }

  dueKeys(_key: StateKey, want: Want): void {
    this.#closed.want(want);
  }

  due({ key }: Item, views: Views): void {
    const { bytes } = key as StateKey;
    const view = views.view(this.#store);
    const entry = view.get(key as StateKey);
    view.set(key as StateKey, null);
    if (entry === null) return;
    const startMs = startOf(bytes);
    const endMs = endOf(this.#window, startMs);
    this.#closed.close(views, endMs);
    const content = { aggregate: entry.value, startMs, endMs };
    // mistake: result as old as its newest record
    this.#work.closed(recordKeyOf(bytes), content, endMs - 1);
  }
}
