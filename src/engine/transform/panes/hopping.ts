// Aggregates by hopping windows that are emitted when they close: one entry for each key with its panes, which is due with the
// next window that closes, and one for each pane. A record changes one pane, however many windows it belongs to.
import type { PlanNode } from "../../core/plan.ts";
import { headKey, PaneKey } from "../../core/pane-keys.ts";
import type { StateEntry, StateKey } from "../../core/state.ts";
import type { AlignedWindow } from "../../core/window-span.ts";
import {
  dropUnkeyed,
  type DueLook,
  type Item,
  type KeptResult,
  type Lateness,
  type MakeOperator,
  type Operator,
  type Views,
  type Want,
  type Wiring,
} from "../operator.ts";
import {
  endAfter,
  firstEndOf,
  fromOf,
  lastEndOf,
  nextEndOf,
  openWindows,
  NO_PANES,
  paneOf,
  type PaneRange,
  type Panes,
  panesOf,
  startsIn,
  storedOf,
  withPane,
} from "./panes.ts";
import { PaneStore, type ClosedPanes } from "./pane-store.ts";
import { ClosedEnds, latenessOf, type WindowOperation, WindowWork } from "../windows/result.ts";

export interface HoppingAggregate extends WindowOperation {
  readonly kind: "hopping-window";
  readonly window: AlignedWindow;
}

export const aggregatingPanes: MakeOperator<HoppingAggregate> = (node, wiring) =>
  new HoppingWork(node, wiring);

/** The keys of an item: `id` and `bytes` are those of the panes of its key. */
interface ItemKey extends StateKey {
  readonly pane: StateKey;
}

class HoppingWork implements Operator {
  readonly at: number;
  readonly stores: readonly string[];
  readonly dueStores: readonly string[];
  readonly usesTime = true;
  readonly dueAgainMs: number;
  readonly meets?: NonNullable<Operator["meets"]>;
  readonly moreKeys?: NonNullable<Operator["moreKeys"]>;
  readonly moreDueKeys?: NonNullable<Operator["moreDueKeys"]>;
  readonly #operation: HoppingAggregate;
  readonly #wiring: Wiring;
  readonly #work: WindowWork;
  readonly #closed: ClosedEnds;
  readonly #stored: PaneStore;

  constructor(node: PlanNode & { readonly operation: HoppingAggregate }, wiring: Wiring) {
    const { store, window } = node.operation;
    this.at = wiring.at;
    this.#work = new WindowWork(node, wiring);
    this.#stored = new PaneStore(store.name, window, this.#work.fold);
    this.stores = this.#work.storesWith();
    this.dueStores = [store.name];
    this.dueAgainMs = window.advanceMs;
    [this.#operation, this.#wiring] = [node.operation, wiring];
    this.#closed = new ClosedEnds(store.name);
    if (node.operation.bound?.whenFull === "evict")
      this.moreKeys = (item, views, want) => this.#others(item, views, want);
    // A window that keeps its records has no bound.
    if (this.#work.fold.store === null) return;
    this.meets = (item) => this.#work.fold.meets(item);
    this.moreKeys = (item, views, want) => {
      const { key } = item.record.raw;
      if (item.key !== null && key !== null)
        this.#stored.wantLast((item.key as ItemKey).pane, key, views, want);
    };
    this.moreDueKeys = (key, want, by) => {
      for (const pane of this.#panesDue(key, by))
        this.#stored.wantAll(pane, this.recordKeyOf(key), by.views, want);
    };
  }

  /** A pane that is new may let the windows of others go. */
  #others(item: Item, views: Views, want: Want): void {
    const { window, store } = this.#operation;
    if (item.key === null) return;
    const { ranges } = this.#panesOf(views.view(store.name).get(item.key));
    const paneMs = paneOf(window, item.record.context.timestamp);
    const isIn = ({ firstMs, lastMs, fromMs }: PaneRange): boolean =>
      fromMs === 0 && firstMs <= paneMs && paneMs <= lastMs;
    if (ranges.some(isIn)) return;
    for (const range of ranges)
      for (const ms of startsIn(window, range, Infinity))
        want(store.name, new PaneKey(item.key, ms));
  }

  keys(item: Item, want: Want): void {
    const { raw, context } = item.record;
    if (raw.key === null || item.value === undefined) return;
    const { store, window } = this.#operation;
    const head = headKey(raw.key);
    const key: ItemKey = { ...head, pane: new PaneKey(head, paneOf(window, context.timestamp)) };
    item.key = key;
    want(store.name, key);
    want(store.name, key.pane);
    this.#closed.want(want);
  }

  work(item: Item, views: Views): void {
    if (item.key === null) return dropUnkeyed(item, false, this.#wiring);
    const { window, store } = this.#operation;
    const timeMs = item.record.context.timestamp;
    const view = views.view(store.name);
    const stored = this.#panesOf(view.get(item.key));
    const closedMs = Math.max(stored.closedMs, this.#closed.endMs(views));
    const before = closedMs === stored.closedMs ? stored : { ...stored, closedMs };
    const panes = this.#withRoom(item, views, before);
    if (panes !== before) view.set(item.key, this.#headOf(panes, timeMs));
    const endMs = this.#firstEnd(item, panes);
    if (endMs <= lastEndOf(window, timeMs)) this.#take(item, views, { panes, endMs });
    this.#work.end(item, this.#latenessOf(item, panes, views));
  }

  /** The panes of the key when its oldest windows have made room for those of the record. */
  #withRoom(item: Item, views: Views, before: Panes): Panes {
    if (this.#operation.bound === undefined) return before;
    const { window } = this.#operation;
    let panes = before;
    for (;;) {
      const timeMs = item.record.context.timestamp;
      const endMs = this.#firstEnd(item, panes);
      if (endMs > lastEndOf(window, timeMs)) return panes;
      const fromMs = fromOf(window, panes, { timeMs, endMs });
      const after = withPane(window, panes, { paneMs: paneOf(window, timeMs), fromMs });
      if (after === panes || !this.#work.isOver(openWindows(window, after))) return panes;
      this.#work.checkRoom();
      panes = this.#evict(item, views, { panes, endMs: nextEndOf(window, after) });
    }
  }

  #evict(
    item: Item,
    views: Views,
    { panes, endMs }: { readonly panes: Panes; endMs: number },
  ): Panes {
    const closed = this.#stored.closed(item.key as StateKey, views, { panes, endMs });
    if (closed.values.length > 0)
      this.#work.evicted(item, this.#contentOf(closed.values, endMs), endMs - 1, views);
    return closed.left;
  }

  /** The end of the first window that takes the record. */
  #firstEnd({ record, watermark }: Item, { closedMs }: Panes): number {
    const { window } = this.#operation;
    const atMs = Math.max(record.originMs, watermark);
    const openMs = endAfter(window, Math.max(atMs - window.graceMs, closedMs));
    return Math.max(firstEndOf(window, record.context.timestamp), openMs);
  }

  /** Whether its first window is late for it; later ones may take it. */
  #latenessOf(item: Item, { closedMs }: Panes, views: Views): Lateness | null {
    const { window } = this.#operation;
    const endMs = firstEndOf(window, item.record.context.timestamp);
    const late = latenessOf(item, this.#lastOpenMs(endMs), endMs <= this.#closed.endMs(views));
    return late ?? (endMs <= closedMs ? "evicted" : null);
  }

  #take(
    item: Item,
    views: Views,
    { panes, endMs }: { readonly panes: Panes; readonly endMs: number },
  ): void {
    const { store, window } = this.#operation;
    const view = views.view(store.name);
    const key = item.key as ItemKey;
    const timeMs = item.record.context.timestamp;
    const fromMs = fromOf(window, panes, { timeMs, endMs });
    const old = view.get(key.pane);
    const paneMs = paneOf(window, timeMs);
    const portions = this.#stored.portionsWith(old, { paneMs, fromMs }, item, views);
    const timestamp = Math.max(timeMs, old?.timestamp ?? -Infinity);
    view.set(key.pane, { value: portions, timestamp, dueMs: null });
    const after = withPane(window, panes, { paneMs, fromMs });
    if (after !== panes) view.set(key, this.#entryOf(after, timeMs));
    item.trail.emitted++;
  }

  dueKeys(key: StateKey, want: Want, by: DueLook): void {
    this.#closed.want(want);
    for (const pane of this.#panesDue(key, by)) want(this.#operation.store.name, pane);
  }

  /** The panes of the windows that close up to the watermark. */
  *#panesDue(key: StateKey, { views, watermark }: DueLook): Iterable<StateKey> {
    const { window, store } = this.#operation;
    const { ranges } = this.#panesOf(views.view(store.name).get(key));
    for (const range of ranges)
      for (const paneMs of startsIn(window, range, watermark - window.graceMs))
        yield new PaneKey(key, paneMs);
  }

  due(item: Item, views: Views): void {
    const closed = this.#close(item, views);
    if (closed === null) return;
    const { values, endMs } = closed;
    const key = this.recordKeyOf(item.key as StateKey);
    if (values.length > 0) this.#work.closed(key, this.#contentOf(values, endMs), endMs - 1, views);
    this.#stored.forget(closed.over, key, views);
  }

  #contentOf(values: readonly unknown[], endMs: number) {
    const { window } = this.#operation;
    const aggregate = values.reduce((a, b) => this.#work.fold.merged(a, b));
    return { aggregate, startMs: endMs - window.sizeMs, endMs };
  }

  recordKeyOf({ bytes }: StateKey): Buffer {
    return bytes.subarray(1);
  }

  /** The user's `merge` has failed, or the fold for one of the records: the window closes without it. */
  giveUpDue(item: Item, views: Views): readonly KeptResult[] {
    const head = item.key as StateKey;
    const view = views.view(this.#operation.store.name);
    const entry = view.get(head);
    const key = this.recordKeyOf(head);
    const taken = this.#stored.takeOut(head, key, this.#panesOf(entry), views);
    if (taken === null) {
      const over = this.#close(item, views)?.over ?? [];
      this.#stored.forget(over, key, views);
      return [];
    }
    view.set(head, entry);
    return [taken];
  }

  /** The window of a key that closes next, and the aggregates of its panes; null: none closes yet. */
  #close(
    { key, watermark }: Item,
    views: Views,
  ): (ClosedPanes & { readonly endMs: number }) | null {
    const { store, window } = this.#operation;
    const head = key as StateKey;
    const view = views.view(store.name);
    const entry = view.get(head);
    if (entry === null) return null;
    const panes = this.#panesOf(entry);
    const endMs = nextEndOf(window, panes);
    // A longer grace has been deployed since.
    if (this.#lastOpenMs(endMs) >= watermark) {
      view.set(head, this.#entryOf(panes, entry.timestamp));
      return null;
    }
    this.#closed.close(views, endMs);
    const { values, left, over } = this.#stored.closed(head, views, { panes, endMs });
    view.set(head, this.#headOf(left, entry.timestamp));
    return { values, endMs, over };
  }

  #lastOpenMs(endMs: number): number {
    return endMs + this.#operation.window.graceMs - 1;
  }

  #panesOf(entry: StateEntry | null): Panes {
    return entry === null ? NO_PANES : panesOf(this.#operation.window, entry.value);
  }

  /** Null where no pane is left. */
  #headOf(panes: Panes, timestamp: number): StateEntry | null {
    return panes.ranges.length === 0 ? null : this.#entryOf(panes, timestamp);
  }

  #entryOf(panes: Panes, timestamp: number): StateEntry {
    const { window } = this.#operation;
    const dueMs = this.#lastOpenMs(nextEndOf(window, panes));
    return { value: storedOf(window, panes), timestamp, dueMs };
  }
}
