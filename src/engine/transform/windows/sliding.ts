// Aggregates by sliding windows: one entry for each key, with what came at each time; it is due with the next window that
// closes. A window is put together when it closes, or when it is emitted on update.
import type { PlanNode } from "../../core/plan.ts";
import type { StateEntry, StateKey } from "../../core/state.ts";
import type { SlidingWindow } from "../../core/window-span.ts";
import {
  dropUnkeyed,
  type Item,
  type MakeOperator,
  type Operator,
  ownKeys,
  present,
  type Views,
  type Want,
  type Wiring,
} from "../operator.ts";
import {
  ClosedEnds,
  latenessOf,
  type TimedAggregate,
  type WindowOperation,
  WindowWork,
  wrongTimed,
} from "./result.ts";
import {
  closedAt,
  endsChanged,
  isTaken,
  lastOpenMs,
  nextEndMs,
  NO_SLIDES,
  ownEndMs,
  type Slide,
  type Slides,
  slidesIn,
  withSlide,
} from "./slides.ts";

export interface SlidingAggregate extends WindowOperation {
  readonly kind: "sliding-window";
  readonly window: SlidingWindow;
  readonly merge: (a: unknown, b: unknown) => unknown;
}

export const aggregatingSlides: MakeOperator<SlidingAggregate> = (node, wiring) =>
  new SlidingWork(node, wiring);

interface ClosedSlides {
  readonly slides: readonly Slide[];
  readonly endMs: number;
}

class SlidingWork implements Operator {
  readonly at: number;
  readonly stores: readonly string[];
  readonly usesTime = true;
  readonly #operation: SlidingAggregate;
  readonly #wiring: Wiring;
  readonly #work: WindowWork;
  readonly #closed: ClosedEnds;

  constructor(node: PlanNode & { readonly operation: SlidingAggregate }, wiring: Wiring) {
    const { store } = node.operation;
    this.at = wiring.at;
    this.stores = [store.name];
    this.#closed = new ClosedEnds(store.name);
    this.#operation = node.operation;
    this.#wiring = wiring;
    this.#work = new WindowWork(node, wiring);
  }

  keys(item: Item, want: Want): void {
    ownKeys(this.#operation.store.name, false)(item, want);
    if (item.key !== null) this.#closed.want(want);
  }

  dueKeys(_key: StateKey, want: Want): void {
    this.#closed.want(want);
  }

  work(item: Item, views: Views): void {
    const { key, record, watermark } = item;
    if (key === null) return dropUnkeyed(item, false, this.#wiring);
    const { window } = this.#operation;
    const timeMs = record.context.timestamp;
    const atMs = Math.max(record.originMs, watermark);
    const closedMs = this.#closed.endMs(views);
    const ownMs = ownEndMs(window, timeMs);
    const lateness = latenessOf(item, lastOpenMs(window, ownMs), ownMs <= closedMs);
    const isOpen = timeMs + window.differenceMs > closedMs;
    if (isOpen && isTaken(window, timeMs, atMs)) this.#take(item, { timeMs, atMs }, views);
    this.#work.end(item, lateness);
  }

  #take(item: Item, times: Pick<Slide, "timeMs" | "atMs">, views: Views): void {
    const key = item.key as StateKey;
    const view = views.view(this.#operation.store.name);
    const old = view.get(key);
    const { closedMs, slides: stored } = slidesOf(old);
    const before = { closedMs: Math.max(closedMs, this.#closed.endMs(views)), slides: stored };
    this.#checkRoom(before, times.timeMs);
    const slide = { ...times, value: this.#work.added(null, item) };
    const after = withSlide(before, slide, this.#merge);
    view.set(key, this.#entryOf(after, Math.max(times.timeMs, old?.timestamp ?? -Infinity)));
    item.trail.emitted++;
    if (!this.#work.emitsChanges) return;
    const { window } = this.#operation;
    for (const endMs of endsChanged(window, { before, after }, slide)) {
      const slides = slidesIn(window, after, endMs);
      const timestamp = slides.at(-1)?.timeMs ?? endMs;
      const id = `${String(endMs)} ${key.id}`;
      this.#work.changed(item, this.#contentOf(slides, endMs), { id, timestamp });
    }
  }

  /** Windows of a key begin and end with the times of its records: these are bounded. */
  #checkRoom({ slides }: Slides, timeMs: number): void {
    if (!this.#work.isOver(slides.length + 1)) return;
    const times = new Set(slides.map((slide) => slide.timeMs));
    if (!times.has(timeMs) && this.#work.isOver(times.size + 1)) this.#work.checkRoom();
  }

  due(item: Item, views: Views): void {
    const closed = this.#close(item, views);
    if (closed === null || closed.slides.length === 0) return;
    const { slides, endMs } = closed;
    this.#work.closed((item.key as StateKey).bytes, this.#contentOf(slides, endMs), endMs);
  }

  /** The user's `merge` has failed. */
  giveUpDue(item: Item, views: Views): readonly [] {
    this.#close(item, views);
    return [];
  }

  /** The window of a key that closes next, and what it has; null: none closes yet. */
  #close({ key, watermark }: Item, views: Views): ClosedSlides | null {
    const { store, window } = this.#operation;
    const own = key as StateKey;
    const view = views.view(store.name);
    const entry = view.get(own);
    if (entry === null) return null;
    const slides = slidesOf(entry);
    const endMs = nextEndMs(window, slides);
    // A longer grace has been deployed since.
    if (lastOpenMs(window, endMs) >= watermark) {
      view.set(own, this.#entryOf(slides, entry.timestamp));
      return null;
    }
    this.#closed.close(views, endMs);
    const left = closedAt(window, slides, endMs);
    view.set(own, left === null ? null : this.#entryOf(left, entry.timestamp));
    return { slides: slidesIn(window, slides, endMs), endMs };
  }

  readonly #merge = (a: unknown, b: unknown): unknown => present(this.#operation.merge(a, b));

  #contentOf(slides: readonly Slide[], endMs: number) {
    const aggregate = slides.map(({ value }) => value).reduce(this.#merge);
    return { aggregate, startMs: endMs - this.#operation.window.differenceMs, endMs };
  }

  #entryOf(slides: Slides, timestamp: number): StateEntry {
    const { window } = this.#operation;
    const dueMs = lastOpenMs(window, nextEndMs(window, slides));
    return { value: storedOf(slides), timestamp, dueMs };
  }
}

/** The slides of an entry as they are stored: JSON has no infinity. */
interface StoredSlides {
  readonly closed: number | null;
  readonly slides: readonly TimedAggregate[];
}

const storedOf = ({ closedMs, slides }: Slides): StoredSlides => ({
  closed: closedMs === -Infinity ? null : closedMs,
  slides: slides.map(({ timeMs, atMs, value }) => [timeMs, atMs, value]),
});

export function slidesOf(entry: Pick<StateEntry, "value"> | null): Slides {
  if (entry === null) return NO_SLIDES;
  const { closed, slides } = entry.value as StoredSlides;
  return {
    closedMs: closed ?? -Infinity,
    slides: slides.map(([timeMs, atMs, value]) => ({ timeMs, atMs, value })),
  };
}

/** The fault of what a store has for a key, or null. `wrongValue` says that of an aggregate. */
export function wrongSlides(
  stored: unknown,
  wrongValue: (value: unknown) => string | null,
): string | null {
  const { closed, slides } = (stored ?? {}) as Partial<StoredSlides>;
  if (closed !== null && !Number.isFinite(closed)) return "it lacks the time of its last window";
  return wrongTimed(slides, wrongValue);
}
