// suppress: of the changes of a key within a span, the last. The first change opens the span by its time; when it is over the
// newest value goes on, as it came. The number of keys that wait is bounded: of one more, the oldest span ends at once.
import { MillraceError } from "../../core/errors.ts";
import { END_OF_TIME } from "../../core/event-time.ts";
import { Heap } from "../../core/heap.ts";
import type { DecodedRecord } from "../../core/outcome.ts";
import type { Operation, PlanNode, PlanStore } from "../../core/plan.ts";
import {
  byId,
  isSooner,
  type DueStateKey,
  type StateKey,
  type StoreView,
  type TaskStores,
} from "../../core/state.ts";
import { dropUnkeyed, stateKey, type Item, type MakeOperator, type Wiring } from "../operator.ts";
import { keyOfResult, resultRecord } from "../windows/result-record.ts";

export interface Suppress extends Operation {
  readonly kind: "suppress";
  readonly store: PlanStore;
  readonly spanMs: number;
  /** Keys that wait in one task at most. */
  readonly keysMax: number;
  /** The rule for the change of one more key: the key whose span is the oldest goes on at once, or the task stops in front of it. */
  readonly whenFull: "emit" | "halt";
}

/** First bytes of places: k and t. */
const KEY = 0x6b;
const TOTAL_PLACE: StateKey = stateKey(Buffer.of(0x74));

const placeOf = (key: Buffer): StateKey => stateKey(Buffer.concat([Buffer.of(KEY), key]));

/** The first change's time, the origin time of the newest, and its value; left out where the key was deleted. */
type Waiting = readonly [firstMs: number, originMs: number, value?: unknown];

const totalIn = (view: StoreView): number => (view.get(TOTAL_PLACE)?.value ?? 0) as number;
const putTotal = (view: StoreView, value: number): void =>
  view.set(TOTAL_PLACE, value === 0 ? null : { value, timestamp: 0, dueMs: null });

type SuppressNode = PlanNode & { readonly operation: Suppress };

export const suppressing: MakeOperator<Suppress> = (node, wiring) => {
  const { store } = node.operation;
  return {
    at: wiring.at,
    stores: [store.name],
    keys(item, want) {
      const { key } = item.record.raw;
      if (key === null) return;
      item.key = placeOf(key);
      want(store.name, item.key);
      want(store.name, TOTAL_PLACE);
    },
    async prepare(items, { stores }) {
      if (node.operation.whenFull !== "emit" || items.every(({ key }) => key === null)) return;
      const isRoomy = totalIn(stores.view(store.name)) + items.length <= node.operation.keysMax;
      if (isRoomy) return;
      const oldest = await oldestOf(stores, store.name, items.length);
      for (const item of items) item.prepared = oldest;
    },
    work(item, views) {
      if (item.key === null) return dropUnkeyed(item, true, wiring);
      keep(item, item.key, views.view(store.name), { node, wiring });
    },
    dueKeys: (_entry, want) => want(store.name, TOTAL_PLACE),
    recordKeyOf: ({ bytes }) => bytes.subarray(1),
    due: (item, views) =>
      letGo(item.key as StateKey, item.record, views.view(store.name), { node, wiring }),
  };
};

/** The keys whose spans are the oldest, so many at most. */
async function oldestOf(stores: TaskStores, store: string, most: number): Promise<OldestKeys> {
  const keys = await stores.due(store, END_OF_TIME, most);
  await stores.load(store, byId(keys));
  const [first] = keys;
  if (first !== undefined) stores.dueAgain(store, first.dueMs);
  const oldest: OldestKeys = new Heap<DueStateKey>(isSooner);
  oldest.replace(keys);
  return oldest;
}

type OldestKeys = Heap<DueStateKey>;

interface SuppressAt {
  readonly node: SuppressNode;
  readonly wiring: Wiring;
}

function keep(item: Item, place: StateKey, view: StoreView, { node, wiring }: SuppressAt): void {
  const { record, trail, value } = item;
  const { spanMs, keysMax, whenFull } = node.operation;
  const before = view.get(place);
  const { timestamp } = record.context;
  const isFull = before === null && totalIn(view) >= keysMax;
  if (isFull && whenFull === "halt") throw full(node.name, keysMax);
  if (before === null) putTotal(view, totalIn(view) + 1);
  // mistake: suppressed for ever
  const [firstMs] = (before?.value ?? [timestamp]) as Waiting;
  // mistake: first change goes on
  const kept: Waiting =
    value === undefined ? [firstMs, record.originMs] : [firstMs, record.originMs, value];
  const dueMs = firstMs + spanMs - 1;
  view.set(place, { value: kept, timestamp, dueMs });
  trail.emitted++;
  (item.prepared as OldestKeys | undefined)?.push({ ...place, dueMs });
  if (isFull) makeRoom(item, view, { node, wiring });
}

/** The key whose span is the oldest goes on: it may be the one that has just come (Kafka Streams: `emitEarlyWhenFull`). */
function makeRoom(item: Item, view: StoreView, at: SuppressAt): void {
  const { cursor, at: place } = at.wiring;
  const oldest = item.prepared as OldestKeys;
  // A key that has gone on since has left its place behind. The one that goes stays, since its record may fail.
  while (oldest.top !== undefined && view.get(oldest.top)?.dueMs !== oldest.top.dueMs) oldest.pop();
  const first = oldest.top;
  if (first === undefined) return;
  const { record } = item;
  cursor.queues?.evicted.push(place);
  // mistake: newcomer goes on
  letGo(first, { ...record, raw: { ...record.raw, headers: [] } }, view, at);
  cursor.record = record;
  cursor.step = place;
}

/** The span of a key is over. */
function letGo(
  place: StateKey,
  record: DecodedRecord,
  view: StoreView,
  { node, wiring }: SuppressAt,
): void {
  const entry = view.get(place);
  view.set(place, null);
  if (entry === null) return;
  // mistake: room of a key that went on
  putTotal(view, totalIn(view) - 1);
  const [firstMs, storedMs, value] = entry.value as Waiting;
  const bytes = place.bytes.subarray(1);
  const own = { key: bytes, keyValue: keyOfResult(wiring, node, bytes) };
  const originMs = Math.max(firstMs, storedMs);
  wiring.cursor.record = resultRecord(record, own, entry.timestamp, { originMs });
  wiring.count.passed++;
  wiring.next(value);
}

const full = (name: string, keysMax: number): MillraceError =>
  new MillraceError("MILL_SUPPRESS_FULL", `suppress "${name}": ${String(keysMax)} keys wait`);

/** Whether an entry of this key is that of a record's key which waits. */
export const isWaitingKey = (place: Buffer, key: Buffer): boolean =>
  place[0] === KEY && place.subarray(1).equals(key);

/** What an entry of such a key has: the time of its first change, and its newest value; none if it was deleted. */
export function waitingIn({ value: stored }: { readonly value: unknown }): {
  readonly firstMs: number;
  readonly value?: unknown;
} {
  const [firstMs, , value] = stored as Waiting;
  return { firstMs, value };
}

/** The fault of what a store has, or null. */
export function wrongWaiting(place: Buffer, value: unknown): string | null {
  if (place.equals(TOTAL_PLACE.bytes))
    return Number.isSafeInteger(value) && (value as number) > 0 ? null : "it is no number of keys";
  if (place[0] !== KEY) return "its key names nothing";
  const [firstMs, originMs] = Array.isArray(value) ? (value as unknown[]) : [];
  return Number.isFinite(firstMs) && Number.isFinite(originMs) ? null : "it lacks a time";
}
