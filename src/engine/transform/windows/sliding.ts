// Aggregates by sliding windows: one entry for each key, with what came at each time; it is due with the next window that
// closes. A window is put together when it closes, or when it is emitted on update.
import type { PlanNode } from "../../core/plan.ts";
import type { StateEntry, StateKey } from "../../core/state.ts";
import type { SlidingWindow } from "../../core/window-span.ts";
import {
  dropUnkeyed,
  type DueLook,
  type Item,
  type KeptResult,
  type MakeOperator,
  type Operator,
  ownKeys,
  type Views,
  type Want,
  type Wiring,
} from "../operator.ts";
import { ClosedEnds, latenessOf, type WindowOperation, WindowWork } from "./result.ts";
import {
  closedAt,
  endsChanged,
  isTaken,
  lastOpenMs,
  nextEndMs,
  ownEndMs,
  type Slide,
  type Slides,
  slidesIn,
  withoutOldest,
  withSlide,
} from "./slides.ts";
import { slidesOf, storedOf } from "./stored-slides.ts";

export interface SlidingAggregate extends WindowOperation {
  readonly kind: "sliding-window";
  readonly window: SlidingWindow;
}

export const aggregatingSlides: MakeOperator<SlidingAggregate> = (node, wiring) =>
  new SlidingWork(node, wiring);

interface ClosedSlides {
  readonly slides: readonly Slide[];
  readonly endMs: number;
  /** Those that no later window needs. */
  readonly over: readonly Slide[];
}

class SlidingWork implements Operator {
  readonly at: number;
  readonly stores: readonly string[];
  readonly dueStores: readonly string[];
  readonly usesTime = true;
  readonly meets?: NonNullable<Operator["meets"]>;
  readonly moreKeys?: NonNullable<Operator["moreKeys"]>;
  readonly #operation: SlidingAggregate;
  readonly #wiring: Wiring;
  readonly #work: WindowWork;
  readonly #closed: ClosedEnds;

  constructor(node: PlanNode & { readonly operation: SlidingAggregate }, wiring: Wiring) {
    const { store } = node.operation;
    this.at = wiring.at;
    this.#work = new WindowWork(node, wiring);
    this.stores = this.#work.storesWith();
    this.dueStores = [store.name];
    this.#closed = new ClosedEnds(store.name);
    this.#operation = node.operation;
    this.#wiring = wiring;
    if (this.#work.fold.store === null) return;
    this.meets = (item) => this.#work.fold.meets(item);
    this.moreKeys = (item, views, want) => this.#lastRecords(item, views, want);
  }

  keys(item: Item, want: Want): void {
    ownKeys(this.#operation.store.name, false)(item, want);
    if (item.key !== null) this.#closed.want(want);
  }

  dueKeys(key: StateKey, want: Want, { views, watermark }: DueLook): void {
    this.#closed.want(want);
    if (this.#work.fold.store === null) return;
    const { slides } = slidesOf(views.view(this.#operation.store.name).get(key));
    for (const { timeMs, value } of slides)
      if (timeMs < watermark) this.#work.fold.wantAll(value, key.bytes, want);
  }

  #lastRecords({ key, record }: Item, views: Views, want: Want): void {
    if (key === null) return;
    const { slides } = slidesOf(views.view(this.#operation.store.name).get(key));
    for (const { timeMs, value } of slides)
      if (timeMs === record.context.timestamp) this.#work.fold.wantLast(value, key.bytes, want);
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
    const isWanted = timeMs + window.differenceMs > closedMs && isTaken(window, timeMs, atMs);
    const evicted = isWanted ? this.#take(item, { timeMs, atMs }, views) : null;
    this.#work.end(item, lateness ?? evicted);
  }

  /** Gives the lateness of a record whose own window was evicted. */
  #take(item: Item, times: Pick<Slide, "timeMs" | "atMs">, views: Views): "evicted" | null {
    const key = item.key as StateKey;
    const view = views.view(this.#operation.store.name);
    const old = view.get(key);
    const { closedMs, slides: stored } = slidesOf(old);
    const found = { closedMs: Math.max(closedMs, this.#closed.endMs(views)), slides: stored };
    const before = this.#withRoom(found, times.timeMs, item, views);
    if (before === null) return "evicted";
    const { slide, after } = this.#slidesWith(before, times, item, views);
    view.set(key, this.#entryOf(after, Math.max(times.timeMs, old?.timestamp ?? -Infinity)));
    item.trail.emitted++;
    if (this.#work.emitsChanges) this.#emitChanges(item, { before, after }, slide);
    return ownEndMs(this.#operation.window, times.timeMs) <= before.closedMs ? "evicted" : null;
  }

  #emitChanges(item: Item, by: { before: Slides; after: Slides }, slide: Slide): void {
    const { window } = this.#operation;
    for (const endMs of endsChanged(window, by, slide)) {
      const slides = slidesIn(window, by.after, endMs);
      const timestamp = slides.at(-1)?.timeMs ?? endMs;
      const id = `${String(endMs)} ${(item.key as StateKey).id}`;
      this.#work.changed(item, this.#contentOf(slides, endMs), { id, timestamp });
    }
  }

  /** A slide that keeps its records is found again by its times; others are merged. */
  #slidesWith(
    before: Slides,
    times: Pick<Slide, "timeMs" | "atMs">,
    item: Item,
    views: Views,
  ): { readonly slide: Slide; readonly after: Slides } {
    const { fold } = this.#work;
    const { timeMs, atMs } = times;
    const at =
      fold.store === null
        ? -1
        : before.slides.findIndex((one) => one.timeMs === timeMs && one.atMs === atMs);
    const old = before.slides[at]?.value ?? null;
    const slide = { ...times, value: fold.added(old, item, views, timeMs, atMs) };
    if (at >= 0) return { slide, after: { ...before, slides: before.slides.with(at, slide) } };
    return { slide, after: withSlide(before, slide, (a, b) => fold.merged(a, b)) };
  }

  /** The slides, with room for one more of that time; null where the record belongs to nothing that is left. */
  #withRoom(slides: Slides, timeMs: number, item: Item, views: Views): Slides | null {
    const { window } = this.#operation;
    let left = slides;
    while (this.#isFull(left, timeMs)) {
      this.#work.checkRoom();
      // mistake: older record evicts a newer one
      if (timeMs < (left.slides[0]?.timeMs ?? -Infinity)) return null;
      const rest = withoutOldest(window, left);
      this.#evict(left, rest.closedMs, item, views);
      left = rest;
    }
    return timeMs + window.differenceMs > left.closedMs ? left : null;
  }

  /** Windows of a key begin and end with the times of its records: these are bounded. */
  #isFull({ slides }: Slides, timeMs: number): boolean {
    if (!this.#work.isOver(slides.length + 1)) return false;
    const times = new Set(slides.map((slide) => slide.timeMs));
    return !times.has(timeMs) && this.#work.isOver(times.size + 1);
  }

  /** The window that ends with the oldest time goes with what it has, unless time has closed it. */
  #evict(left: Slides, endMs: number, item: Item, views: Views): void {
    const isOpen = endMs > left.closedMs;
    const slides = isOpen ? slidesIn(this.#operation.window, left, endMs) : [];
    if (slides.length === 0) return void this.#wiring.cursor.queues?.evicted.push(this.at);
    this.#work.evicted(item, this.#contentOf(slides, endMs), endMs, views);
  }

  recordKeyOf({ bytes }: StateKey): Buffer {
    return bytes;
  }

  due(item: Item, views: Views): void {
    const closed = this.#close(item, views);
    if (closed === null) return;
    const { slides, endMs, over } = closed;
    const { bytes } = item.key as StateKey;
    if (slides.length > 0) this.#work.closed(bytes, this.#contentOf(slides, endMs), endMs, views);
    this.#forget(over, bytes, views);
  }

  #forget(over: readonly Slide[], key: Buffer, views: Views): void {
    for (const { value } of over) this.#work.fold.forget(value, key, views);
  }

  /** The user's `merge` has failed, or the fold for one of the records: the window closes without it. */
  giveUpDue(item: Item, views: Views): readonly KeptResult[] {
    const { fold } = this.#work;
    const own = item.key as StateKey;
    const view = views.view(this.#operation.store.name);
    const entry = view.get(own);
    const closed = this.#close(item, views);
    if (closed === null) return [];
    const { slides, over } = closed;
    const runs = slides.map(({ value }) => value);
    const taken =
      fold.store === null || runs.length === 0
        ? null
        : fold.takeOut(
            runs.reduce((a, b) => fold.merged(a, b)),
            own.bytes,
            views,
          );
    if (taken === null) this.#forget(over, own.bytes, views);
    else view.set(own, entry);
    return taken === null ? [] : [taken];
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
    const over = slides.slides.filter((one) => left?.slides.includes(one) !== true);
    return { slides: slidesIn(window, slides, endMs), endMs, over };
  }

  #contentOf(slides: readonly Slide[], endMs: number) {
    const { fold } = this.#work;
    const aggregate = slides.map(({ value }) => value).reduce((a, b) => fold.merged(a, b));
    return { aggregate, startMs: endMs - this.#operation.window.differenceMs, endMs };
  }

  #entryOf(slides: Slides, timestamp: number): StateEntry {
    const { window } = this.#operation;
    const dueMs = lastOpenMs(window, nextEndMs(window, slides));
    return { value: storedOf(slides), timestamp, dueMs };
  }
}
