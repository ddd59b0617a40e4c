// Leaves control records and aborted transactions out (KIP-98), as Java's consumer does (CompletedFetch): a producer's
// records are aborted from `firstOffset` to its abort marker.
import type { BatchHead } from "./batch-head.ts";
import { RecordCursor } from "./record-cursor.ts";

export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: bigint;
}

export class AbortedFilter {
  readonly #waiting: AbortedTransaction[];
  readonly #aborting = new Set<bigint>();

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#waiting = [...aborted].sort((a, b) => Number(a.firstOffset - b.firstOffset));
  }

  passes(batch: BatchHead): boolean {
    // Every transaction that has begun by now, not only the first of the list.
    while (this.#waiting[0] !== undefined && this.#waiting[0].firstOffset <= batch.lastOffset)
      this.#aborting.add((this.#waiting.shift() as AbortedTransaction).producerId);
    if (batch.isControl) {
      if (isAbortMarker(batch)) this.#aborting.delete(batch.producerId);
      return false;
    }
    return !batch.isTransactional || !this.#aborting.has(batch.producerId);
  }
}

/** The key of a control record: version, then type, 0 for abort. Asked of control batches only. */
function isAbortMarker(batch: BatchHead): boolean {
  if (batch.count === 0) return false;
  const cursor = new RecordCursor(batch.body);
  cursor.enter();
  cursor.varint();
  cursor.varint();
  const key = cursor.field();
  return key !== null && key.length >= 4 && key.readInt16BE(2) === 0;
}
