// suppress: of the changes of a key within a span, the last. The first change opens the span by its time; when it is over the
// newest value goes on, as it came. The number of keys that wait is bounded.
import { MillraceError } from "../../core/errors.ts";
import type { Operation, PlanNode, PlanStore } from "../../core/plan.ts";
import type { StateKey, StoreView } from "../../core/state.ts";
import { dropUnkeyed, stateKey, type Item, type MakeOperator, type Wiring } from "../operator.ts";
import { resultRecord } from "../windows/result-record.ts";

export interface Suppress extends Operation {
  readonly kind: "suppress";
  readonly store: PlanStore;
  readonly spanMs: number;
  /** Keys that wait in one task at most. */
  readonly keysMax: number;
  /** The rule for the change of one more key: it goes on at once, or the task stops in front of it. */
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
    work(item, views) {
      if (item.key === null) return dropUnkeyed(item, true, wiring);
      keep(item, item.key, views.view(store.name), { node, wiring });
    },
    dueKeys: (_entry, want) => want(store.name, TOTAL_PLACE),
    due: (item, views) => letGo(item, views.view(store.name), { node, wiring }),
  };
};

interface SuppressAt {
  readonly node: SuppressNode;
  readonly wiring: Wiring;
}

function keep(
  { record, trail, value }: Item,
  place: StateKey,
  view: StoreView,
  { node, wiring }: SuppressAt,
): void {
  const { spanMs, keysMax, whenFull } = node.operation;
  const before = view.get(place);
  const { timestamp } = record.context;
  if (before === null && totalIn(view) >= keysMax) {
    if (whenFull === "halt") throw full(node.name, keysMax);
    wiring.count.passed++;
    return wiring.next(value);
  }
  if (before === null) putTotal(view, totalIn(view) + 1);
  // mistake: suppressed for ever
  const [firstMs] = (before?.value ?? [timestamp]) as Waiting;
  // mistake: first change goes on
  const kept: Waiting =
    value === undefined ? [firstMs, record.originMs] : [firstMs, record.originMs, value];
  view.set(place, { value: kept, timestamp, dueMs: firstMs + spanMs - 1 });
  trail.emitted++;
}

/** The span of a key is over. */
function letGo({ key, record }: Item, view: StoreView, { node, wiring }: SuppressAt): void {
  const place = key as StateKey;
  const entry = view.get(place);
  view.set(place, null);
  if (entry === null) return;
  // mistake: room of a key that went on
  putTotal(view, totalIn(view) - 1);
  const [firstMs, originMs, value] = entry.value as Waiting;
  const bytes = place.bytes.subarray(1);
  const keyValue = wiring.options.keyOf(node, bytes);
  const since = Math.max(firstMs, originMs);
  wiring.cursor.record = resultRecord(record, { key: bytes, keyValue }, entry.timestamp, since);
  wiring.count.passed++;
  wiring.next(value);
}

const full = (name: string, keysMax: number): MillraceError =>
  new MillraceError("MILL_SUPPRESS_FULL", `suppress "${name}": ${String(keysMax)} keys wait`);

/** The fault of what a store has, or null. */
export function wrongWaiting(place: Buffer, value: unknown): string | null {
  if (place.equals(TOTAL_PLACE.bytes))
    return Number.isSafeInteger(value) && (value as number) > 0 ? null : "it is no number of keys";
  if (place[0] !== KEY) return "its key names nothing";
  const [firstMs, originMs] = Array.isArray(value) ? (value as unknown[]) : [];
  return Number.isFinite(firstMs) && Number.isFinite(originMs) ? null : "it lacks a time";
}
