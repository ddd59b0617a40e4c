// order: an operator whose records wait until no older one is expected, and are worked in the order of their times. Its own
// timers and dues are worked among them, at the same time first. The operator inside sees a watermark, and origin times, that
// are the times of its records.
import { DecodeError } from "../../core/errors.ts";
import { END_OF_TIME } from "../../core/event-time.ts";
import type { DecodedRecord } from "../../core/outcome.ts";
import type { Operation, PlanNode, PlanStore } from "../../core/plan.ts";
import type { StateEntry, StateKey, StoreView } from "../../core/state.ts";
import { listOf } from "../../core/foreign.ts";
import { checkRoom, type KeyBound } from "../bounds/bound.ts";
import {
  plainKeeping,
  queuedOf,
  recordOf,
  type Keeping,
  type QueuedRecord,
} from "../calls/key-queue.ts";
import { queuedRecord } from "../calls/queue-check.ts";
import { dueStoresOf } from "../agenda.ts";
import type { GivenUpForm } from "../kept/given-up.ts";
import { originsBy, type OriginOf } from "./origin.ts";
import {
  drop,
  stateKey,
  type DueLook,
  type Item,
  type KeptResult,
  type Lateness,
  type MakeOperator,
  type Operator,
  type Trail,
  type Views,
  type Want,
  type Wiring,
} from "../operator.ts";
import { EarlyShapes } from "../kept/early-shapes.ts";

/** The order of an operator's records. */
export interface Ordering {
  /** The largest age of a record that is accepted. */
  readonly graceMs: number;
  readonly store: PlanStore;
  /** Of the records of a key that wait; left out where nothing is said. */
  readonly bound?: KeyBound;
}

export interface OrderedOperation extends Operation {
  readonly order: Ordering;
}

type OrderedNode = PlanNode & { readonly operation: OrderedOperation };

/** The operator that another one works behind its order. */
export const ordering =
  (make: MakeOperator): MakeOperator<OrderedOperation> =>
  (node, wiring) =>
    new OrderedWork(node, wiring, make(node, wiring) as Operator);

class OrderedWork implements Operator {
  readonly at: number;
  readonly stores: readonly string[];
  readonly dueStores: readonly string[];
  readonly wallStores: readonly string[];
  readonly usesTime = true;
  readonly givenUp: GivenUpForm | undefined;
  readonly #node: OrderedNode;
  readonly #wiring: Wiring;
  readonly #inner: Operator;
  readonly #store: string;
  readonly #originOf: OriginOf;
  readonly #keeping: Keeping;
  readonly #early: EarlyShapes;

  constructor(node: OrderedNode, wiring: Wiring, inner: Operator) {
    const { store } = node.operation.order;
    this.at = wiring.at;
    this.stores = [...inner.stores, store.name];
    // Of one time timers come first.
    // mistake: timers behind records of one time
    this.dueStores = [...innerDues(inner), store.name];
    this.wallStores = inner.wallStores ?? [];
    this.#node = node;
    this.#wiring = wiring;
    this.#inner = inner;
    this.givenUp = inner.givenUp;
    this.#store = store.name;
    this.#originOf = wiring.options.originOf ?? PLAIN;
    this.#keeping = wiring.options.keepingOf({ store });
    this.#early = new EarlyShapes(wiring.options);
  }

  meets({ value, entry }: Item): void {
    if (value !== undefined && entry !== "given-up") this.#early.note(this.#store, value);
  }

  keys(item: Item, want: Want): void {
    // What is set in a batch may be due in it, so the inner keys are needed too.
    this.#inner.keys(item, want);
    const { key } = item.record.raw;
    if (item.entry !== "record" || key === null) return;
    want(this.#store, placeOf(item, this.#originOf));
    if (this.#bound !== undefined) want(this.#store, countKey(key));
  }

  work(item: Item, views: Views): void {
    if (item.entry === "returned") return this.#returned(item, views);
    if (item.entry === "given-up") return this.#inner.work(atDue(item), this.#views(views));
    if (item.record.raw.key === null) return this.#inner.work(item, views);
    // mistake: order takes what is late
    const late = latenessOf(item, this.#node.operation.order.graceMs);
    if (late !== null) return this.#late(item, late);
    const view = views.view(this.#store);
    const place = placeOf(item, this.#originOf);
    const before = recordsIn(view, place);
    const { record, value } = item;
    this.#count(view, record.raw.key as Buffer, 1);
    const kept = queuedOf(this.#keeping, { record: this.#light(record), value });
    const { timestamp } = record.context;
    const dueMs = timestamp + this.#node.operation.order.graceMs;
    view.set(place, { value: [...before, kept], timestamp, dueMs });
    item.trail.emitted++;
  }

  get #bound(): KeyBound | undefined {
    return this.#node.operation.order.bound;
  }

  /** Records of the key that wait, more or fewer. */
  #count(view: StoreView, key: Buffer, by: number): void {
    if (this.#bound === undefined) return;
    const place = countKey(key);
    const waiting = ((view.get(place)?.value ?? 0) as number) + by;
    if (by > 0 && waiting > this.#bound.most)
      checkRoom(this.#bound, this.#node.name, "records wait");
    const entry = { value: waiting, timestamp: 0, dueMs: null };
    // Those that waited before there was a bound were not counted.
    view.set(place, waiting <= 0 ? null : entry);
  }

  /** The records of a place wait no longer. */
  #takeOut(view: StoreView, place: StateKey): void {
    const records = recordsIn(view, place);
    const [first] = records;
    view.set(place, null);
    if (first !== undefined) this.#count(view, Buffer.from(first.key), -records.length);
  }

  /** The bytes of a value are kept only for an operator that hands it on as it is. */
  #light(record: Item["record"]): Item["record"] {
    const isChanged = this.#node.facts.changes === true;
    return isChanged ? { ...record, raw: { ...record.raw, value: null } } : record;
  }

  /** Its place in the order is over: it is worked now, at its own time. */
  #returned(item: Item, views: Views): void {
    const { cursor } = this.#wiring;
    const { timestamp } = item.record.context;
    const record = (cursor.record = { ...item.record, originMs: timestamp });
    const own = { ...item, record, origin: { ...item.origin, time: timestamp } };
    this.#inner.work({ ...own, watermark: timestamp }, this.#views(views));
    cursor.step = this.at;
  }

  #late(item: Item, late: Lateness): void {
    item.trail.late = late;
    drop(this.#wiring);
    // The second arm of windows.
    // mistake: late of an order in silence
    if (this.#node.facts.divides === true) this.#wiring.arms[1]?.(item.value);
  }

  dueKeys(key: StateKey, want: Want, by: DueLook): void {
    if (this.stores[by.input] !== this.#store) return this.#inner.dueKeys?.(key, want, by);
    for (const item of this.#itemsOf(key, by.views)) {
      try {
        this.#inner.keys(item, want);
      } catch {
        // The user's callback throws once more when the record is worked, and there it is the record's fault.
      }
      if (this.#bound !== undefined) want(this.#store, countKey(item.record.raw.key as Buffer));
    }
  }

  due(item: Item, views: Views): void {
    const shifted = this.#views(views);
    if (this.stores[item.input] !== this.#store) return this.#inner.due?.(atDue(item), shifted);
    const own = this.#itemsOf(item.key as StateKey, views, item.trail);
    this.#takeOut(views.view(this.#store), item.key as StateKey);
    const { cursor } = this.#wiring;
    for (const one of own) {
      cursor.record = one.record;
      // The keys were asked for when the entry was loaded.
      this.#inner.keys(one, () => undefined);
      this.#inner.work(one, shifted);
      cursor.step = this.at;
    }
  }

  /** Records that wait have their keys with them. */
  recordKeyOf(key: StateKey, store: string): Buffer | null {
    return store === this.#store ? null : (this.#inner.recordKeyOf?.(key, store) ?? null);
  }

  /** The records of an entry are of one source record, and fail together; they wait nowhere else. */
  giveUpDue(item: Item, views: Views): readonly KeptResult[] | null {
    const key = item.key as StateKey;
    if (this.stores[item.input] !== this.#store)
      return this.#inner.giveUpDue?.(atDue(item), this.#views(views)) ?? null;
    const view = views.view(this.#store);
    const records = recordsIn(view, key);
    this.#takeOut(view, key);
    // mistake: waiting record given up
    return records.map((value): KeptResult => {
      const { record } = recordOf(plainKeeping, value);
      return { value, record, waitedIn: this.#store };
    });
  }

  /** The records of an entry, as the operator inside sees them. */
  #itemsOf(key: StateKey, views: Views, trail: Trail = null as never): Item[] {
    return recordsIn(views.view(this.#store), key).map((one): Item => {
      const { record: whole, value } = recordOf(plainKeeping, one);
      const { timestamp } = whole.context;
      const record = { ...whole, value, originMs: timestamp };
      const { partition, offset } = whole.raw;
      const origin = { time: timestamp, partition, offset, index: 0 };
      const own = { at: this.at, entry: "record" as const, input: 0, record, origin, value };
      return { ...own, trail, watermark: timestamp, key: null, prepared: undefined };
    });
  }

  /** Dues of the operator inside are by the order's time, which stays behind the watermark by the grace. */
  #views(views: Views): Views {
    const { graceMs } = this.#node.operation.order;
    // mistake: timers of an order by its watermark
    const dues = innerDues(this.#inner);
    return {
      view: (store) =>
        dues.includes(store) ? shiftedView(views.view(store), graceMs + 1) : views.view(store),
    };
  }
}

/** Of one topic, and of operators without names. */
const PLAIN: OriginOf = originsBy(
  () => 0,
  (at) => String(at),
);

const innerDues = (inner: Operator): readonly string[] =>
  inner.due === undefined ? [] : dueStoresOf(inner);

/** An entry is due once the watermark has passed its time and the grace. */
const shiftedView = (view: StoreView, byMs: number): StoreView => ({
  get(key) {
    const entry = view.get(key);
    return entry === null ? null : shifted(entry, -byMs);
  },
  set: (key, entry) => view.set(key, entry === null ? null : shifted(entry, byMs)),
  add: (key) => view.add(key),
});

const shifted = (entry: StateEntry, byMs: number): StateEntry =>
  entry.dueMs === null ? entry : { ...entry, dueMs: entry.dueMs + byMs };

/** At the end of a bounded run it stays the end. */
const atDue = (item: Item): Item =>
  item.watermark === END_OF_TIME ? item : { ...item, watermark: item.record.context.timestamp };

/** At the time when it is due it is late already (W3). */
function latenessOf({ record, watermark }: Item, graceMs: number): Lateness | null {
  const lastMs = record.context.timestamp + graceMs;
  if (record.originMs > lastMs) return "own";
  return watermark > lastMs ? "closed" : null;
}

const recordsIn = (view: StoreView, place: StateKey): readonly QueuedRecord[] =>
  (view.get(place)?.value ?? []) as readonly QueuedRecord[];

const TIME_BYTES = 8;

/** Sorts by time, then by origin. Records of one place are kept together, as they came. */
function placeOf({ record: { raw, context }, origin }: Item, originOf: OriginOf): StateKey {
  const time = Buffer.allocUnsafe(TIME_BYTES);
  time.writeBigUInt64BE(BigInt(Math.max(0, context.timestamp)));
  return stateKey(Buffer.concat([time, originOf(raw, origin), raw.key as Buffer]));
}

/** The first byte of the place of a key's count. Those of records begin with a time, and so with 0. */
const OF_COUNT = 0xff;

const countKey = (key: Buffer): StateKey => stateKey(Buffer.concat([Buffer.of(OF_COUNT), key]));

/** Whether an entry of this key may have records of that key: a place ends with it. */
export const isPlaceOf = (place: Buffer, key: Buffer): boolean =>
  place[0] !== OF_COUNT &&
  place.length > TIME_BYTES + key.length &&
  place.subarray(place.length - key.length).equals(key);

const records = listOf(queuedRecord);

/** The fault of what the store has for a place, or null. */
export function wrongOrdered(place: Buffer, value: unknown): string | null {
  if (place[0] === OF_COUNT)
    return Number.isSafeInteger(value) && (value as number) > 0 ? null : "it is no number";
  return place.length < TIME_BYTES ? "its key names no record" : records(value, "it");
}

/** The structures of the values that wait in an entry; none of what is no entry. */
export const shapesOfWaiting = (value: unknown): readonly string[] =>
  records(value, "it") === null
    ? (value as readonly QueuedRecord[]).flatMap(({ shape }) => shape ?? [])
    : [];

/** The records of a letter, as they had waited; throws what is wrong with them. */
export function waitedRecords(value: unknown): readonly DecodedRecord[] {
  const why = records(value, "it");
  if (why !== null) throw new DecodeError("MILL_DECODE_JSON", why);
  return (value as readonly QueuedRecord[]).map((one) => {
    const { record, value: own } = recordOf(plainKeeping, one);
    return { ...record, value: own };
  });
}
