// Inbox: what has been fetched for one task and not processed yet. Bounded: a full one pauses its partitions.
// Slices of one partition follow each other without a gap; a batch out of sequence is refused; nothing of a paused topic is
// handed out. Three policies, which a live pipeline does without, say what is handed out of the rest:
//   end   nothing at or beyond the end of a range, and progress comes to exactly that end
//   wait  of several partitions the oldest record goes first, and each is waited for until it has one or has ended
//   pace  so many records a second of those that have an end
// At a first start nothing is handed out of the other topics until reference topics are loaded.
import type { MillraceError } from "../core/errors.ts";
import type { RecordBatch } from "../core/kafka.ts";
import { Loading, type LoadStart } from "../core/loading.ts";
import type { RawRecord, TopicName } from "../core/record.ts";
import {
  isFollower,
  isAtFailure,
  loadingText,
  paced,
  queuesOf,
  type Budget,
  type FetchedSlice,
  type InboxLimits,
  type InboxPolicies,
  type Queue,
  type Valve,
} from "./queue.ts";

/** A record as an object, its slices of the fetch and its place in the batch: measured with V8 13. */
const RECORD_BYTES = 400;
const weightOf = ({ byteLength, records }: RecordBatch): number =>
  byteLength + RECORD_BYTES * records.length;

const nothing: ReadonlySet<TopicName> = new Set();

export class Inbox {
  readonly #queues: ReadonlyMap<TopicName, Queue>;
  readonly #limits: InboxLimits;
  readonly #valve: Valve;
  readonly #policies: InboxPolicies;
  readonly #life = new AbortController();
  readonly #unwatch: (() => void) | undefined;
  /** Ends the sleep of its owner; only one sleeps at a time. */
  #wake = (): void => undefined;
  #isNudged = false;
  #loading: Loading | null;
  /** Paused from outside; null before that was said. */
  #given: ReadonlySet<TopicName> | null = null;
  #pausedTopics = nothing;

  /** `starts` names each partition of the task and the offset at which it begins. */
  constructor(
    starts: readonly LoadStart[],
    limits: InboxLimits,
    valve: Valve,
    policies: InboxPolicies = { group: "", bounds: undefined, pace: undefined },
  ) {
    this.#limits = limits;
    this.#valve = valve;
    this.#policies = policies;
    this.#queues = queuesOf(starts, limits.bytesMax, policies.bounds !== undefined);
    this.#unwatch = policies.bounds?.watch(() => this.#wake());
    this.#loading = Loading.of(starts);
    this.#pausedTopics = this.#pausing;
  }

  get bytes(): number {
    const budgets = new Set([...this.#queues.values()].map(({ budget }) => budget));
    return [...budgets].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The reason why nothing is handed out of the topic: others are to be loaded first. Null: none. */
  whyWaits(topic: TopicName): string | null {
    if (this.#loading?.waits(topic) !== true) return null;
    return loadingText(this.#loading, this.#queues);
  }

  /** Whether `take` would wait. */
  get isEmpty(): boolean {
    return this.#policies.pace?.isOpen === false || this.#choose() === null;
  }

  /** Returns the offset to seek to when the batch does not follow the last one, else null. */
  push(batch: RecordBatch): bigint | null {
    const queue = this.#queues.get(batch.topic);
    if (this.#life.signal.aborted || queue === undefined) return null;
    // mistake: double resume
    if (batch.fetchedOffset !== queue.expected) return queue.expected;
    if (this.#pausedTopics.has(batch.topic)) return queue.expected;
    queue.batches.push(batch);
    queue.expected = batch.nextOffset;
    queue.last = batch;
    this.#weigh(queue.budget, weightOf(batch));
    this.#wake();
    return null;
  }

  /** Nothing comes of the topic behind what there is, since it cannot be read. */
  fail(topic: TopicName, failure: MillraceError): void {
    const queue = this.#queues.get(topic);
    if (queue === undefined) return;
    queue.failure = failure;
    this.nudge();
  }

  /** The failure of a topic of which everything in front of it was handed out, within the range. */
  get failure(): MillraceError | null {
    const isNext = (queue: Queue): boolean =>
      isAtFailure(queue) && !this.#pausedTopics.has(queue.at.topic) && !this.#hasEnded(queue);
    const found = [...this.#queues.values()].find((one) => one.failure !== null && isNext(one));
    return found?.failure ?? null;
  }

  /** The next slice, waiting for one; null when the inbox was closed, and after a nudge. */
  async take(): Promise<FetchedSlice | null> {
    while (!this.#life.signal.aborted) {
      const chosen = this.#choose();
      if (chosen !== null) return this.#paced(this.#slice(chosen.queue, chosen.timeMax));
      if (this.#takeNudge()) return null;
      await this.#sleep();
    }
    return null;
  }

  /** There is something else to do than to wait for records. */
  nudge(): void {
    this.#isNudged = true;
    this.#wake();
  }

  #takeNudge(): boolean {
    const isNudged = this.#isNudged;
    this.#isNudged = false;
    return isNudged;
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  /** Resolves after the next nudge, or when the inbox was closed. */
  async nudged(): Promise<void> {
    while (!this.#life.signal.aborted && !this.#takeNudge()) {
      await this.#sleep();
    }
  }

  /** Drops what is left and ends `take`. */
  close(): void {
    this.#unwatch?.();
    this.#life.abort(new Error("the inbox was closed"));
    for (const queue of this.#queues.values()) {
      queue.batches.length = 0;
      queue.expected = queue.position;
      queue.budget.bytes = 0;
    }
    this.#wake();
  }

  /**
   * Hands out no records of these topics, which replace those paused before, nor waits for them. Records that were
   * fetched already are dropped, so that they are in nobody's way, and fetched again when their time has come.
   */
  pauseTopics(topics: ReadonlySet<TopicName>): void {
    if (this.#life.signal.aborted || topics === this.#given) return;
    this.#given = topics;
    this.#pause(this.#pausing);
  }

  /** Those that are paused from outside, and those that wait for what is loaded first. */
  get #pausing(): ReadonlySet<TopicName> {
    const given = this.#given ?? nothing;
    const loading = this.#loading;
    if (loading === null) return given;
    // mistake: reference not awaited
    const waiting = [...this.#queues.keys()].filter((topic) => loading.waits(topic));
    return new Set([...given, ...waiting]);
  }

  #pause(topics: ReadonlySet<TopicName>): void {
    const queues = [...this.#queues.values()];
    const released = queues.filter(
      ({ at }) => this.#pausedTopics.has(at.topic) && !topics.has(at.topic),
    );
    const paused = queues.filter(({ at }) => topics.has(at.topic));
    this.#pausedTopics = topics;
    this.#valve.pause(paused.map(({ at }) => at));
    for (const queue of paused) this.#giveBack(queue);
    const free = released.filter(({ budget }) => !budget.isPaused);
    if (free.length > 0) this.#valve.resume(free.map(({ at }) => at));
    this.#wake();
  }

  #giveBack(queue: Queue): void {
    const [first] = queue.batches;
    if (first === undefined) return;
    const next = queue.taken === 0 ? undefined : first.records[queue.taken];
    queue.expected = next?.offset ?? first.fetchedOffset;
    queue.taken = 0;
    // It is fetched again, and fails again behind them.
    queue.failure = null;
    for (const batch of queue.batches.splice(0)) this.#weigh(queue.budget, -weightOf(batch));
    // The next records may be long in coming.
    this.#valve.seek(queue.at, queue.expected);
  }

  #weigh(budget: Budget, bytes: number): void {
    budget.bytes += bytes;
    const isFull = budget.isPaused
      ? budget.bytes >= budget.bytesMax / 2
      : budget.bytes > budget.bytesMax;
    if (isFull === budget.isPaused) return;
    budget.isPaused = isFull;
    const partitions = budget.queues.map(({ at }) => at);
    if (isFull) this.#valve.pause(partitions);
    else this.#valve.resume(partitions.filter(({ topic }) => !this.#pausedTopics.has(topic)));
  }

  #end({ at }: Queue): bigint | null {
    return this.#policies.bounds?.end(this.#policies.group, at) ?? null;
  }

  /** Only what comes from outside is paced: the rest follows from it. */
  #paced(run: FetchedSlice): FetchedSlice | Promise<FetchedSlice | null> {
    const { pace, bounds, group } = this.#policies;
    const isPaced = run.records.length > 0 && (bounds?.end(group, run) ?? null) !== null;
    if (pace === undefined || !isPaced) return run;
    return paced(run, pace, this.#life.signal);
  }

  /** Progress without records goes first; else the oldest head beside which nothing is waited for, as long as it stays the oldest. */
  #choose(): { readonly queue: Queue; readonly timeMax: number } | null {
    const queues = [...this.#queues.values()].filter(({ at }) => !this.#pausedTopics.has(at.topic));
    const heads: { readonly queue: Queue; readonly time: number }[] = [];
    for (const queue of queues) {
      const head = this.#headOf(queue);
      if (head === "passed") return { queue, timeMax: Infinity };
      if (head !== null) heads.push({ queue, time: head.timestamp });
    }
    const { bounds, group } = this.#policies;
    for (const { queue } of heads.sort((a, b) => a.time - b.time)) {
      const beside = bounds?.beside(group, queue.at.topic) ?? nothing;
      const isAwaited = (other: Queue): boolean =>
        beside.has(other.at.topic) && this.#headOf(other) === null && !this.#hasEnded(other);
      if (queues.some(isAwaited)) continue;
      const next = heads.find((head) => head.queue !== queue && isFollower(head.queue, beside));
      return { queue, timeMax: next?.time ?? Infinity };
    }
    return null;
  }

  /** The next record within the range; "passed": progress moves on without one; null: nothing is there. */
  #headOf(queue: Queue): RawRecord | "passed" | null {
    const end = this.#end(queue);
    if (end !== null && queue.position >= end) return null;
    const [batch] = queue.batches;
    if (batch === undefined) return queue.expected > queue.position ? "passed" : null;
    const head = batch.records[queue.taken];
    return head === undefined || (end !== null && head.offset >= end) ? "passed" : head;
  }

  #hasEnded(queue: Queue): boolean {
    const { bounds, group } = this.#policies;
    const end = this.#end(queue) ?? bounds?.last(group, queue.at) ?? null;
    return end !== null && queue.position >= end;
  }

  #slice(queue: Queue, timeMax: number): FetchedSlice {
    const slice = this.#cut(queue, timeMax);
    if (this.#loading !== null) this.#load(this.#loading, queue);
    return slice;
  }

  /** The queue has come further: what waited for it comes behind it. */
  #load(loading: Loading, { at, position }: Queue): void {
    this.#loading = loading.read(at.topic, position);
    if (this.#loading !== null) return;
    this.#pause(this.#pausing);
    this.#policies.onLoaded?.();
  }

  #cut(queue: Queue, timeMax: number): FetchedSlice {
    const end = this.#end(queue);
    const [batch] = queue.batches;
    const from = queue.taken;
    // Without a batch there is progress only behind one that was there.
    const { generation, highWatermark } = batch ?? (queue.last as RecordBatch);
    const about = { ...queue.at, generation, highWatermark };
    if (batch === undefined) {
      queue.position = lesser(queue.expected, end);
      return { ...about, records: [], nextOffset: queue.position };
    }
    const to = this.#sliceEnd(batch.records, from, end, timeMax);
    const next = batch.records[to];
    queue.position = lesser(next === undefined ? batch.nextOffset : next.offset, end);
    queue.taken = next === undefined ? 0 : to;
    const isWhole = next === undefined && from === 0;
    const records = isWhole ? batch.records : batch.records.slice(from, to);
    if (next === undefined) {
      queue.batches.shift();
      this.#weigh(queue.budget, -weightOf(batch));
    }
    return { ...about, records, nextOffset: queue.position };
  }

  #sliceEnd(all: readonly RawRecord[], from: number, end: bigint | null, timeMax: number): number {
    const most = Math.min(all.length, from + this.#limits.sliceRecordsMax);
    let to = from;
    for (; to < most; to++) {
      const { offset, timestamp } = all[to] as RawRecord;
      if ((end !== null && offset >= end) || (to > from && timestamp > timeMax)) break;
    }
    return to;
  }
}

const lesser = (offset: bigint, end: bigint | null): bigint =>
  end !== null && offset > end ? end : offset;
