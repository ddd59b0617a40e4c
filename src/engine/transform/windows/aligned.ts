// Aggregates by tumbling, hopping and calendar windows: one entry for each key and window, which is due with its close. A window
// takes records until its end is passed by the grace, by their origin times and by the watermark.
import type { PlanNode } from "../../core/plan.ts";
import type { StateEntry, StateKey } from "../../core/state.ts";
import { OpenWindowStore } from "../bounds/open-windows.ts";
import { orderedText } from "../../core/ordered-text.ts";
import { endOf, startsOf, type FixedWindow } from "../../core/window-span.ts";
import {
  dropUnkeyed,
  type DueLook,
  type Item,
  type KeptResult,
  type Lateness,
  MadeKey,
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
  /** The open windows of each key, in a store of their own; left out where they are not bounded. */
  readonly openStore?: string;
}

const START_BYTES = 8;

/** The start, so that keys sort by it, and the key of the records. */
class WindowKey extends MadeKey {
  constructor(startMs: number, key: Buffer) {
    super(orderedText(startMs) + key.toString("latin1"), startMs);
  }
}

/** Whether these bytes are such a key. */
export const isWindowKey = (bytes: Buffer): boolean =>
  bytes.length >= START_BYTES && bytes.readBigUInt64BE() <= BigInt(Number.MAX_SAFE_INTEGER);
export const startOf = (bytes: Buffer): number => Number(bytes.readBigUInt64BE());
export const recordKeyOf = (bytes: Buffer): Buffer => bytes.subarray(START_BYTES);

/** The last ms at which a window that begins then is open. */
const lastOpenMs = (window: FixedWindow, startMs: number): number =>
  endOf(window, startMs) + window.graceMs - 1;

export const aggregatingWindows: MakeOperator<WindowAggregate> = (node, wiring) =>
  new AlignedWork(node, wiring);

class AlignedWork implements Operator {
  readonly at: number;
  readonly stores: readonly string[];
  readonly dueStores: readonly string[];
  readonly usesTime = true;
  readonly meets?: NonNullable<Operator["meets"]>;
  readonly moreKeys?: NonNullable<Operator["moreKeys"]>;
  readonly #wiring: Wiring;
  readonly #store: string;
  readonly #window: FixedWindow;
  readonly #work: WindowWork;
  readonly #closed: ClosedEnds;
  /** Null where windows are not bounded. */
  readonly #open: OpenWindowStore | null;

  constructor(node: PlanNode & { readonly operation: WindowAggregate }, wiring: Wiring) {
    const { store, window, openStore } = node.operation;
    this.at = wiring.at;
    this.#work = new WindowWork(node, wiring);
    this.stores = this.#work.storesWith(openStore);
    this.dueStores = [store.name];
    const open = openStore === undefined ? null : new OpenWindowStore(openStore);
    this.#open = open;
    const evicts = open !== null && node.operation.bound?.whenFull === "evict";
    if (evicts) this.moreKeys = (item, views, want) => this.#others(item, views, want, open);
    // A window that keeps its records has no bound.
    if (this.#work.fold.store !== null) {
      this.meets = (item) => this.#work.fold.meets(item);
      this.moreKeys = (item, views, want) => this.#lastRecords(item, views, want);
    }
    this.#wiring = wiring;
    this.#store = store.name;
    this.#window = window;
    this.#closed = new ClosedEnds(store.name);
  }

  keys(item: Item, want: Want): void {
    const { raw, context } = item.record;
    if (raw.key === null || item.value === undefined) return;
    this.#closed.want(want);
    this.#open?.want(raw.key, want);
    for (const startMs of startsOf(this.#window, context.timestamp)) {
      item.key = new WindowKey(startMs, raw.key);
      want(this.#store, item.key);
    }
  }

  #lastRecords(item: Item, views: Views, want: Want): void {
    const { key } = item.record.raw;
    if (item.key === null || key === null) return;
    const view = views.view(this.#store);
    for (const startMs of startsOf(this.#window, item.record.context.timestamp)) {
      const entry = view.get(new WindowKey(startMs, key));
      if (entry !== null) this.#work.fold.wantLast(entry.value, key, want);
    }
  }

  /** A window that is opened may let the others go. */
  #others(item: Item, views: Views, want: Want, open: OpenWindowStore): void {
    const { key } = item.record.raw;
    if (item.key === null || key === null) return;
    const { starts } = open.of(views.view(open.name), key);
    const own = startsOf(this.#window, item.record.context.timestamp);
    if (own.every((startMs) => starts.includes(startMs))) return;
    for (const startMs of starts) want(this.#store, new WindowKey(startMs, key));
  }

  work(item: Item, views: Views): void {
    const { value, record } = item;
    if (record.raw.key === null || value === undefined)
      return dropUnkeyed(item, false, this.#wiring);
    const closedMs = this.#closed.endMs(views);
    if (this.#open !== null) this.#makeRoom(item, views, closedMs);
    let lateness: Lateness | null = null;
    for (const startMs of startsOf(this.#window, record.context.timestamp)) {
      const why = this.#latenessOf(item, startMs, closedMs) ?? this.#refusal(item, views, startMs);
      // mistake: late for one is late for all
      if (why === null) this.#fold(item, views, startMs);
      else lateness ??= why;
    }
    this.#work.end(item, lateness);
  }

  #latenessOf(item: Item, startMs: number, closedMs: number): Lateness | null {
    const isClosed = endOf(this.#window, startMs) <= closedMs;
    // mistake: window takes what is late
    return latenessOf(item, lastOpenMs(this.#window, startMs), isClosed);
  }

  /** A window that is not open has made room for others. */
  #refusal({ record }: Item, views: Views, startMs: number): Lateness | null {
    if (this.#open === null) return null;
    const { starts } = this.#open.of(views.view(this.#open.name), record.raw.key as Buffer);
    return starts.includes(startMs) ? null : "evicted";
  }

  /** Opens the windows of the record, as far as the key has room for them. */
  #makeRoom(item: Item, views: Views, closedMs: number): void {
    for (const startMs of startsOf(this.#window, item.record.context.timestamp))
      if (this.#latenessOf(item, startMs, closedMs) === null)
        this.#openWindow(item, views, startMs);
  }

  #openWindow(item: Item, views: Views, startMs: number): void {
    const store = this.#open as OpenWindowStore;
    const key = item.record.raw.key as Buffer;
    const open = views.view(store.name);
    if (endOf(this.#window, startMs) <= store.evictedMs(open, key)) return;
    // A window that was opened before there was a bound stays open.
    const isStored = views.view(this.#store).get(new WindowKey(startMs, key)) !== null;
    for (;;) {
      const { starts } = store.of(open, key);
      if (starts.includes(startMs)) return;
      const [oldestMs] = starts;
      if (isStored || oldestMs === undefined || !this.#work.isOver(starts.length + 1)) break;
      this.#work.checkRoom();
      if (startMs < oldestMs) return;
      this.#evict(item, views, oldestMs);
    }
    store.opened(open, key, startMs);
  }

  #evict(item: Item, views: Views, startMs: number): void {
    const key = item.record.raw.key as Buffer;
    const view = views.view(this.#store);
    const own = new WindowKey(startMs, key);
    const entry = view.get(own);
    const endMs = endOf(this.#window, startMs);
    this.#open?.evicted(views.view(this.#open.name), key, endMs);
    // The record in hand has opened it.
    if (entry === null) return;
    view.set(own, null);
    this.#work.evicted(item, contentOf(entry, startMs, endMs), endMs - 1, views);
  }

  /** Adds the record to one of its windows. */
  #fold(item: Item, views: Views, startMs: number): void {
    const { record, trail } = item;
    const view = views.view(this.#store);
    const last = item.key as WindowKey;
    // The only window of a tumbling record is the last that was asked for.
    const key = last.startMs === startMs ? last : new WindowKey(startMs, record.raw.key as Buffer);
    const old = view.get(key);
    const aggregate = this.#work.fold.added(old?.value ?? null, item, views, startMs);
    const timestamp = Math.max(record.context.timestamp, old?.timestamp ?? -Infinity);
    view.set(key, { value: aggregate, timestamp, dueMs: lastOpenMs(this.#window, startMs) });
    trail.emitted++;
    const content = { aggregate, startMs, endMs: endOf(this.#window, startMs) };
    this.#work.changed(item, content, { id: key.id, timestamp });
  }

  dueKeys(key: StateKey, want: Want, { views }: DueLook): void {
    const recordKey = recordKeyOf(key.bytes);
    this.#closed.want(want);
    this.#open?.want(recordKey, want);
    if (this.#work.fold.store === null) return;
    const entry = views.view(this.#store).get(key);
    if (entry !== null) this.#work.fold.wantAll(entry.value, recordKey, want);
  }

  recordKeyOf({ bytes }: StateKey): Buffer {
    return recordKeyOf(bytes);
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
    const recordKey = recordKeyOf(bytes);
    this.#open?.closed(views.view(this.#open.name), recordKey, startMs);
    const content = contentOf(entry, startMs, endMs);
    // mistake: result as old as its newest record
    this.#work.closed(recordKey, content, endMs - 1, views);
    this.#work.fold.forget(entry.value, recordKey, views);
  }

  /** The user's fold has failed for one of the records: the window closes without it. */
  giveUpDue({ key }: Item, views: Views): readonly KeptResult[] | null {
    const own = key as StateKey;
    const view = views.view(this.#store);
    const entry = view.get(own);
    const taken =
      entry === null ? null : this.#work.fold.takeOut(entry.value, recordKeyOf(own.bytes), views);
    if (taken === null) return null;
    view.set(own, entry);
    return [taken];
  }
}

const contentOf = ({ value: aggregate }: StateEntry, startMs: number, endMs: number) => ({
  ...{ aggregate, startMs, endMs },
});
