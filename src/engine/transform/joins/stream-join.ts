// Joins of two streams: a record finds the records of the other side that have its key and lie in its span of time, and is kept
// for those that come later. What is late is judged by the grace alone, so every partner that is on time is found, in whatever
// order the two come. A record without a partner is emitted, where its side asks for that, once none can come any more.
import { assert } from "../../core/errors.ts";
import {
  BufferedRecord,
  type BufferChunk,
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
  type MakeOperator,
  type Next,
  type Operator,
  type Views,
  type Want,
  type Wiring,
} from "../operator.ts";
import { EarlyShapes } from "../kept/early-shapes.ts";
import { checkRoom, type KeyBound } from "../bounds/bound.ts";
import { KeptRecords } from "../bounds/kept-records.ts";
import { keyOfResult, pairRecord, resultRecord } from "../windows/result-record.ts";
import { latenessOf } from "../windows/result.ts";
import {
  append,
  bucketOf,
  chunkKey,
  chunksOf,
  entryOf,
  isAlone,
  lastPartnerMs,
  keyIn,
  partnersIn,
  RecordBuckets,
  widthOf,
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

  meets({ value, input }: Item): void {
    const side = this.#node.operation.store.changelog.value;
    const format = side.kind === "join-buffer" ? side.sides[input] : undefined;
    if (format?.writes === "tagged" && !isNone(value)) this.#early.note(format.shapes, value);
  }

  keys(item: Item, want: Want): void {
    const { raw, context } = item.record;
    if (isNone(item.value) || raw.key === null) return;
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
    if (over !== null) this.#alone(bucketOf(key as StateKey), over);
  }

  recordKeyOf(key: StateKey): Buffer {
    return bucketOf(key).key;
  }

  giveUpDue({ key, watermark }: Item, views: Views): readonly [] {
    this.#takenOut(key as StateKey, watermark, views);
    return [];
  }

  /** One record of a chunk that found no partner, where there is one: each is emitted, or fails, by itself. */
  #takenOut(own: StateKey, watermark: number, views: Views): BufferedRecord | null {
    const view = views.view(this.#store);
    const entry = view.get(own);
    if (entry === null) return null;
    const chunk = entry.value as BufferChunk;
    const bucket = bucketOf(own);
    const [rules] = this.#rulesOf(bucket.side);
    const next = entryOf(rules, bucket, chunk);
    const dueMs = next.dueMs as number;
    // A longer grace has been deployed since.
    if (dueMs >= watermark) {
      view.set(own, next);
      return null;
    }
    const over = chunk.records.find(
      (one) => isAlone(rules, one) && lastPartnerMs(rules, one.timeMs) <= dueMs,
    );
    const records = chunk.records.filter((one) => one !== over);
    const rest = { ...chunk, records };
    const waits = dueMs < endDueMs(rules, bucket) || records.some((one) => isAlone(rules, one));
    const isKept = over !== undefined && waits;
    view.set(own, isKept ? entryOf(rules, bucket, rest) : null);
    const left = isKept ? records.length : 0;
    // mistake: record kept for ever in its count
    this.#kept?.add(views.view(this.#kept.name), bucket, left - chunk.records.length);
    return over ?? null;
  }

  #alone({ side, key }: JoinBucket, own: BufferedRecord): void {
    const { cursor } = this.#wiring;
    const keyValue = keyOfResult(this.#wiring, this.#node, key);
    const of = { originMs: own.originMs, joined: this.#originOf(side, own, null) };
    cursor.record = resultRecord(cursor.record, { key, keyValue }, own.timeMs, of);
    this.#wiring.count.passed++;
    this.#emit(side, own.value, null);
  }
}

const isNone = (value: unknown): boolean => value === undefined || value === null;

const endDueMs = (rules: SideRules, { startMs }: JoinBucket): number =>
  lastPartnerMs(rules, startMs + widthOf(rules) - 1);

function sidesOf({ kind, beforeMs, afterMs, graceMs }: StreamJoin): [SideRules, SideRules] {
  const left: SideRules = { side: 0, isOuter: kind !== "join", beforeMs, afterMs, graceMs };
  const right: SideRules = {
    side: 1,
    isOuter: kind === "outer-join",
    // As the right record sees it.
    beforeMs: afterMs,
    afterMs: beforeMs,
    graceMs,
  };
  return [left, right];
}
