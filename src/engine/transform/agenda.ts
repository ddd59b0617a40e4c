// The entries that become due within a batch, of the operators of one group: those that their stores have found, and those
// that the batch itself puts there. An entry fires once the watermark in front of its operator has passed its due: before
// the record that has moved the time, behind everything that came before it (rule W3 of docs/semantics.md).
import { Heap } from "../core/heap.ts";
import type { DecodedRecord } from "../core/outcome.ts";
import { isSooner, type DueStateKey, type StateKey, type TaskStores } from "../core/state.ts";
import { placeOfDue, sourceOfResults } from "../core/state-results.ts";
import type { Operator, Want } from "./operator.ts";

/** An operator whose entries become due. */
export type DueOperator = Operator & Required<Pick<Operator, "due">>;

/** Entries of a store that one batch reads at most; it ends in front of the record that makes more of them due. */
export const DUE_IN_BATCH_MAX = 5_000;

/** The watermark in front of an operator when the record at this place of the batch is worked. */
export type WatermarkAt = (operator: Operator, index: number) => number;

/** An entry that fires before the record at `index`. */
export interface DueItem {
  readonly operator: DueOperator;
  readonly store: string;
  readonly key: DueStateKey;
  readonly index: number;
}

export class Agenda {
  readonly #lists: readonly DueList[];
  readonly #stores: TaskStores;

  /** For a batch of so many records. */
  constructor(
    operators: readonly DueOperator[],
    stores: TaskStores,
    { length, watermarkAt }: { readonly length: number; readonly watermarkAt: WatermarkAt },
  ) {
    this.#stores = stores;
    this.#lists = operators.flatMap((operator) => {
      const end = length === 0 ? -Infinity : watermarkAt(operator, length - 1);
      return dueStoresOf(operator).map((store) => new DueList(operator, store, end, watermarkAt));
    });
  }

  /** Resolves when the entries that are due by the end of the batch are in memory. */
  async read(): Promise<void> {
    for (const list of this.#lists) await list.read(this.#stores);
  }

  /** The first record that makes due what was not read; the batch must end in front of it. */
  get cutAt(): number {
    return Math.min(...this.#lists.map((list) => list.cutAt));
  }

  /**
   * The next entry that fires before the record at `upTo` or before an earlier one, in the order of their operators; of one
   * operator in the order of their dues, whichever of its stores has them. It is asked for each record, mostly in vain.
   */
  next(upTo: number): DueItem | null {
    let first: DueList | null = null;
    let firstAt = Infinity;
    for (const list of this.#lists) {
      if (list.isEmpty) continue;
      const at = list.dueAt(upTo, this.#stores);
      if (at > firstAt || at === Infinity) continue;
      if (first !== null && at === firstAt && !list.isBefore(first)) continue;
      first = list;
      firstAt = at;
    }
    return first === null ? null : first.take(firstAt);
  }

  /** Looks at what was changed since this place of the journal; it fires before the record at `from` at the soonest. */
  note(mark: number, from: number): void {
    for (const list of this.#lists) list.note(this.#stores, mark, from);
  }

  /** The batch is done, or begins anew: what it has not worked is found again. */
  close(isDone: boolean): void {
    for (const list of this.#lists) list.close(this.#stores, isDone);
  }
}

/** The entries of one store, in the order of due and key. */
class DueList {
  cutAt = Infinity;
  readonly #operator: DueOperator;
  readonly #store: string;
  /** The watermark in front of the operator at the end of the batch. */
  readonly #end: number;
  readonly #watermarkAt: WatermarkAt;
  readonly #heap = new Heap<DueStateKey>(isSooner);
  /** The first record whose watermark may make the next entry due. */
  #at = 0;

  constructor(operator: DueOperator, store: string, end: number, watermarkAt: WatermarkAt) {
    this.#operator = operator;
    this.#store = store;
    this.#end = end;
    this.#watermarkAt = watermarkAt;
  }

  /** Whether anything may be due in the batch. */
  #isSoon(stores: TaskStores): boolean {
    return stores.nextDueMs(this.#store) < this.#end;
  }

  async read(stores: TaskStores): Promise<void> {
    if (!this.#isSoon(stores)) return;
    const keys = await stores.due(this.#store, this.#end, DUE_IN_BATCH_MAX);
    if (keys.length === 0) return;
    const [store, watermark] = [this.#store, this.#end];
    const loaded = await loadDue(this.#operator, stores, { store, keys, watermark });
    this.#heap.replace(keys.slice(0, loaded));
    const behind = keys[loaded];
    if (behind !== undefined) stores.dueAgain(store, behind.dueMs);
    const nextMs = stores.nextDueMs(store);
    if (nextMs < this.#end) this.cutAt = this.#indexOf(nextMs, Infinity);
  }

  get isEmpty(): boolean {
    return this.#heap.size === 0;
  }

  /** The first record, up to this one, whose watermark has passed the due. */
  #indexOf(dueMs: number, upTo: number): number {
    let index = this.#at;
    while (index <= upTo && this.#watermarkAt(this.#operator, index) <= dueMs) index++;
    return index;
  }

  /** The record before which the first entry fires; Infinity where none does up to this one. */
  dueAt(upTo: number, stores: TaskStores): number {
    const view = stores.view(this.#store);
    for (;;) {
      const { top } = this.#heap;
      if (top === undefined) return Infinity;
      // Asked for each record: the time says more often than the store that nothing fires.
      this.#at = this.#indexOf(top.dueMs, upTo);
      if (this.#at > upTo) return Infinity;
      if (view.get(top)?.dueMs === top.dueMs) return this.#at;
      // A key that was changed meanwhile has left its old place behind.
      this.#heap.pop();
    }
  }

  /** Of two lists of one operator, the one whose first entry fires first. */
  isBefore(other: DueList): boolean {
    if (this.#operator !== other.#operator) return false;
    return (this.#heap.top?.dueMs ?? Infinity) < (other.#heap.top?.dueMs ?? Infinity);
  }

  take(index: number): DueItem {
    const key = this.#heap.pop() as DueStateKey;
    return { operator: this.#operator, store: this.#store, key, index };
  }

  note(stores: TaskStores, mark: number, from: number): void {
    if (!this.#isSoon(stores)) return;
    const made = stores.dueSince(mark, this.#store, this.#end);
    for (const key of made) this.#heap.push(key);
    // What has been due before its record came fires behind that record all the same. What is new may be due sooner than what
    // was looked at last.
    // mistake: past timer before its record
    this.#at = made.length > 0 ? from : Math.max(this.#at, from);
  }

  close(stores: TaskStores, isDone: boolean): void {
    const { top } = this.#heap;
    // A timer that the last record has set for the past fires behind the batch.
    if (top === undefined && isDone) stores.dueDone(this.#store, this.#end);
    // mistake: due not found again
    if (top !== undefined) stores.dueAgain(this.#store, top.dueMs);
  }
}

export const dueStoresOf = ({ dueStores, stores }: Operator): readonly string[] =>
  dueStores ?? stores;

/** Other keys for which the entries of one read ask; entries behind them wait for the next. */
const DUE_READS_MAX = 20_000;

interface DueLoad {
  readonly store: string;
  readonly keys: readonly DueStateKey[];
  /** None of them is worked at a later one. */
  readonly watermark: number;
}

/** Brings into memory what the work of entries that are due needs beside them; returns for how many of the first ones. */
export async function loadDue(
  operator: Pick<Operator, "dueKeys" | "moreDueKeys" | "stores">,
  stores: TaskStores,
  { store, keys, watermark }: DueLoad,
): Promise<number> {
  if (operator.dueKeys === undefined) return keys.length;
  const by = { views: stores, watermark, input: operator.stores.indexOf(store) };
  const first = new DueReads();
  let loaded = 0;
  while (loaded < keys.length && first.count < DUE_READS_MAX)
    operator.dueKeys(keys[loaded++] as StateKey, first.want, by);
  await first.load(stores);
  if (operator.moreDueKeys === undefined) return loaded;
  const more = new DueReads();
  let ready = 0;
  while (ready < loaded && more.count < DUE_READS_MAX)
    operator.moreDueKeys(keys[ready++] as StateKey, more.want, by);
  await more.load(stores);
  return ready;
}

/** Other keys that entries which are due ask for. */
class DueReads {
  count = 0;
  readonly #wanted = new Map<string, Map<string, StateKey>>();

  readonly want: Want = (name, key) => {
    const ofStore = this.#wanted.get(name);
    if (ofStore === undefined) this.#wanted.set(name, new Map([[key.id, key]]));
    else ofStore.set(key.id, key);
    this.count++;
  };

  async load(stores: TaskStores): Promise<void> {
    for (const [name, all] of this.#wanted) await stores.load(name, all);
  }
}

/** An entry of a store that is due. */
export interface DueEntry {
  readonly store: string;
  readonly key: DueStateKey;
}

/** The first entries of an operator's stores that are due, so many at most, in the order of work. */
export async function entriesDue(
  stores: TaskStores,
  names: readonly string[],
  { beforeMs, most }: { readonly beforeMs: number; readonly most: number },
): Promise<readonly DueEntry[]> {
  const due: DueEntry[] = [];
  for (const store of names) {
    const nextMs = stores.nextDueMs(store);
    // The first look says when something is due, before any record has moved time.
    if (nextMs >= beforeMs && nextMs !== -Infinity) continue;
    const keys = await stores.due(store, beforeMs, most);
    due.push(...keys.map((key): DueEntry => ({ store, key })));
  }
  if (names.length === 1) return due;
  // Stable: of equal dues those of the first store come first.
  due.sort((a, b) => a.key.dueMs - b.key.dueMs);
  for (const { store, key } of due.slice(most)) stores.dueAgain(store, key.dueMs);
  return due.slice(0, most);
}

/** An operator that emits puts a record of its own in the place of this one. */
export function placeholderOf(
  { id: entry, bytes: key, dueMs: timestamp }: DueStateKey,
  { store, partition }: { readonly store: string; readonly partition: number },
): DecodedRecord {
  const place = { topic: store, partition, offset: placeOfDue(timestamp), timestamp, headers: [] };
  const raw = { ...place, topic: sourceOfResults(store), key, value: null, entry };
  return { raw, value: undefined, context: { ...place, key: null }, originMs: timestamp };
}
