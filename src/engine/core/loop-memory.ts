// The watch over records that keep the event loop for long. The loop says its work in hand in memory that another thread reads
// too: that thread counts time, and names the work of a loop that does not turn any more (runtime/loop/).
import type { RawRecord } from "./record.ts";

/** The words of `LoopMemory.words`. */
export const WORD = { ticks: 0, turns: 1, place: 2, partition: 3 } as const;
/** The place of a loop that works on no record. */
export const NO_PLACE = 0;

/** The memory of an event loop that the watching thread shares; plain reads and writes, since it only has to be seen soon. */
export interface LoopMemory {
  /**
   * ticks: goes on whatever the loop does · turns: goes on while the loop turns · place: of the operator at work, counted over
   * all parts of the worker; 0 for none · partition: that of the record in hand.
   */
  readonly words: Int32Array;
  /** [0]: of the record in hand. */
  readonly offset: BigInt64Array;
}

/** Watches for how long the records of a part keep the event loop. */
export interface StepWatch {
  readonly memory: LoopMemory;
  /** The place of reading a record; those of the operators follow. */
  readonly firstPlace: number;
  /** So many ticks are too many for one record. A clock would cost more than the operators. */
  readonly ticksMax: number;
  /** `operator` is null while the record was being decoded. */
  slow(
    operator: string | null,
    at: Pick<RawRecord, "topic" | "partition" | "offset">,
    ticks: number,
  ): void;
}

const WORDS = Object.keys(WORD).length;
export const LOOP_MEMORY_BYTES: number =
  WORDS * Int32Array.BYTES_PER_ELEMENT + BigInt64Array.BYTES_PER_ELEMENT;

export const loopMemory = (bytes: ArrayBufferLike): LoopMemory => ({
  words: new Int32Array(bytes, 0, WORDS),
  offset: new BigInt64Array(bytes, WORDS * Int32Array.BYTES_PER_ELEMENT),
});

export const UNWATCHED: StepWatch = {
  memory: loopMemory(new ArrayBuffer(LOOP_MEMORY_BYTES)),
  firstPlace: NO_PLACE,
  ticksMax: Infinity,
  slow: () => undefined,
};
