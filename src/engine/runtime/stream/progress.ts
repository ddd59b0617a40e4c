// How far a task has come in each of its partitions, with its ledger: read, taken by a checkpoint, decided.
import { assert } from "../../core/errors.ts";
import type { Progress } from "../../core/kafka.ts";
import { addLedger, emptyLedger, type LedgerCounts } from "../../core/ledger.ts";
import { encodeMetadata } from "../../core/metadata.ts";
import type { TopicName } from "../../core/record.ts";
import type { TakenOver } from "../../source/takeover.ts";

interface Place {
  nextOffset: bigint;
  /** Taken by a checkpoint that may still fail. */
  staged: bigint;
  /** Decided. */
  committed: bigint;
  readonly ledger: LedgerCounts;
}

export class TaskProgress {
  readonly #partition: number;
  readonly #places: ReadonlyMap<TopicName, Place>;

  constructor(partition: number, starts: readonly TakenOver[]) {
    this.#partition = partition;
    this.#places = new Map(
      starts.map(({ topic, nextOffset, ledger }) => [
        topic,
        {
          nextOffset,
          staged: nextOffset,
          committed: nextOffset,
          ledger: addLedger(emptyLedger(), ledger),
        },
      ]),
    );
  }

  #place(topic: TopicName): Place {
    const place = this.#places.get(topic);
    assert(place !== undefined, `the task does not own ${topic}`);
    return place;
  }

  get hasMoved(): boolean {
    return [...this.#places.values()].some((place) => place.nextOffset !== place.staged);
  }

  /** Cumulative; counts of records up to `nextOffset`. */
  ledger(topic: TopicName): LedgerCounts {
    return this.#place(topic).ledger;
  }

  advance(topic: TopicName, nextOffset: bigint): void {
    this.#place(topic).nextOffset = nextOffset;
  }

  /** Progress of every partition of the task, for a checkpoint. */
  take(owner: string, streamTimeMs: number | null): Progress[] {
    return [...this.#places].map(([topic, place]) => {
      place.staged = place.nextOffset;
      // mistake: ledger after commit
      const metadata = encodeMetadata({ owner, ledger: place.ledger, streamTimeMs });
      return { topic, partition: this.#partition, nextOffset: place.nextOffset, metadata };
    });
  }

  /** The checkpoint with this progress was decided. */
  settle(progress: readonly Progress[]): void {
    for (const { topic, nextOffset } of progress) this.#place(topic).committed = nextOffset;
  }

  committed(): { topic: TopicName; committed: bigint }[] {
    return [...this.#places].map(([topic, { committed }]) => ({ topic, committed }));
  }
}
