// The loading of a task's reference topics at a first start: each is read to the end that it had then, and the task's other
// inputs wait meanwhile. The ends travel in the metadata of progress, so every owner of the task knows of them.
import type { StartOffset } from "./kafka.ts";
import type { TopicName } from "./record.ts";

/** The start of one input. */
export interface LoadStart extends StartOffset {
  /** The end to which a reference topic is read first; null: it is loaded; undefined: the input is none. */
  readonly loadTo?: bigint | null;
}

export class Loading {
  readonly #references: ReadonlySet<TopicName>;
  /** The ends of the reference topics that are not loaded yet. */
  readonly #ends: Map<TopicName, bigint>;

  private constructor(references: Iterable<TopicName>, ends: Map<TopicName, bigint>) {
    this.#references = new Set(references);
    this.#ends = ends;
  }

  /** Null: nothing is to be loaded. */
  static of(starts: readonly LoadStart[]): Loading | null {
    const references = starts.filter(({ loadTo }) => loadTo !== undefined);
    const ends = references.flatMap(({ topic, nextOffset, loadTo = null }) =>
      loadTo === null || nextOffset >= loadTo ? [] : [[topic, loadTo] as const],
    );
    if (ends.length === 0) return null;
    return new Loading(
      references.map(({ topic }) => topic),
      new Map(ends),
    );
  }

  /** Whether the topic is read only when the reference topics are loaded. */
  waits(topic: TopicName): boolean {
    return !this.#references.has(topic);
  }

  /** Null: it is loaded, or no reference topic. */
  endOf(topic: TopicName): bigint | null {
    return this.#ends.get(topic) ?? null;
  }

  /** The topics that are not loaded yet, and to which offset each is read. */
  get ends(): ReadonlyMap<TopicName, bigint> {
    return this.#ends;
  }

  /** Everything in front of the offset is read. Returns what is left to load; null: nothing. */
  read(topic: TopicName, nextOffset: bigint): Loading | null {
    // Another input has been read: nothing waits any more.
    if (this.waits(topic)) return null;
    if (nextOffset >= (this.#ends.get(topic) ?? nextOffset)) this.#ends.delete(topic);
    return this.#ends.size === 0 ? null : this;
  }
}
