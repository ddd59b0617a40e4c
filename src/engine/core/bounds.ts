// The limits of a reprocess run's reading: its end, and its pace. A live pipeline has neither: it reads on for ever, as
// fast as it can. The inbox (source/inbox.ts) keeps the limits; the run's controller moves them.
import type { GroupId, TopicName, TopicPartition } from "./record.ts";

export interface Bounds {
  /** The first offset that is not read for now; null: there is none. It may be raised while a task runs. */
  end(group: GroupId, at: TopicPartition): bigint | null;
  /** The end of a topic of the run's own, once its writer has finished; null: more may come. */
  last(group: GroupId, at: TopicPartition): bigint | null;
  /**
   * The time that is asserted of a partition once it is read to its end, so that windows close by it: END_OF_TIME in a run that
   * closes them (B1), NO_TIME where they stay open.
   */
  timeAtEnd(group: GroupId, at: TopicPartition): number;
  /** Topics whose next record must be known before one of this topic is given out, which keeps the order of time. */
  beside(group: GroupId, topic: TopicName): ReadonlySet<TopicName>;
  /** Calls back whenever something has changed; returns a function that stops it. */
  watch(listener: () => void): () => void;
}

export interface Pace {
  /** False while `take` would wait. */
  readonly isOpen: boolean;
  /** Waits until so many records may be worked on. Rejects with the signal's reason. */
  take(records: number, signal: AbortSignal): Promise<void>;
}
