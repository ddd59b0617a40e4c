// The breaker of one task: counts dead letters among its last records, and says when one more is too many. Begins empty at
// each takeover. The lane decides what is done then.
import { MillraceError } from "../../core/errors.ts";
import type { LetterLimit } from "../../core/plan.ts";
import { addressOf, type TopicPartition } from "../../core/record.ts";

export class Breaker {
  readonly #part: string;
  readonly #limit: LetterLimit | null;
  /** Letters of each of the last records, the oldest at `#at`. */
  readonly #letters: Uint16Array;
  #at = 0;
  #count = 0;

  constructor(part: string, limit: LetterLimit | "never") {
    this.#part = part;
    this.#limit = limit === "never" ? null : limit;
    this.#letters = new Uint16Array(this.#limit?.records ?? 0);
  }

  /** Whether the next record may be consumed, given how it ends; if so it is counted. */
  admits(isLetter: boolean): boolean {
    if (this.#limit === null) return true;
    const own = isLetter ? 1 : 0;
    const count = this.#count - (this.#letters[this.#at] as number) + own;
    if (count > this.#limit.letters) return false;
    this.#letters[this.#at] = own;
    this.#at = (this.#at + 1) % this.#letters.length;
    this.#count = count;
    return true;
  }

  /** A record that was admitted turns out a letter at the checkpoint: it counts with the newest. */
  late(): void {
    if (this.#limit === null) return;
    const newest = (this.#at + this.#letters.length - 1) % this.#letters.length;
    this.#letters[newest] = (this.#letters[newest] as number) + 1;
    this.#count++;
  }

  /** The first of these records that would not be admitted, or null; counts nothing. */
  firstOver(letters: readonly boolean[]): number | null {
    if (this.#limit === null) return null;
    // Nearly every slice ends here: even if no old letter falls out of the window, they are not too many.
    const most = letters.reduce((sum, isLetter) => (isLetter ? sum + 1 : sum), this.#count);
    if (most <= this.#limit.letters) return null;
    const trial = new Breaker(this.#part, this.#limit);
    trial.#letters.set(this.#letters);
    trial.#at = this.#at;
    trial.#count = this.#count;
    const over = letters.findIndex((isLetter) => !trial.admits(isLetter));
    return over < 0 ? null : over;
  }

  /** Why the task stops in front of this record. */
  error(at: TopicPartition & { readonly offset: bigint }): MillraceError {
    const { letters = 0, records = 0 } = this.#limit ?? {};
    const { topic, partition, offset } = at;
    const where = `${this.#part} ${addressOf(at)} at offset ${String(offset)}`;
    const detail = `${where}: more than ${String(letters)} among the last ${String(records)} records`;
    return new MillraceError("MILL_PIPELINE_HALTED", detail, {
      where: { part: this.#part, topic, partition, offset },
    });
  }
}
