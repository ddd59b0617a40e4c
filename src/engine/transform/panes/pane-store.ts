// The panes of a key in their store: what each has of the records, and what a window makes of them when it closes.
import { PaneKey } from "../../core/pane-keys.ts";
import type { StateEntry, StateKey } from "../../core/state.ts";
import type { AlignedWindow } from "../../core/window-span.ts";
import type { WindowFold } from "../kept/fold.ts";
import type { Item, KeptResult, Views, Want } from "../operator.ts";
import { closedAt, nextEndOf, portionsOf, valuesIn, type Panes, type Portion } from "./panes.ts";

export interface ClosedPanes {
  /** The aggregates of its panes, in the order of time. */
  readonly values: readonly unknown[];
  /** The panes that no later window needs. */
  readonly over: readonly (StateEntry | null)[];
}

/** The window that ends then, of the panes of a key. */
interface Closing {
  readonly panes: Panes;
  readonly endMs: number;
}

export class PaneStore {
  readonly #store: string;
  readonly #window: AlignedWindow;
  readonly #fold: WindowFold;

  constructor(store: string, window: AlignedWindow, fold: WindowFold) {
    [this.#store, this.#window, this.#fold] = [store, window, fold];
  }

  /** The content of a pane with one more record, which counts from this end on. */
  portionsWith(
    entry: StateEntry | null,
    { paneMs, fromMs }: { readonly paneMs: number; readonly fromMs: number },
    item: Item,
    views: Views,
  ): readonly Portion[] {
    const portions = portionsOf(entry);
    const at = portions.findIndex(([from]) => from === fromMs);
    const old = portions[at];
    const value = this.#fold.added(old?.[1] ?? null, item, views, paneMs, fromMs);
    const portion: Portion = [fromMs, value];
    if (old !== undefined) return portions.with(at, portion);
    return [...portions, portion].sort(([a], [b]) => a - b);
  }

  /** Asks for what a record of the pane needs. */
  wantLast(pane: StateKey, key: Buffer, views: Views, want: Want): void {
    const entry = views.view(this.#store).get(pane);
    for (const [, value] of portionsOf(entry)) this.#fold.wantLast(value, key, want);
  }

  /** Asks for all records of a pane. */
  wantAll(pane: StateKey, key: Buffer, views: Views, want: Want): void {
    const entry = views.view(this.#store).get(pane);
    for (const [, value] of portionsOf(entry)) this.#fold.wantAll(value, key, want);
  }

  /** What a window has, and the panes behind it. */
  closed(
    head: StateKey,
    views: Views,
    { panes, endMs }: Closing,
  ): ClosedPanes & { readonly left: Panes } {
    const view = views.view(this.#store);
    const values = this.#valuesIn(head, views, { panes, endMs });
    const { left, over } = closedAt(this.#window, panes, endMs);
    const gone = over.map((paneMs) => {
      const pane = new PaneKey(head, paneMs);
      const entry = view.get(pane);
      view.set(pane, null);
      return entry;
    });
    return { values, left, over: gone };
  }

  #valuesIn(head: StateKey, views: Views, { panes, endMs }: Closing): readonly unknown[] {
    const view = views.view(this.#store);
    return valuesIn(this.#window, panes, endMs, (ms) => view.get(new PaneKey(head, ms)));
  }

  /** The records of these panes are kept no longer. */
  forget(panes: readonly (StateEntry | null)[], key: Buffer, views: Views): void {
    for (const pane of panes)
      for (const [, value] of portionsOf(pane)) this.#fold.forget(value, key, views);
  }

  /** Takes the first record out of the next window that its fold fails for; null where there is none. */
  takeOut(head: StateKey, key: Buffer, panes: Panes, views: Views): KeptResult | null {
    if (this.#fold.store === null) return null;
    const endMs = nextEndOf(this.#window, panes);
    const values = this.#valuesIn(head, views, { panes, endMs });
    if (values.length === 0) return null;
    const all = values.reduce((a, b) => this.#fold.merged(a, b));
    return this.#fold.takeOut(all, key, views);
  }
}
