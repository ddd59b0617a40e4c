// A step that calls, over the queue of a batch. First the calls: keys side by side, one call of a key at a time, in order.
// Then what they came to, in the order of the records: on downstream, a dead letter, or parked.
import { MillraceError } from "../../core/errors.ts";
import type { CallOperation, ParkingOperation, PlanNode, PlanStore } from "../../core/plan.ts";
import type { StateKey, StoreView, TaskStores } from "../../core/state.ts";
import { present, type Waiting, type Wiring } from "../operator.ts";
import type { CallBook, Noted, Place } from "./book.ts";
import type { Callee, TaskCalls } from "./call.ts";
import {
  join,
  NoRoom,
  park,
  plainKeeping,
  type Keeping,
  type Shelf,
  TooLargeToPark,
  parkedKeyIn,
  placeOfKey,
  placeOfRecord,
} from "./parked.ts";
import { afterFailure, CallError } from "./policy.ts";

export interface CallStep extends Callee {
  /** Where keys are parked; null where they are not. */
  readonly store: PlanStore | null;
  readonly keeping: Keeping;
  /** Takes a record on as its calls have ended; throws what is the record's fault, or NoRoom. */
  work(waiting: Waiting, verdict: Verdict, view: StoreView | null): void;
  /** Tells followers of a change that was held until the checkpoint: there is none behind a call. */
  tell(value: unknown): void;
}

/** What is to become of a waiting record. */
export type Verdict = Noted | { readonly kind: "joins" };

export function callStepOf(node: PlanNode, at: number, wiring: Wiring): CallStep | null {
  const { operation } = node;
  if (operation.kind !== "map-async") return null;
  const parking = "store" in operation ? (operation as ParkingOperation) : null;
  const store = parking?.store ?? null;
  const keeping = parking === null ? plainKeeping : wiring.options.keepingOf(parking);
  const work = (waiting: Waiting, verdict: Verdict, view: StoreView | null): void => {
    wiring.cursor.step = at;
    if (verdict.kind === "answer") {
      // A tombstone goes by without a call.
      const value = waiting.value === undefined ? undefined : present(verdict.answer);
      wiring.count.passed++;
      wiring.next(value);
    } else if (verdict.kind === "dead") throw verdict.error;
    else {
      putAside(operation, waiting, verdict, { view: view as StoreView, keeping });
      waiting.trail.emitted++;
      waiting.trail.isQueued = true;
    }
  };
  return { at, name: node.name, operation, store, keeping, work, tell: wiring.next };
}

/** A joiner whose predecessor is not there after all waits in front of the step, until it is called for itself. */
function putAside(
  { retry }: CallOperation,
  waiting: Waiting,
  verdict: Exclude<Verdict, { kind: "answer" | "dead" }>,
  shelf: Shelf,
): void {
  const isAlone = parkedKeyIn(shelf.view, waiting.record.raw.key as Buffer) === null;
  if (retry === null || (isAlone && verdict.kind === "joins")) throw new NoRoom("nobody is ahead");
  try {
    if (verdict.kind === "parks") park(shelf, waiting, verdict);
    else join(shelf, waiting, retry);
  } catch (error) {
    const isTooLarge = error instanceof MillraceError && error.code === "MILL_RECORD_TOO_LARGE";
    if (!isTooLarge) throw error;
    // One that waits behind others is called for when they are gone.
    throw verdict.kind === "parks" ? new TooLargeToPark() : new NoRoom("too large");
  }
}

export interface CallBatch {
  readonly calls: TaskCalls;
  readonly book: CallBook;
  readonly stores: TaskStores;
}

/** One verdict a waiting record, in order. Rejects when the task ends. */
export async function verdictsOf(
  step: CallStep,
  queue: readonly Waiting[],
  batch: CallBatch,
): Promise<Verdict[]> {
  const view = step.store === null ? null : await openedFor(step.store.name, queue, batch);
  const verdicts: Verdict[] = [];
  const chains = chainsOf(queue);
  await Promise.all(
    chains.map(async (chain) => {
      const key = chain[0]?.waiting.key ?? null;
      const isReleased = chain[0]?.waiting.released !== undefined;
      let isParked =
        view !== null && key !== null && !isReleased && parkedKeyIn(view, key.bytes) !== null;
      for (const { waiting, place, index } of chain) {
        const verdict = await verdictOf(step, { waiting, place, isParked }, batch);
        verdicts[index] = verdict;
        isParked ||= verdict.kind === "parks";
      }
    }),
  );
  if (view !== null && step.store !== null)
    await roomFor(step.store.name, { queue, verdicts, view }, batch);
  return verdicts;
}

async function openedFor(
  store: string,
  queue: readonly Waiting[],
  { stores }: CallBatch,
): Promise<StoreView> {
  // Keys that are released are in memory already.
  const places = queue.flatMap(({ key, released }) =>
    key === null || released !== undefined ? [] : [placeOfKey(key.bytes)],
  );
  if (places.length > 0) await stores.load(store, byId(places));
  return stores.view(store);
}

const byId = (places: readonly StateKey[]): Map<string, StateKey> =>
  new Map(places.map((place) => [place.id, place]));

/** The places at which records will be written must be in memory too. */
async function roomFor(
  store: string,
  {
    queue,
    verdicts,
    view,
  }: { queue: readonly Waiting[]; verdicts: readonly Verdict[]; view: StoreView },
  { stores }: CallBatch,
): Promise<void> {
  const places: StateKey[] = [];
  const next = new Map<string, number>();
  queue.forEach(({ key }, i) => {
    if (key === null) return;
    places.push(placeOfKey(key.bytes));
    const kind = verdicts[i]?.kind;
    if (kind !== "parks" && kind !== "joins") return;
    const number = next.get(key.id) ?? parkedKeyIn(view, key.bytes)?.to ?? 0;
    next.set(key.id, number + 1);
    places.push(placeOfRecord(key.bytes, number));
  });
  if (next.size > 0) await stores.load(store, byId(places));
}

interface Link {
  readonly waiting: Waiting;
  readonly place: Place;
  readonly index: number;
}

/** Records of one key follow each other; one without a key follows nobody. */
function chainsOf(queue: readonly Waiting[]): Link[][] {
  const chains = new Map<string | number, Link[]>();
  const seen = new Map<number, number>();
  queue.forEach((waiting, index) => {
    const { trail, record, value, key } = waiting;
    const nth = seen.get(trail.index) ?? 0;
    seen.set(trail.index, nth + 1);
    const link = { waiting, index, place: { raw: record.raw, at: 0, nth, value } };
    const chain = chains.get(key?.id ?? index);
    if (chain === undefined) chains.set(key?.id ?? index, [link]);
    else chain.push(link);
  });
  return [...chains.values()];
}

async function verdictOf(
  step: CallStep,
  { waiting, place, isParked }: { waiting: Waiting; place: Place; isParked: boolean },
  batch: CallBatch,
): Promise<Verdict> {
  if (waiting.released !== undefined) return { kind: "answer", answer: waiting.released.answer };
  if (isParked) return { kind: "joins" };
  if (waiting.value === undefined) return { kind: "answer", answer: undefined };
  const own = { ...place, at: step.at };
  const known = batch.book.find(own);
  const canPark =
    step.store !== null && waiting.key !== null && !batch.book.inPlace.has(waiting.record.raw);
  if (known !== null && (known.kind !== "parks" || canPark)) return known;
  const noted = await callUntilSettled(step, { waiting, known, canPark }, batch);
  batch.book.note(own, noted);
  return noted;
}

/** Calls and waits in turn, until there is an answer, nothing to hope for, or a place to wait at. */
async function callUntilSettled(
  step: CallStep,
  { waiting, known, canPark }: { waiting: Waiting; known: Noted | null; canPark: boolean },
  { calls }: CallBatch,
): Promise<Noted> {
  const { ports } = calls;
  let noted = known;
  for (;;) {
    if (noted?.kind === "parks") {
      await ports.clock.sleep(Math.max(0, noted.dueMs - ports.clock.now()), ports.signal);
      ports.onRetry(step.name);
    }
    noted = await callOnce(step, { waiting, before: noted }, calls);
    if (noted.kind !== "parks" || canPark) return noted;
  }
}

async function callOnce(
  step: CallStep,
  { waiting, before }: { waiting: Waiting; before: Noted | null },
  calls: TaskCalls,
): Promise<Noted> {
  const { record, value } = waiting;
  const called = await calls.call(step, { value, context: record.context, isBehind: false });
  if (called.end === "answered") return { kind: "answer", answer: called.answer };
  const { times, firstMs } =
    before?.kind === "parks" ? before.tried : { times: 0, firstMs: calls.ports.clock.now() };
  const tried = { times: times + 1, firstMs };
  const next = afterFailure(step, called, tried, calls.ports);
  if (next instanceof CallError) return { kind: "dead", error: next };
  return { kind: "parks", tried, dueMs: next.dueMs };
}
