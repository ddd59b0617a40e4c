// Inbox: what has been fetched for one task and not processed yet. Bounded: a full one pauses its partitions.
// Promises that runs of one partition follow each other without a gap; a batch out of sequence is refused; and that of a
// topic that is held nothing is handed out.
import { addressOf, type RawRecord, type TopicName, type TopicPartition } from "../core/record.ts";
import type { GroupGeneration, RecordBatch } from "../core/kafka.ts";
import { Bell } from "./bell.ts";

export interface InboxLimits {
  /** Above this the partitions are paused; below half of it they are resumed. */
  readonly bytesMax: number;
  /** Records in one run, so that a large fetch does not hold the event loop. */
  readonly runRecordsMax: number;
}

/** Fetching: the consumer, as the inbox needs it. */
export interface Valve {
  seek(partition: TopicPartition, nextOffset: bigint): void;
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
}

/** Consecutive records of one partition. */
export interface Run extends TopicPartition {
  readonly generation: GroupGeneration;
  readonly records: readonly RawRecord[];
  /** Progress when these records are done. */
  readonly nextOffset: bigint;
  readonly highWatermark: bigint;
}

interface Queue {
  readonly at: TopicPartition;
  readonly batches: RecordBatch[];
  /** Where the next batch must begin. */
  expected: bigint;
  /** Records of the first batch that were taken already. */
  taken: number;
}

/** A record as an object, its slices of the fetch and its place in the batch: measured with V8 13. */
const RECORD_BYTES = 400;
export const weightOf = ({ byteLength, records }: RecordBatch): number =>
  byteLength + RECORD_BYTES * records.length;

export class Inbox {
  readonly #queues = new Map<TopicName, Queue>();
  readonly #limits: InboxLimits;
  readonly #valve: Valve;
  #bytes = 0;
  #isPaused = false;
  #held: ReadonlySet<TopicName> = new Set();
  #isClosed = false;
  readonly #bell = new Bell();

  /** `starts` names each partition of the task and the offset at which it begins. */
  constructor(
    starts: readonly (TopicPartition & { readonly nextOffset: bigint })[],
    limits: InboxLimits,
    valve: Valve,
  ) {
    this.#limits = limits;
    this.#valve = valve;
    for (const { topic, partition, nextOffset } of starts)
      this.#queues.set(topic, {
        at: { topic, partition },
        batches: [],
        expected: nextOffset,
        taken: 0,
      });
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return [...this.#queues.values()].every((queue) => queue.batches.length === 0);
  }

  /** Returns the offset to seek to when the batch does not follow the last one, else null. */
  push(batch: RecordBatch): bigint | null {
    const queue = this.#queues.get(batch.topic);
    if (this.#isClosed || queue === undefined) return null;
    // mistake: double resume
    if (batch.fetchedOffset !== queue.expected) return queue.expected;
    if (this.#held.has(batch.topic)) return queue.expected;
    queue.batches.push(batch);
    queue.expected = batch.nextOffset;
    this.#bytes += weightOf(batch);
    if (!this.#isPaused && this.#bytes > this.#limits.bytesMax) this.#turn(true);
    this.#bell.ring();
    return null;
  }

  /** The next run, waiting for one; null when the inbox was closed, and after a nudge. */
  async take(): Promise<Run | null> {
    while (!this.#isClosed) {
      const run = this.#next();
      if (run !== null) return run;
      if (this.#bell.takeNudge()) return null;
      await this.#bell.sleep();
    }
    return null;
  }

  /** There is something else to do than to wait for records. */
  nudge(): void {
    this.#bell.nudge();
  }

  /** Resolves after the next nudge, or when the inbox was closed. */
  async nudged(): Promise<void> {
    while (!this.#isClosed && !this.#bell.takeNudge()) {
      await this.#bell.sleep();
    }
  }

  /** Drops what is left and ends `take`. */
  close(): void {
    this.#isClosed = true;
    for (const queue of this.#queues.values()) queue.batches.length = 0;
    this.#bytes = 0;
    this.#bell.ring();
  }

  /** Several partitions: the smallest head timestamp goes first, as long as it stays the smallest. */
  #next(): Run | null {
    const ready = [...this.#queues.values()].filter((queue) => queue.batches.length > 0);
    const [first, ...others] = ready.sort((a, b) => headTime(a) - headTime(b));
    if (first === undefined) return null;
    const bound = others.length === 0 ? Infinity : headTime(others[0] as Queue);
    return this.#slice(first, bound);
  }

  #slice(queue: Queue, timeMax: number): Run {
    const batch = queue.batches[0] as RecordBatch;
    const from = queue.taken;
    const most = Math.min(batch.records.length, from + this.#limits.runRecordsMax);
    let to = from;
    while (to < most && (to === from || (batch.records[to] as RawRecord).timestamp <= timeMax))
      to++;
    const isWhole = to >= batch.records.length;
    const records = from === 0 && isWhole ? batch.records : batch.records.slice(from, to);
    queue.taken = isWhole ? 0 : to;
    if (isWhole) this.#drop(queue, batch);
    const nextOffset = isWhole ? batch.nextOffset : (batch.records[to] as RawRecord).offset;
    const { generation, highWatermark } = batch;
    return { ...queue.at, generation, records, nextOffset, highWatermark };
  }

  #drop(queue: Queue, batch: RecordBatch): void {
    queue.batches.shift();
    this.#bytes -= weightOf(batch);
    if (this.#isPaused && this.#bytes < this.#limits.bytesMax / 2) this.#turn(false);
  }

  #turn(isPaused: boolean): void {
    this.#isPaused = isPaused;
    const partitions = [...this.#queues.values()].map((queue) => queue.at);
    if (isPaused) this.#valve.pause(partitions);
    else this.#valve.resume(partitions.filter(({ topic }) => !this.#held.has(topic)));
  }

  /**
   * Hands out nothing of these topics, in the place of those that were held before. What has been fetched of them is
   * dropped, so that it is in nobody's way, and fetched again when its time has come.
   */
  hold(topics: ReadonlySet<TopicName>): void {
    if (this.#isClosed || topics === this.#held) return;
    const queues = [...this.#queues.values()];
    const released = queues.filter(({ at }) => this.#held.has(at.topic) && !topics.has(at.topic));
    const held = queues.filter(({ at }) => topics.has(at.topic));
    this.#held = topics;
    this.#valve.pause(held.map(({ at }) => at));
    for (const queue of held) this.#giveBack(queue);
    if (!this.#isPaused) this.#valve.resume(released.map(({ at }) => at));
  }

  #giveBack(queue: Queue): void {
    const [first] = queue.batches;
    if (first === undefined) return;
    const next = queue.taken === 0 ? undefined : first.records[queue.taken];
    queue.expected = next?.offset ?? first.fetchedOffset;
    queue.taken = 0;
    for (const batch of [...queue.batches]) this.#drop(queue, batch);
    // What comes next may be long in coming.
    this.#valve.seek(queue.at, queue.expected);
  }

  /** Address and next offset of each partition, for messages. */
  toString(): string {
    return [...this.#queues.values()]
      .map((queue) => `${addressOf(queue.at)}@${String(queue.expected)}`)
      .join(" ");
  }
}

const headTime = (queue: Queue): number =>
  queue.batches[0]?.records[queue.taken]?.timestamp ?? -Infinity;
