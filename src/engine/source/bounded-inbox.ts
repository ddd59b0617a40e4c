// The inbox of a run that ends: gives out nothing at or beyond the end of its range, brings progress to exactly that end,
// and hands the records of several partitions out in order of time, waiting for each until it has one or has ended.
// Each partition is paused for itself, or one that waits could starve behind a full one.
import type { Bounds, Pace } from "../core/bounds.ts";
import type { RecordBatch } from "../core/kafka.ts";
import type { GroupId, RawRecord, TopicName, TopicPartition } from "../core/record.ts";
import { Bell } from "./bell.ts";
import { Inbox, weightOf, type InboxLimits, type Run, type Valve } from "./inbox.ts";

/** What a task needs of its inbox. */
export type TaskInbox = Pick<
  Inbox,
  "push" | "take" | "nudge" | "nudged" | "hold" | "close" | "bytes" | "isEmpty"
>;

export interface Bounded {
  readonly group: GroupId;
  /** Undefined in a live pipeline. */
  readonly bounds: Bounds | undefined;
  readonly pace: Pace | undefined;
}

type Starts = readonly (TopicPartition & { readonly nextOffset: bigint })[];

/** The inbox that fits the worker: bounded where it has bounds. */
export function openInbox(
  starts: Starts,
  limits: InboxLimits,
  valve: Valve,
  { group, bounds, pace }: Bounded,
): TaskInbox {
  if (bounds === undefined) return new Inbox(starts, limits, valve);
  return new BoundedInbox(starts, { limits, valve, group, bounds, pace });
}

type LastBatch = Pick<Run, "generation" | "highWatermark">;

interface Queue {
  readonly at: TopicPartition;
  readonly batches: RecordBatch[];
  /** Where the next batch must begin. */
  expected: bigint;
  /** Records of the first batch that were given out already. */
  taken: number;
  /** Progress when everything that was given out is done. */
  position: bigint;
  last: LastBatch | null;
  bytes: number;
  isPaused: boolean;
}

interface BoundedOptions extends Bounded {
  readonly limits: InboxLimits;
  readonly valve: Valve;
  readonly bounds: Bounds;
}

export class BoundedInbox implements TaskInbox {
  readonly #queues = new Map<TopicName, Queue>();
  readonly #options: BoundedOptions;
  readonly #life = new AbortController();
  readonly #unwatch: () => void;
  #held: ReadonlySet<TopicName> = new Set();
  readonly #bell = new Bell();

  constructor(starts: Starts, options: BoundedOptions) {
    this.#options = options;
    for (const { topic, partition, nextOffset } of starts)
      this.#queues.set(topic, {
        at: { topic, partition },
        batches: [],
        expected: nextOffset,
        taken: 0,
        position: nextOffset,
        last: null,
        bytes: 0,
        isPaused: false,
      });
    this.#unwatch = options.bounds.watch(() => this.#bell.ring());
  }

  get bytes(): number {
    return [...this.#queues.values()].reduce((sum, queue) => sum + queue.bytes, 0);
  }

  /** Whether `take` would wait. */
  get isEmpty(): boolean {
    return this.#options.pace?.isOpen === false || this.#choose() === null;
  }

  push(batch: RecordBatch): bigint | null {
    const queue = this.#queues.get(batch.topic);
    if (this.#life.signal.aborted || queue === undefined) return null;
    if (batch.fetchedOffset !== queue.expected) return queue.expected;
    queue.batches.push(batch);
    queue.expected = batch.nextOffset;
    const { generation, highWatermark } = batch;
    queue.last = { generation, highWatermark };
    queue.bytes += weightOf(batch);
    if (!queue.isPaused && queue.bytes > this.#bytesMax) this.#turn(queue, true);
    this.#bell.ring();
    return null;
  }

  async take(): Promise<Run | null> {
    const { signal } = this.#life;
    while (!signal.aborted) {
      const chosen = this.#choose();
      if (chosen !== null) return this.#paced(this.#slice(chosen.queue, chosen.timeMax));
      if (this.#bell.takeNudge()) return null;
      await this.#bell.sleep();
    }
    return null;
  }

  nudge(): void {
    this.#bell.nudge();
  }

  async nudged(): Promise<void> {
    while (!this.#life.signal.aborted && !this.#bell.takeNudge()) {
      await this.#bell.sleep();
    }
  }

  /** Gives out nothing more of these topics, nor waits for them. */
  hold(topics: ReadonlySet<TopicName>): void {
    this.#held = topics;
    this.#bell.ring();
  }

  close(): void {
    this.#unwatch();
    this.#life.abort(new Error("the inbox was closed"));
    for (const queue of this.#queues.values()) {
      queue.batches.length = 0;
      queue.bytes = 0;
    }
    this.#bell.ring();
  }

  get #bytesMax(): number {
    return this.#options.limits.bytesMax / this.#queues.size;
  }

  #end({ at }: Queue): bigint | null {
    return this.#options.bounds.end(this.#options.group, at);
  }

  /** Only what comes from outside is paced: the rest follows from it. */
  async #paced(run: Run): Promise<Run | null> {
    const { pace, bounds, group } = this.#options;
    const isPaced = run.records.length > 0 && bounds.end(group, run) !== null;
    if (pace === undefined || !isPaced) return run;
    const { signal } = this.#life;
    return pace.take(run.records.length, signal).then(
      () => (signal.aborted ? null : run),
      (error: unknown) => {
        if (signal.aborted) return null;
        throw error;
      },
    );
  }

  /** Progress without records goes first; else the smallest head beside which nothing is waited for. */
  #choose(): { readonly queue: Queue; readonly timeMax: number } | null {
    const queues = [...this.#queues.values()].filter(({ at }) => !this.#held.has(at.topic));
    const idle = queues.find((queue) => this.#headOf(queue) === "passed");
    if (idle !== undefined) return { queue: idle, timeMax: Infinity };
    const heads = queues.flatMap((queue) => {
      const head = this.#headOf(queue);
      return head === null || head === "passed" ? [] : [{ queue, time: head.timestamp }];
    });
    const { bounds, group } = this.#options;
    for (const { queue } of heads.sort((a, b) => a.time - b.time)) {
      const beside = bounds.beside(group, queue.at.topic);
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
    const end = this.#end(queue) ?? this.#options.bounds.last(this.#options.group, queue.at);
    return end !== null && queue.position >= end;
  }

  #slice(queue: Queue, timeMax: number): Run {
    const end = this.#end(queue);
    const [batch] = queue.batches;
    const from = queue.taken;
    // Without a batch there is progress only behind one that was there.
    const { generation, highWatermark } = queue.last as LastBatch;
    const about = { ...queue.at, generation, highWatermark };
    if (batch === undefined) {
      queue.position = lesser(queue.expected, end);
      return { ...about, records: [], nextOffset: queue.position };
    }
    const to = this.#sliceEnd(batch.records, from, { end, timeMax });
    const next = batch.records[to];
    queue.position = lesser(next === undefined ? batch.nextOffset : next.offset, end);
    queue.taken = next === undefined ? 0 : to;
    if (next === undefined) this.#drop(queue, batch);
    const isWhole = next === undefined && from === 0;
    const records = isWhole ? batch.records : batch.records.slice(from, to);
    return { ...about, records, nextOffset: queue.position };
  }

  #sliceEnd(
    all: readonly RawRecord[],
    from: number,
    { end, timeMax }: { readonly end: bigint | null; readonly timeMax: number },
  ): number {
    const most = Math.min(all.length, from + this.#options.limits.runRecordsMax);
    let to = from;
    for (; to < most; to++) {
      const { offset, timestamp } = all[to] as RawRecord;
      if ((end !== null && offset >= end) || (to > from && timestamp > timeMax)) break;
    }
    return to;
  }

  #drop(queue: Queue, batch: RecordBatch): void {
    queue.batches.shift();
    queue.bytes -= weightOf(batch);
    if (queue.isPaused && queue.bytes < this.#bytesMax / 2) this.#turn(queue, false);
  }

  #turn(queue: Queue, isPaused: boolean): void {
    queue.isPaused = isPaused;
    if (isPaused) this.#options.valve.pause([queue.at]);
    else this.#options.valve.resume([queue.at]);
  }
}

const lesser = (offset: bigint, end: bigint | null): bigint =>
  end !== null && offset > end ? end : offset;

/** Of partitions that are not ordered with others, each is a follower, as in a live pipeline. */
const isFollower = ({ at }: Queue, beside: ReadonlySet<TopicName>): boolean =>
  beside.size === 0 || beside.has(at.topic);
