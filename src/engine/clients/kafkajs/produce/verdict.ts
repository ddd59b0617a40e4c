// Finds the records for which a broker refuses a batch: it names them (Produce v8), or the batch is halved until one is
// alone. The others of the batch stay in the queue, since a broker writes nothing of a batch that it refuses.
import { RecordsRefusedError, type RefusedRecord } from "../../../core/errors.ts";
import { addressOf, type OutRecord } from "../../../core/record.ts";
import { codes, isAboutRecord, isTooLarge } from "../failures.ts";
import { nameOfCode } from "../error-names.ts";
import type { ProduceAnswer } from "../protocol/produce.ts";
import { bytesOf, halve, without, type PartitionQueue } from "./chunks.ts";

/** A checksum that fails this often in a row, each time on a new connection, is not the network's doing. */
// mistake: checksum is poison
// mistake: checksum is transient
const corruptMax = 3;
/** The words of Apache Kafka itself quote nothing of a record; those of a plug-in may. */
const knownWords =
  /^(Timestamp \d+ of message with offset \d+ is out of range\.|Compacted topic cannot accept message without key)/;

const wordsOf = (words: string | null): string | null =>
  words !== null && knownWords.test(words) ? words.slice(0, 300) : null;

type VerdictReason = Pick<RefusedRecord, "code" | "words">;

/** The knowledge that a send has of refusals. */
export class Verdicts {
  readonly #limits: Map<string, number>;
  readonly #refused = new Map<OutRecord, VerdictReason>();
  readonly #corrupt = new Map<string, number>();

  /** `limits`: how large a batch each topic takes, where that is less than usual; kept by the caller. */
  constructor(limits: Map<string, number>) {
    this.#limits = limits;
  }

  /**
   * Called with every answer. Returns whether it was about records, and the queue has changed for it; else the answer is for
   * others.
   */
  takes(answer: ProduceAnswer, queue: PartitionQueue): boolean {
    const { errorCode } = answer;
    // mistake: checksums added up
    if (errorCode !== codes.corruptMessage) this.#corrupt.delete(addressOf(queue));
    const isCorrupt = errorCode === codes.corruptMessage && this.#isCorruptAgain(queue);
    if (!isCorrupt && !isAboutRecord(errorCode)) return false;
    this.#corrupt.delete(addressOf(queue));
    const chunk = queue.chunks[0] ?? [];
    const named = answer.refused.filter(({ batchIndex }) => batchIndex < chunk.length);
    if (named.length > 0)
      this.#refuse(
        queue,
        new Map(named.map(({ batchIndex, words }) => [batchIndex, wordsOf(words)])),
        errorCode,
      );
    else if (chunk.length === 1)
      this.#refuse(queue, new Map([[0, wordsOf(answer.errorMessage)]]), errorCode);
    else {
      const half = Math.ceil(bytesOf(chunk) / 2);
      const limit = Math.min(this.#limits.get(queue.topic) ?? Infinity, half);
      if (isTooLarge(errorCode)) this.#limits.set(queue.topic, limit);
      halve(queue);
    }
    return true;
  }

  #isCorruptAgain(queue: PartitionQueue): boolean {
    const address = addressOf(queue);
    const times = (this.#corrupt.get(address) ?? 0) + 1;
    this.#corrupt.set(address, times);
    return times >= corruptMax;
  }

  #refuse(queue: PartitionQueue, named: Map<number, string | null>, errorCode: number): void {
    const code = nameOfCode(errorCode);
    // mistake: refused row in silence
    for (const [index, words] of named)
      this.#refused.set(queue.chunks[0]?.[index] as OutRecord, { code, words });
    without(queue, new Set(named.keys()));
  }

  /** Throws what was refused of these. */
  check(records: readonly OutRecord[]): void {
    if (this.#refused.size === 0) return;
    const refused = records.flatMap((record, index): RefusedRecord[] => {
      const reason = this.#refused.get(record);
      const { topic, partition } = record;
      return reason === undefined ? [] : [{ index, topic, partition, ...reason }];
    });
    throw new RecordsRefusedError(refused as [RefusedRecord, ...RefusedRecord[]]);
  }
}
