// The work of one group in one pass of a batch: all keys of its queue are read at once, then its queue is worked in the order of
// the records. Before a record the group works what has become due (agenda.ts): the watermark moves from operator to
// operator, and each hands on what its own move makes due before the next one takes it (rule W3 of docs/semantics.md).
import { assert } from "../core/errors.ts";
import type { DecodedRecord, Outcome } from "../core/outcome.ts";
import type { DueStateKey, StateKey, TaskStores } from "../core/state.ts";
import { Agenda, dueStoresOf, placeholderOf, type DueItem, type DueOperator } from "./agenda.ts";
import { DuePage } from "./due-page.ts";
import type { NoRoom, TooLargeToQueue } from "./calls/key-queue.ts";
import {
  isOfDue,
  newTrail,
  orderOf,
  type Cursor,
  type Item,
  type Next,
  type Operator,
  type RecordOrigin,
  type ReturnedRecords,
  type Trail,
  type Want,
} from "./operator.ts";
import type { Batch, TimedRecord } from "./pass.ts";
import type { Program } from "./program.ts";

/** A reason to run the pass again: the record at `index` cannot stay in it, or not as it is. */
export interface Again {
  readonly index: number;
  readonly why: Outcome | NoRoom | TooLargeToQueue | typeof CUT;
}
/** An entry that is due before the record cannot be worked among the records: it is worked by itself (due.ts). */
export const CUT = "cut";

/** The pass to which a group belongs. */
export interface PassOfGroup {
  readonly program: Program;
  readonly batch: Batch;
  /** Records that have entered. */
  readonly length: number;
  hasFailed(trail: Trail): boolean;
  /** Runs one piece of one record's way. */
  piece<T>(record: DecodedRecord, trail: Trail, piece: (of: T) => void, of: T): Again | null;
  /** A record is behind the watermark in front of the operator at this place (W4). */
  countBehind(at: number): void;
  /** An entry that was due goes on in its store, and its results nowhere. */
  giveUp(item: Item, operator: Operator): Again | null;
}

type KeysByStore = Map<string, Map<string, StateKey>>;

/** The keys of a group's items, by store; those that are new are loaded together. */
class WantedKeys {
  /** Load by load: few batches have more than one. */
  readonly #loaded: KeysByStore[] = [];
  #fresh: KeysByStore = new Map();

  readonly want: Want = (store, key) => {
    for (const keys of this.#loaded) if (keys.get(store)?.has(key.id) === true) return;
    const fresh = this.#fresh.get(store);
    if (fresh === undefined) this.#fresh.set(store, new Map([[key.id, key]]));
    else fresh.set(key.id, key);
  };

  /** False when nothing was new. */
  async load(stores: TaskStores): Promise<boolean> {
    const fresh = this.#fresh;
    this.#fresh = new Map();
    for (const [store, keys] of fresh) await stores.load(store, keys);
    this.#loaded.push(fresh);
    return fresh.size > 0;
  }
}

export class GroupRun {
  /** Of the entries that were due, and were worked. */
  readonly fired: Trail[] = [];
  readonly #pass: PassOfGroup;
  readonly #operators: readonly Operator[];
  /** Null where nothing becomes due. */
  #agenda: Agenda | null = null;
  /** Where entries that are due are worked by themselves. */
  #page: DuePage | null = null;

  constructor(pass: PassOfGroup, places: readonly number[]) {
    this.#pass = pass;
    this.#operators = places.map((at) => pass.program.operators[at] as Operator);
  }

  async run(queue: Item[]): Promise<Again | null> {
    if (this.#operators.some(({ meets }) => meets !== undefined))
      for (const item of queue) this.#operatorAt(item.at).meets?.(item);
    const agenda = (this.#agenda = this.#agendaOf());
    if (agenda !== null) {
      await agenda.read();
      if (agenda.cutAt < this.#pass.length) return { index: agenda.cutAt, why: CUT };
    }
    // Several streams may lead to a group, each in order.
    const items = queue.sort((a, b) => a.trail.order - b.trail.order);
    const again = items.length === 0 ? null : await this.#load(items);
    return again ?? this.#workAll(items);
  }

  /** Entries that were not worked are found again. */
  close(isDone: boolean): void {
    this.#agenda?.close(isDone);
  }

  #workAll(items: readonly Item[]): Again | null {
    const { stores } = this.#pass.batch;
    this.#pass.program.cursor.begin();
    for (const item of items) {
      const { record, trail } = item;
      const due = this.#fire(trail.index - (isOfDue(trail) ? 1 : 0));
      if (due !== null) return due;
      const mark = stores.mark();
      const again = this.#pass.piece(record, trail, this.#work, item) ?? this.#gaveUp(item);
      if (again !== null) return again;
      this.#agenda?.note(mark, Math.ceil(trail.order / 2));
      const cut = this.#cut(item, mark);
      if (cut !== null) return cut;
    }
    return this.#fire(this.#pass.length - 1);
  }

  /** An entry that was due and has failed does not stay due. */
  #gaveUp(item: Item): Again | null {
    if (item.entry !== "due" || !this.#pass.hasFailed(item.trail)) return null;
    item.watermark = this.#watermarkOf(item);
    return this.#pass.giveUp(item, this.#pass.program.operators[item.at] as Operator);
  }

  #agendaOf(): Agenda | null {
    const { batch, length } = this.#pass;
    if (batch.watermarkBefore === undefined) return null;
    const due = this.#operators.filter(
      (one): one is DueOperator => one.due !== undefined && dueStoresOf(one).length > 0,
    );
    if (due.length === 0) return null;
    const watermarkAt = ({ at }: Operator, index: number): number => this.#watermarkAt(at, index);
    return new Agenda(due, batch.stores, { length, watermarkAt });
  }

  /** Works what is due before the records up to this one. */
  #fire(upTo: number): Again | null {
    const agenda = this.#agenda;
    if (agenda === null) return null;
    const { stores } = this.#pass.batch;
    for (let due = agenda.next(upTo); due !== null; due = agenda.next(upTo)) {
      const item = this.#itemOf(due);
      const mark = stores.mark();
      const again = this.#pass.piece(item.record, item.trail, this.#work, item);
      if (again !== null) {
        stores.dueAgain(due.store, due.key.dueMs);
        return again;
      }
      assert(stores.mark() > mark, `${due.store}: an entry that was due was left as it was`);
      agenda.note(mark, due.index);
      this.fired.push(item.trail);
    }
    return null;
  }

  #itemOf({ operator: { at }, store, key, index }: DueItem): Item {
    const { records } = this.#pass.batch;
    const { partition } = (records[index] as TimedRecord).record.raw;
    const record = placeholderOf(key, { store, partition });
    const origin = { time: key.dueMs, partition, offset: -1n, index: 0, due: { at, key } };
    const trail = newTrail(index, origin, orderOf(index) - 1);
    const input = this.#operatorAt(at).stores.indexOf(store);
    const own = { at, entry: "due" as const, input, record, trail, origin };
    const watermark = this.#watermarkAt(at, index);
    return { ...own, watermark, value: undefined, key, prepared: undefined };
  }

  #operatorAt(at: number): Operator {
    return this.#pass.program.operators[at] as Operator;
  }

  /** Where entries that are due are worked by themselves: what they have made due comes before the next of them. */
  #cut({ at, trail, entry }: Item, mark: number): Again | null {
    const { records, stores } = this.#pass.batch;
    // A pass that was cut there before is at its end.
    if (entry !== "due" || isOfDue(trail) || trail.index + 1 >= this.#pass.length) return null;
    const next = records[trail.index + 1]?.due;
    if (next?.at !== at) return null;
    const last = (records.at(-1) as TimedRecord).due ?? next;
    this.#page ??= new DuePage(this.#operatorAt(at), stores, last);
    return this.#page.endsBefore(next, mark) ? { index: trail.index + 1, why: CUT } : null;
  }

  /** Brings the keys of the items into memory, and makes their calls. */
  async #load(items: readonly Item[]): Promise<Again | null> {
    const { stores } = this.#pass.batch;
    const { operators, cursor } = this.#pass.program;
    const wanted = new WantedKeys();
    const ask = (item: Item): void => {
      cursor.step = item.at;
      (operators[item.at] as Operator).keys(item, wanted.want);
    };
    cursor.begin();
    for (const item of items) {
      if (item.entry === "due") continue;
      const again = this.#pass.piece(item.record, item.trail, ask, item);
      if (again !== null) return again;
    }
    await wanted.load(stores);
    if (this.#operators.some(({ moreKeys }) => moreKeys !== undefined))
      do this.#askForMore(items, wanted.want);
      while (await wanted.load(stores));
    for (const operator of this.#operators) await this.#prepare(operator, items);
    return null;
  }

  #askForMore(items: readonly Item[], want: Want): void {
    const { program, batch } = this.#pass;
    for (const item of items)
      if (item.entry !== "due" && !this.#pass.hasFailed(item.trail))
        program.operators[item.at]?.moreKeys?.(item, batch.stores, want);
  }

  async #prepare(operator: Operator, items: readonly Item[]): Promise<void> {
    if (operator.prepare === undefined) return;
    const own = items.filter(
      ({ at, entry, trail }) =>
        at === operator.at && entry !== "due" && !this.#pass.hasFailed(trail),
    );
    await operator.prepare(own, this.#pass.batch);
  }

  readonly #work = (item: Item): void => {
    const { program, batch } = this.#pass;
    const operator = program.operators[item.at] as Operator;
    program.cursor.step = item.at;
    if (operator.usesTime === true && item.watermark === -Infinity)
      item.watermark = this.#watermarkOf(item);
    if (item.entry === "due") {
      // mistake: moved timer fires
      if (this.#isDueStill(item)) operator.due?.(item, batch.stores);
      return;
    }
    operator.work(item, batch.stores);
    // An operator that does not ask for time has no watermark here.
    if (item.record.originMs < item.watermark) this.#pass.countBehind(item.at);
  };

  /** Work that came before may have deleted the entry, or put it off: then it is found again. */
  #isDueStill({ at, input, key }: Item): boolean {
    const store = this.#operatorAt(at).stores[input] as string;
    const due = key as DueStateKey;
    return this.#pass.batch.stores.view(store).get(due)?.dueMs === due.dueMs;
  }

  /** The results of an entry that was due come before the time that made it due. */
  #watermarkOf({ at, trail }: Item): number {
    // mistake: time before results
    return this.#watermarkAt(at, isOfDue(trail) ? trail.index - 1 : trail.index);
  }

  #watermarkAt(at: number, index: number): number {
    const { records, watermarkOf, watermarkBefore = -Infinity } = this.#pass.batch;
    return watermarkOf(at, records[index]?.watermark ?? watermarkBefore);
  }
}

/** An input of an operator, and the group whose queue it is. */
export interface Entrance extends Pick<Item, "at" | "input"> {
  readonly group: number;
  readonly entry?: Item["entry"];
}

/** The record waits until the keys of the whole batch are in memory. */
export function entering(cursor: Cursor, { group, at, input, entry = "record" }: Entrance): Next {
  return function enter(value) {
    const { queues, record, trail } = cursor;
    assert(queues !== null, "an operator with state or calls outside a batch");
    trail.last = at;
    const origin = trail.origin as RecordOrigin;
    (queues.items[group] as Item[]).push({
      at,
      entry,
      input,
      record,
      trail,
      origin,
      watermark: -Infinity,
      value,
      key: null,
      prepared: undefined,
    });
  };
}

/** Records that had waited at an operator, with the places that they had. What is made of them is that of their letter. */
export function enterAgain(of: Entrance, cursor: Cursor, { records }: ReturnedRecords): void {
  const { redriven } = cursor.record.raw;
  const enter = entering(cursor, { ...of, entry: "returned" });
  for (const one of records) {
    const raw = redriven === undefined ? one.raw : { ...one.raw, redriven };
    cursor.record = { ...one, raw };
    enter(one.value);
  }
}
