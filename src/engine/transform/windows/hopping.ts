// Aggregates by hopping windows that are emitted when they close: one entry for each key with its panes, which is due with the
// next window that closes, and one for each pane. A record changes one pane, however many windows it belongs to.
import type { PlanNode } from "../../core/plan.ts";
import type { StateEntry, StateKey, StoreView } from "../../core/state.ts";
import { orderedText } from "../../core/ordered-text.ts";
import type { AlignedWindow } from "../../core/window-span.ts";
import {
  dropUnkeyed,
  type Item,
  type Lateness,
  type MakeOperator,
  type Operator,
  present,
  stateKey,
  type Views,
  type Want,
  type Wiring,
} from "../operator.ts";
import {
  closedAt,
  endAfter,
  firstEndOf,
  fromOf,
  lastEndOf,
  nextEndOf,
  NO_PANES,
  paneOf,
  type Panes,
  panesOf,
  type Portion,
  startsIn,
  storedOf,
  withPane,
  wrongPanes,
  wrongPortions,
} from "./panes.ts";
import { ClosedEnds, latenessOf, type WindowOperation, WindowWork } from "./result.ts";

export interface HoppingAggregate extends WindowOperation {
  readonly kind: "hopping-window";
  readonly window: AlignedWindow;
  readonly merge: (a: unknown, b: unknown) => unknown;
}

// First bytes of the keys; a window of another kind begins with its start, and so with 0.
const OF_PANE = 0xfe;
const OF_KEY = 0xff;
const PANE_BYTES = 9;
const PANE = String.fromCharCode(OF_PANE);

/** The entry of a key with its panes. */
function headKey(key: Buffer): StateKey {
  const bytes = Buffer.allocUnsafeSlow(1 + key.length);
  bytes[0] = OF_KEY;
  key.copy(bytes, 1);
  return stateKey(bytes);
}

/** The entry of a pane. A window asks for many of them when it closes, of which few are read from the copy. */
class PaneKey implements StateKey {
  readonly id: string;

  constructor(head: StateKey, paneMs: number) {
    this.id = PANE + orderedText(paneMs) + head.id.slice(1);
  }

  get bytes(): Buffer {
    return Buffer.from(this.id, "latin1");
  }
}

export const aggregatingPanes: MakeOperator<HoppingAggregate> = (node, wiring) =>
  new HoppingWork(node, wiring);

/** The keys of an item: `id` and `bytes` are those of the panes of its key. */
interface ItemKey extends StateKey {
  readonly pane: StateKey;
}

interface ClosedPanes {
  readonly values: readonly unknown[];
  readonly endMs: number;
}

class HoppingWork implements Operator {
  readonly at: number;
  readonly stores: readonly string[];
  readonly usesTime = true;
  readonly dueAgainMs: number;
  readonly #operation: HoppingAggregate;
  readonly #wiring: Wiring;
  readonly #work: WindowWork;
  readonly #closed: ClosedEnds;

  constructor(node: PlanNode & { readonly operation: HoppingAggregate }, wiring: Wiring) {
    const { store, window } = node.operation;
    this.at = wiring.at;
    this.stores = [store.name];
    this.dueAgainMs = window.advanceMs;
    this.#operation = node.operation;
    this.#wiring = wiring;
    this.#work = new WindowWork(node, wiring);
    this.#closed = new ClosedEnds(store.name);
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
    const panes = closedMs === stored.closedMs ? stored : { ...stored, closedMs };
    const endMs = this.#firstEnd(item, panes);
    if (endMs <= lastEndOf(window, timeMs)) this.#take(item, { view, panes, endMs });
    this.#work.end(item, this.#latenessOf(item, panes));
  }

  /** The end of the first window that takes the record. */
  #firstEnd({ record, watermark }: Item, { closedMs }: Panes): number {
    const { window } = this.#operation;
    const atMs = Math.max(record.originMs, watermark);
    const openMs = endAfter(window, Math.max(atMs - window.graceMs, closedMs));
    return Math.max(firstEndOf(window, record.context.timestamp), openMs);
  }

  /** Whether its first window is late for it; later ones may take it. */
  #latenessOf(item: Item, { closedMs }: Panes): Lateness | null {
    const { window } = this.#operation;
    const endMs = firstEndOf(window, item.record.context.timestamp);
    return latenessOf(item, this.#lastOpenMs(endMs)) ?? (endMs <= closedMs ? "closed" : null);
  }

  #take(
    item: Item,
    { view, panes, endMs }: { readonly view: StoreView; panes: Panes; endMs: number },
  ): void {
    const { window } = this.#operation;
    const key = item.key as ItemKey;
    const timeMs = item.record.context.timestamp;
    const fromMs = fromOf(window, panes, { timeMs, endMs });
    const old = view.get(key.pane);
    const portions = this.#portionsWith(old, fromMs, item);
    const timestamp = Math.max(timeMs, old?.timestamp ?? -Infinity);
    view.set(key.pane, { value: portions, timestamp, dueMs: null });
    const after = withPane(window, panes, { paneMs: paneOf(window, timeMs), fromMs });
    if (after !== panes) view.set(key, this.#entryOf(after, timeMs));
    item.trail.emitted++;
  }

  #portionsWith(entry: StateEntry | null, fromMs: number, item: Item): readonly Portion[] {
    const portions = portionsOf(entry);
    const at = portions.findIndex(([from]) => from === fromMs);
    const old = portions[at];
    const portion: Portion = [fromMs, this.#work.added(old?.[1] ?? null, item)];
    if (old !== undefined) return portions.with(at, portion);
    return [...portions, portion].sort(([a], [b]) => a - b);
  }

  dueKeys(
    key: StateKey,
    want: Want,
    { views, watermark }: { readonly views: Views; readonly watermark: number },
  ): void {
    const { window, store } = this.#operation;
    this.#closed.want(want);
    const { ranges } = this.#panesOf(views.view(store.name).get(key));
    for (const range of ranges)
      for (const paneMs of startsIn(window, range, watermark - window.graceMs))
        want(store.name, new PaneKey(key, paneMs));
  }

  due(item: Item, views: Views): void {
    const closed = this.#close(item, views);
    if (closed === null || closed.values.length === 0) return;
    const { values, endMs } = closed;
    const { merge, window } = this.#operation;
    const aggregate = values.reduce((a, b) => present(merge(a, b)));
    const content = { aggregate, startMs: endMs - window.sizeMs, endMs };
    this.#work.closed(this.recordKeyOf(item.key as StateKey), content, endMs - 1);
  }

  recordKeyOf({ bytes }: StateKey): Buffer {
    return bytes.subarray(1);
  }

  /** The user's `merge` has failed. */
  giveUpDue(item: Item, views: Views): readonly [] {
    this.#close(item, views);
    return [];
  }

  /** The window of a key that closes next, and the aggregates of its panes; null: none closes yet. */
  #close({ key, watermark }: Item, views: Views): ClosedPanes | null {
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
    const values = this.#valuesIn(panes, endMs, (paneMs) => view.get(new PaneKey(head, paneMs)));
    const { left, over } = closedAt(window, panes, endMs);
    for (const paneMs of over) view.set(new PaneKey(head, paneMs), null);
    view.set(head, left.ranges.length === 0 ? null : this.#entryOf(left, entry.timestamp));
    return { values, endMs };
  }

  /** The aggregates of which the window that ends then is made, in the order of time. */
  #valuesIn(
    { ranges }: Panes,
    endMs: number,
    paneAt: (paneMs: number) => StateEntry | null,
  ): unknown[] {
    const { window } = this.#operation;
    const startMs = endMs - window.sizeMs;
    const values: unknown[] = [];
    for (const range of ranges) {
      if (range.fromMs > endMs) continue;
      for (const paneMs of startsIn(window, range, endMs)) {
        if (paneMs < startMs) continue;
        for (const [fromMs, value] of portionsOf(paneAt(paneMs)))
          if (fromMs <= endMs) values.push(value);
      }
    }
    return values;
  }

  #lastOpenMs(endMs: number): number {
    return endMs + this.#operation.window.graceMs - 1;
  }

  #panesOf(entry: StateEntry | null): Panes {
    return entry === null ? NO_PANES : panesOf(this.#operation.window, entry.value);
  }

  #entryOf(panes: Panes, timestamp: number): StateEntry {
    const { window } = this.#operation;
    const dueMs = this.#lastOpenMs(nextEndOf(window, panes));
    return { value: storedOf(window, panes), timestamp, dueMs };
  }
}

const portionsOf = (entry: StateEntry | null): readonly Portion[] =>
  (entry?.value ?? []) as readonly Portion[];

/** The fault of what a store has for a key, or null. `wrongValue` says that of an aggregate. */
export function wrongOfPanes(
  key: Buffer,
  stored: unknown,
  wrongValue: (value: unknown) => string | null,
): string | null {
  if (key[0] === OF_KEY) return wrongPanes(stored);
  if (key[0] !== OF_PANE || key.length < PANE_BYTES) return "its key names no pane";
  return wrongPortions(stored, wrongValue);
}
