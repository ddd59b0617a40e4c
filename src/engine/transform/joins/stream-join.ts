// Joins of two streams: a record finds the records of the other side that have its key and lie in its span of time, and is kept
// for those that come later. What is late is judged by the grace alone, so every partner that is on time is found, in whatever
// order the two come. A record without a partner is emitted, where its side asks for that, once none can come any more.
import { assert } from "../../core/errors.ts";
import {
  BufferedRecord,
  SIDE_NAMES,
  type JoinOrigin,
  type JoinSide,
} from "../../core/join-buffer.ts";
import type { DecodedRecord } from "../../core/outcome.ts";
import type { Operation, PlanNode, PlanStore } from "../../core/plan.ts";
import type { StateKey, StoreView } from "../../core/state.ts";
import {
  drop,
  dropUnkeyed,
  present,
  type CompileOptions,
  type Item,
  type KeptResult,
  type MakeOperator,
  type Next,
  type Operator,
  type Views,
  type Want,
  type Wiring,
} from "../operator.ts";
import { EarlyShapes } from "../kept/early-shapes.ts";
import { checkRoom, type KeyBound } from "../bounds/bound.ts";
import { givenUpRecords, type GivenUpForm, type GivenUpRecord } from "../kept/given-up.ts";
import { givenUpOf, sideNames, takenOut, type TakenOut } from "./unmatched.ts";
import { KeptRecords } from "../bounds/kept-records.ts";
import { keyOfResult, pairRecord, resultRecord } from "../windows/result-record.ts";
import { latenessOf } from "../windows/result.ts";
import {
  append,
  bucketOf,
  chunkKey,
  chunksOf,
  keyIn,
  partnersIn,
  RecordBuckets,
  sidesOf,
  type JoinBucket,
  type SideRules,
} from "./buckets.ts";

export interface StreamJoin extends Operation {
  readonly kind: "join" | "left-join" | "outer-join";
  readonly store: PlanStore;
  readonly joiner: (left: unknown, right: unknown) => unknown;
  /** The right record lies so much before the left one at most, and so much after it. */
  readonly beforeMs: number;
  readonly afterMs: number;
  /** The largest age of a record that is taken. */
  readonly graceMs: number;
  /** Of the records that are kept of a key and side, and the store that counts them; left out where nothing is said. */
  readonly bound?: KeyBound;
  readonly keptStore?: string;
}

export const joiningStreams: MakeOperator<StreamJoin> = (node, wiring) =>
  new StreamJoinWork(node, wiring);

class StreamJoinWork implements Operator {
  readonly at: number;
  readonly stores: readonly string[];
  readonly dueStores: readonly string[];
  readonly usesTime = true;
  readonly givenUp: GivenUpForm;
  readonly #node: PlanNode & { readonly operation: StreamJoin };
  readonly #wiring: Wiring;
  readonly #store: string;
  readonly #sides: readonly [SideRules, SideRules];
  readonly #encoders: ReturnType<NonNullable<CompileOptions["bufferEncodersOf"]>>;
  readonly #early: EarlyShapes;
  readonly #results: Next;
  readonly #late: readonly Next[];
  /** Null where records are not bounded. */
  readonly #kept: KeptRecords | null;

  constructor(node: PlanNode & { readonly operation: StreamJoin }, wiring: Wiring) {
    const { store, keptStore } = node.operation;
    const [results, ...late] = wiring.arms;
    this.at = wiring.at;
    this.stores = [store.name, ...(keptStore === undefined ? [] : [keptStore])];
    this.dueStores = [store.name];
    this.givenUp = givenUpRecords(sideNames(store));
    this.#kept = keptStore === undefined ? null : new KeptRecords(keptStore);
    this.#node = node;
    this.#wiring = wiring;
    this.#store = store.name;
    this.#sides = sidesOf(node.operation);
    this.#early = new EarlyShapes(wiring.options);
    this.#encoders = wiring.options.bufferEncodersOf?.(node) ?? [];
    this.#results = results ?? (() => undefined);
    this.#late = late;
  }

  #rulesOf(input: number): readonly [own: SideRules, other: SideRules] {
    const [left, right] = this.#sides;
    return input === 0 ? [left, right] : [right, left];
  }

  meets({ value, input, entry }: Item): void {
    if (entry === "given-up") return;
    const side = this.#node.operation.store.changelog.value;
    const format = side.kind === "join-buffer" ? side.sides[input] : undefined;
    if (format?.writes === "tagged" && !isNone(value)) this.#early.note(format.shapes, value);
  }

  keys(item: Item, want: Want): void {
    const { raw, context } = item.record;
    if (isNone(item.value) || raw.key === null || item.entry === "given-up") return;
    const [rules] = this.#rulesOf(item.input);
    const buckets = new RecordBuckets(raw.key, context.timestamp, rules);
    item.key = buckets;
    for (const bucket of [buckets.own, ...buckets.others]) want(this.#store, keyIn(bucket, 0));
    this.#kept?.want(buckets.own, want);
  }

  dueKeys(key: StateKey, want: Want): void {
    this.#kept?.want(bucketOf(key), want);
  }

  /** The first chunks say which others there are. */
  moreKeys(item: Item, views: Views, want: Want): void {
    if (item.key === null) return;
    const view = views.view(this.#store);
    const { own, others } = item.key as RecordBuckets;
    const last = chunksOf(view, own) - 1;
    if (last > 0) want(this.#store, chunkKey(own, last));
    for (const bucket of others) {
      const chunks = chunksOf(view, bucket);
      for (let at = 1; at < chunks; at++) want(this.#store, chunkKey(bucket, at));
    }
  }

  work(item: Item, views: Views): void {
    const { record, value, trail } = item;
    if (isNone(value)) return drop(this.#wiring);
    if (item.entry === "given-up") return this.#returned(item);
    const [rules] = this.#rulesOf(item.input);
    if (record.raw.key === null) return this.#unkeyed(item, rules);
    // mistake: join takes what is late
    const lateness = latenessOf(item, record.context.timestamp + rules.graceMs);
    if (lateness === null) {
      this.#checkRoom(item, views);
      return this.#join(item, views.view(this.#store));
    }
    trail.late = lateness;
    drop(this.#wiring);
    this.#late[item.input]?.(value);
  }

  /** Counts the record among those that are kept, unless its key is full. */
  #checkRoom(item: Item, views: Views): void {
    const { bound } = this.#node.operation;
    if (this.#kept === null || bound === undefined) return;
    const view = views.view(this.#kept.name);
    const { own } = item.key as RecordBuckets;
    if (this.#kept.total(view, own) >= bound.most)
      checkRoom(bound, this.#node.name, "records of a side wait");
    this.#kept.add(view, own, 1);
  }

  /** Nothing can be its partner (KIP-962). */
  #unkeyed(item: Item, { side, isOuter }: SideRules): void {
    if (!isOuter) return dropUnkeyed(item, false, this.#wiring);
    this.#wiring.count.passed++;
    this.#emit(side, item.value, null);
  }

  #join(item: Item, view: StoreView): void {
    const { input, record, trail, value } = item;
    const { cursor, count } = this.#wiring;
    const [rules, other] = this.#rulesOf(input);
    const { own, others } = item.key as RecordBuckets;
    const partners = this.#partnersOf(record, rules, (span) =>
      others.flatMap((bucket) => partnersIn(view, other, bucket, span)),
    );
    const encode = this.#encoders[input];
    assert(encode !== undefined, `${this.#node.name} has no writer for its values`);
    const bytes = encode(value, cursor);
    const { timestamp: timeMs } = record.context;
    const { originMs } = record;
    const isMatched = rules.isOuter && partners.length > 0;
    const kept = new BufferedRecord({ timeMs, originMs }, isMatched, value, bytes);
    append(view, rules, own, kept);
    trail.emitted++;
    count.passed++;
    for (const partner of partners) this.#pair(record, rules.side, kept, partner);
  }

  /** In the order of their times. */
  #partnersOf(
    { context: { timestamp } }: DecodedRecord,
    { beforeMs, afterMs }: SideRules,
    find: (span: { fromMs: number; toMs: number }) => BufferedRecord[],
  ): readonly BufferedRecord[] {
    const found = find({ fromMs: timestamp - beforeMs, toMs: timestamp + afterMs });
    return found.sort((a, b) => a.timeMs - b.timeMs);
  }

  /** The times of a pair are the larger ones of its records, so they are the same whichever came first. */
  #pair(record: DecodedRecord, side: JoinSide, own: BufferedRecord, partner: BufferedRecord): void {
    const { cursor } = this.#wiring;
    const timestamp = Math.max(record.context.timestamp, partner.timeMs);
    // mistake: origin time of a pair
    const originMs = Math.max(record.originMs, partner.originMs);
    const joined = this.#originOf(side, own, partner);
    cursor.record = pairRecord(record, this.#store, { timestamp, originMs, joined });
    this.#emit(side, own.value, partner.value);
    cursor.record = record;
  }

  #originOf(side: JoinSide, own: BufferedRecord, other: BufferedRecord | null): JoinOrigin {
    return { at: this.at, sides: side === 0 ? [own, other] : [other, own], sent: 0 };
  }

  /** `value` is of this side. */
  #emit(side: JoinSide, value: unknown, other: unknown): void {
    const { cursor } = this.#wiring;
    const [left, right] = side === 0 ? [value, other] : [other, value];
    this.#results(present(this.#node.operation.joiner(left, right)));
    cursor.step = this.at;
  }

  due({ key, watermark }: Item, views: Views): void {
    const over = this.#takenOut(key as StateKey, watermark, views);
    if (over === null) return;
    const { cursor } = this.#wiring;
    cursor.record = { ...cursor.record, raw: { ...cursor.record.raw, entry: over.place } };
    this.#alone(bucketOf(key as StateKey), over.record);
  }

  /** A record that was to be emitted alone comes back, at its own times. */
  #returned({ record, value }: Item): void {
    const { side, time, origin, value: own } = value as GivenUpRecord;
    const at = SIDE_NAMES.indexOf(side) as JoinSide;
    const bytes = this.#encoders[at]?.(own, this.#wiring.cursor) ?? Buffer.of();
    const kept = new BufferedRecord({ timeMs: time, originMs: origin }, false, own, bytes);
    this.#alone({ side: at, key: record.raw.key as Buffer }, kept);
  }

  recordKeyOf(key: StateKey): Buffer {
    return bucketOf(key).key;
  }

  giveUpDue({ key, watermark, record }: Item, views: Views): readonly KeptResult[] {
    const over = this.#takenOut(key as StateKey, watermark, views);
    if (over === null) return [];
    const { side, key: own } = bucketOf(key as StateKey);
    const name = sideNames(this.#node.operation.store)[side] as string;
    const { options } = this.#wiring;
    const value = givenUpOf(
      side,
      over.record,
      options.keepingOf({ store: { ...this.#node.operation.store, name } }),
    );
    const at = resultRecord(record, { key: own, keyValue: null }, value.time);
    // mistake: record without a partner given up
    return [{ value, record: at, isGivenUp: true, place: over.place }];
  }

  #takenOut(own: StateKey, watermark: number, views: Views): TakenOut | null {
    const bucket = bucketOf(own);
    const [rules] = this.#rulesOf(bucket.side);
    const taken = takenOut(views.view(this.#store), rules, { key: own, watermark });
    // mistake: record kept for ever in its count
    if (taken.gone > 0) this.#kept?.add(views.view(this.#kept.name), bucket, -taken.gone);
    return taken.over;
  }

  #alone({ side, key }: Pick<JoinBucket, "side" | "key">, own: BufferedRecord): void {
    const { cursor } = this.#wiring;
    const keyValue = keyOfResult(this.#wiring, this.#node, key);
    const of = { originMs: own.originMs, joined: this.#originOf(side, own, null) };
    cursor.record = resultRecord(cursor.record, { key, keyValue }, own.timeMs, of);
    this.#wiring.count.passed++;
    this.#emit(side, own.value, null);
  }
}

const isNone = (value: unknown): boolean => value === undefined || value === null;
