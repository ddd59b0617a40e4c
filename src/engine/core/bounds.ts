// How far a run of the reprocessor reads, and how fast. A live pipeline has neither: it reads on for ever, as fast as it
// can. What they promise is kept by source/inbox.ts; who moves them is the run's controller.
import type { GroupId, TopicName, TopicPartition } from "./record.ts";

export interface Bounds {
  /** The first offset that is not read for now; null: there is none. It may be raised while a task runs. */
  end(group: GroupId, at: TopicPartition): bigint | null;
  /** Where a topic of the run's own has ended since whoever writes it has finished; null: more may come. */
  last(group: GroupId, at: TopicPartition): bigint | null;
  /** Topics without whose next record none of this one is given out, so that they come in order of time. */
  beside(group: GroupId, topic: TopicName): ReadonlySet<TopicName>;
  /** Calls back whenever something has changed; returns how to stop that. */
  watch(listener: () => void): () => void;
}

export interface Pace {
  /** False while `take` would wait. */
  readonly isOpen: boolean;
  /** Waits until so many records may be worked on. Rejects with the signal's reason. */
  take(records: number, signal: AbortSignal): Promise<void>;
}
