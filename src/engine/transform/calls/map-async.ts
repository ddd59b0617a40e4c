// map-async makes one value from one value by a call. First a batch's calls: keys side by side, one call of a key at a
// time, in order. Then their results, in the order of the records: on downstream, a dead letter, or the key's queue.
import { MillraceError } from "../../core/errors.ts";
import type { PlanStore } from "../../core/plan.ts";
import { byId, type StateKey, type StoreView, type TaskStores } from "../../core/state.ts";
import {
  type Item,
  type MakeOperator,
  type Operator,
  type Prepared,
  present,
  stateKey,
} from "../operator.ts";
import type { Noted, CallPlace } from "./book.ts";
import type { Callee, CallOperation, TaskCalls } from "./call.ts";
import {
  join,
  NoRoom,
  openQueue,
  plainKeeping,
  type Keeping,
  type Shelf,
  TooLargeToQueue,
  queueOf,
  placeOfKey,
  placeOfRecord,
  TOTALS_PLACE,
} from "./key-queue.ts";
import { afterFailure, CallError } from "./policy.ts";

export interface CallStep extends Callee, Operator {
  /** The store of queued keys; null where none are queued. */
  readonly store: PlanStore | null;
  readonly keeping: Keeping;
}

/** The verdict on a waiting record. */
type CallVerdict = Noted | { readonly kind: "joins" };

export const calling: MakeOperator<CallOperation> = ({ name, operation }, wiring) => {
  const { at, cursor, count, next, options } = wiring;
  const store = operation.store ?? null;
  const step: CallStep = {
    ...{ at, name, operation, store },
    keeping: store === null ? plainKeeping : options.keepingOf(operation),
    stores: store === null ? [] : [store.name],
    keys(item, want) {
      const { key } = item.record.raw;
      if (key === null) return;
      item.key = stateKey(key);
      // Keys that have their answer are in memory already.
      if (store !== null && item.entry === "record") want(store.name, placeOfKey(key));
    },
    prepare: (items, batch) => prepare(step, items, batch),
    work(item, views) {
      const verdict = item.prepared as CallVerdict;
      if (verdict.kind === "dead") throw verdict.error;
      if (verdict.kind === "answer") {
        // A tombstone goes by without a call.
        const value = item.value === undefined ? undefined : present(verdict.answer);
        count.passed++;
        return next(value);
      }
      const shelf = { view: views.view(step.stores[0] ?? ""), keeping: step.keeping };
      putAside(operation, item, verdict, shelf);
      item.trail.emitted++;
      item.trail.isQueued = true;
      const { id, bytes } = item.key as StateKey;
      cursor.queues?.keys.set(`${String(at)}/${id}`, { at, key: bytes });
    },
  };
  return step;
};

/** A joiner whose predecessor is not there after all waits in front of the step, until it is called for itself. */
function putAside(
  { retry }: CallOperation,
  item: Item,
  verdict: Exclude<CallVerdict, { kind: "answer" | "dead" }>,
  shelf: Shelf,
): void {
  const isAlone = queueOf(shelf.view, item.record.raw.key as Buffer) === null;
  if (retry === null || (isAlone && verdict.kind === "joins")) throw new NoRoom("nobody is ahead");
  try {
    if (verdict.kind === "retries") openQueue(shelf, item, verdict);
    else join(shelf, item, retry);
  } catch (error) {
    const isTooLarge = error instanceof MillraceError && error.code === "MILL_RECORD_TOO_LARGE";
    if (!isTooLarge) throw error;
    // A record that waits behind others is called for when they are gone.
    throw verdict.kind === "retries" ? new TooLargeToQueue() : new NoRoom("too large");
  }
}

/** Finds a verdict for each item. Rejects when the task ends. */
async function prepare(step: CallStep, items: readonly Item[], batch: Prepared): Promise<void> {
  const view = step.store === null ? null : batch.stores.view(step.store.name);
  await Promise.all(
    chainsOf(items).map(async (chain) => {
      const [{ item: first }] = chain as [Link];
      const { key, entry } = first;
      let isQueued =
        view !== null && key !== null && entry === "record" && queueOf(view, key.bytes) !== null;
      for (const { item, place } of chain) {
        const verdict = await verdictOf(step, { item, place, isQueued }, batch);
        item.prepared = verdict;
        isQueued ||= verdict.kind === "retries";
      }
    }),
  );
  if (view !== null && step.store !== null)
    await roomFor(step.store.name, items, view, batch.stores);
}

/** The places at which records will be written must be in memory too. */
async function roomFor(
  store: string,
  items: readonly Item[],
  view: StoreView,
  stores: TaskStores,
): Promise<void> {
  const places: StateKey[] = [TOTALS_PLACE];
  const next = new Map<string, number>();
  for (const { key, prepared } of items) {
    if (key === null) continue;
    const { kind } = prepared as CallVerdict;
    if (kind !== "retries" && kind !== "joins") continue;
    const number = next.get(key.id) ?? queueOf(view, key.bytes)?.to ?? 0;
    next.set(key.id, number + 1);
    places.push(placeOfRecord(key.bytes, number));
  }
  if (next.size > 0) await stores.load(store, byId(places));
}

interface Link {
  readonly item: Item;
  readonly place: CallPlace;
}

/** Records of one key follow each other; one without a key follows nobody. */
function chainsOf(items: readonly Item[]): Link[][] {
  const seen = new Map<number, number>();
  const links = items.map((item): Link => {
    const { trail, record, value, at } = item;
    const nth = seen.get(trail.index) ?? 0;
    seen.set(trail.index, nth + 1);
    return { item, place: { raw: record.raw, at, nth, value } };
  });
  return [...Map.groupBy(links, ({ item }) => item.key?.id ?? item).values()];
}

async function verdictOf(
  step: CallStep,
  { item, place, isQueued }: Link & { readonly isQueued: boolean },
  batch: Prepared,
): Promise<CallVerdict> {
  if (item.entry === "answer") return { kind: "answer", answer: item.prepared };
  if (isQueued) return { kind: "joins" };
  if (item.value === undefined) return { kind: "answer", answer: undefined };
  const known = batch.book.find(place);
  const canQueue =
    step.store !== null && item.key !== null && !batch.book.inPlace.has(item.record.raw);
  if (known !== null && (known.kind !== "retries" || canQueue)) return known;
  const noted = await callUntilSettled(step, item, known, canQueue, batch.calls);
  batch.book.note(place, noted);
  return noted;
}

/** Calls and waits in turn, until there is an answer, nothing to hope for, or a place to wait at. */
async function callUntilSettled(
  step: CallStep,
  item: Item,
  known: Noted | null,
  canQueue: boolean,
  calls: TaskCalls,
): Promise<Noted> {
  const { ports } = calls;
  let noted = known;
  for (;;) {
    if (noted?.kind === "retries") {
      // A wall clock that was set back makes no pause longer than the longest.
      const leftMs = Math.min(noted.dueMs - ports.clock.now(), step.operation.retry?.maxMs ?? 0);
      await ports.clock.sleep(Math.max(0, leftMs), ports.signal);
      ports.onRetry(step.name);
    }
    noted = await callOnce(step, item, noted, calls);
    if (noted.kind !== "retries" || canQueue) return noted;
  }
}

async function callOnce(
  step: CallStep,
  { record, value }: Item,
  before: Noted | null,
  calls: TaskCalls,
): Promise<Noted> {
  const called = await calls.call(step, { value, context: record.context, isBehind: false });
  if (called.end === "answered") return { kind: "answer", answer: called.answer };
  const { times, firstMs } =
    before?.kind === "retries" ? before.tried : { times: 0, firstMs: calls.ports.clock.now() };
  const tried = { times: times + 1, firstMs };
  const next = afterFailure(step, called, tried, calls.ports);
  if (next instanceof CallError) return { kind: "dead", error: next };
  return { kind: "retries", tried, dueMs: next.dueMs };
}
