// A consumer's position in each partition that it owns, and the next batch, taking partitions in turn.
import type { ConsumerHandlers, RecordBatch } from "../../core/kafka.ts";
import { BatchError, MillraceError } from "../../core/errors.ts";
import { addressOf, type TopicPartition } from "../../core/record.ts";
import type { Access } from "./broker/access.ts";
import type { Conditions } from "./broker/conditions.ts";
import type { LogSlice, PartitionLog, ReadLimits } from "./broker/partition-log.ts";
import type { Topics } from "./broker/topics.ts";

interface MemberPosition {
  readonly at: TopicPartition;
  /** Null: no offset was given yet, or the one given is outside the log. */
  nextOffset: bigint | null;
  isPaused: boolean;
  isRefused: boolean;
  /** As last shown to the listener. */
  end: bigint;
}

/** Receives what cannot be read. */
interface ReadListener {
  onOutOfRange(at: TopicPartition): void;
  onUnreadable(at: TopicPartition, error: BatchError): void;
  onRefused(at: TopicPartition, error: MillraceError | null): void;
  onEnd?: ConsumerHandlers["onEnd"];
  readonly quiet?: ConsumerHandlers["quiet"];
}

type FetchedBatch = Omit<RecordBatch, "generation">;

export class MemberPositions {
  readonly #topics: Topics;
  readonly #access: Access;
  readonly #limits: ReadLimits;
  readonly #conditions: Conditions;
  /** In the order in which they are served: whoever was served goes to the end. */
  #positions: MemberPosition[] = [];

  constructor(
    { topics, access }: { readonly topics: Topics; readonly access: Access },
    limits: ReadLimits,
    conditions: Conditions,
  ) {
    this.#topics = topics;
    this.#access = access;
    this.#limits = limits;
    this.#conditions = conditions;
  }

  /** Replaces all positions by these partitions, paused until `seek` and `resume`. */
  reset(partitions: readonly TopicPartition[]): void {
    this.#positions = partitions.map((at) => ({
      at,
      nextOffset: null,
      isPaused: true,
      isRefused: false,
      end: -1n,
    }));
  }

  setPaused(partitions: readonly TopicPartition[], isPaused: boolean): void {
    for (const position of this.#of(partitions)) position.isPaused = isPaused;
  }

  seek(partition: TopicPartition, nextOffset: bigint): void {
    for (const position of this.#of([partition])) position.nextOffset = nextOffset;
  }

  /** Null when no partition has anything new. */
  next(listener: ReadListener): FetchedBatch | null {
    for (const position of [...this.#positions]) {
      const batch = position.isPaused ? null : this.#fetch(position, listener);
      if (batch === null) continue;
      this.#positions = [...this.#positions.filter((other) => other !== position), position];
      return batch;
    }
    return null;
  }

  #fetch(position: MemberPosition, listener: ReadListener): FetchedBatch | null {
    const { at, nextOffset } = position;
    const log = this.#logOf(at);
    if (nextOffset === null || this.#isRefused(position, log, listener) || log === null)
      return null;
    if (nextOffset < log.start || nextOffset > log.highWatermark) {
      position.nextOffset = null;
      listener.onOutOfRange(at);
      return null;
    }
    const read = this.#read(log, nextOffset);
    if (read instanceof BatchError) {
      position.nextOffset = null;
      listener.onUnreadable(at, read);
      return null;
    }
    const { fetchedOffset, slice } = read;
    const { marks, ...range } = slice;
    this.#sayEnd(position, log.lastStableOffset, marks, listener);
    if (slice.nextOffset === fetchedOffset) {
      const { quiet } = listener;
      if (fetchedOffset === log.highWatermark) quiet?.seen(at, log.highWatermark, quiet.reading());
      return null;
    }
    position.nextOffset = slice.nextOffset;
    return { ...at, ...range, fetchedOffset, highWatermark: log.highWatermark };
  }

  #read(
    log: PartitionLog,
    nextOffset: bigint,
  ): { readonly fetchedOffset: bigint; readonly slice: LogSlice } | BatchError {
    try {
      const slice = (): LogSlice => log.read(nextOffset, this.#limits);
      return this.#misplaced(log, nextOffset) ?? { fetchedOffset: nextOffset, slice: slice() };
    } catch (error) {
      if (error instanceof BatchError) return error;
      throw error;
    }
  }

  /** Quiet fetches would say the same again. */
  #sayEnd(
    position: MemberPosition,
    end: bigint,
    marks: LogSlice["marks"],
    listener: ReadListener,
  ): void {
    if (end !== position.end || marks.length > 0) listener.onEnd?.(position.at, end, marks);
    position.end = end;
  }

  #isRefused(position: MemberPosition, log: PartitionLog | null, listener: ReadListener): boolean {
    const { at, isRefused } = position;
    const refusal =
      log === null
        ? new MillraceError("MILL_TOPIC_MISSING", at.topic, { where: at })
        : this.#access.refusalOfTopic(at.topic, `fetch of ${addressOf(at)}`);
    position.isRefused = refusal !== null;
    if (isRefused !== position.isRefused) listener.onRefused(at, refusal);
    return position.isRefused;
  }

  /** A batch from elsewhere, if one is due and the log has something there. */
  #misplaced(
    log: PartitionLog,
    nextOffset: bigint,
  ): { fetchedOffset: bigint; slice: LogSlice } | null {
    const fetchedOffset = nextOffset + this.#conditions.misplacement;
    if (fetchedOffset === nextOffset) return null;
    if (fetchedOffset < log.start || fetchedOffset >= log.lastStableOffset) return null;
    this.#conditions.takeMisplacement();
    return { fetchedOffset, slice: log.read(fetchedOffset, this.#limits) };
  }

  /** Null while the topic is deleted. */
  #logOf({ topic, partition }: TopicPartition): PartitionLog | null {
    return this.#topics.describe(topic) === null
      ? null
      : (this.#topics.logs(topic)[partition] ?? null);
  }

  #of(partitions: readonly TopicPartition[]): readonly MemberPosition[] {
    const asked = new Set(partitions.map(addressOf));
    return this.#positions.filter(({ at }) => asked.has(addressOf(at)));
  }
}
