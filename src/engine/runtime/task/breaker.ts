// The breaker of one task: counts dead letters among its last records, and says when one more is too many. Begins empty at
// each takeover. The lane decides what is done then.
import { MillraceError } from "../../core/errors.ts";
import { ROUNDING, type LetterLimit } from "../../core/letter-limit.ts";
import { addressOf, type TopicPartition } from "../../core/record.ts";

export class Breaker {
  readonly #part: string;
  readonly #limit: LetterLimit | null;
  /** Letters of each of the last records, the oldest at `#at`. */
  readonly #letters: Uint16Array;
  /** When each of them came; empty where the limit does not ask. */
  readonly #times: Float64Array;
  #at = 0;
  #count = 0;
  /** The records that came so far, up to as many as are kept. */
  #filled = 0;
  #begunMs: number | null = null;
  #nowMs = 0;
  /** A letter came late, and was not judged. */
  #hasLate = false;
  /** The limit that the last refused record was beyond. */
  #why = "";

  constructor(part: string, limit: LetterLimit | "never") {
    this.#part = part;
    this.#limit = limit === "never" ? null : limit;
    const size = this.#limit?.records ?? 0;
    this.#letters = new Uint16Array(size);
    this.#times = new Float64Array(this.#limit?.slow === undefined ? 0 : size);
  }

  /** The time, by the monotonic clock, at which the records that follow come; called for each slice. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#begunMs ??= nowMs;
  }

  /** Whether the next record may be consumed, given how it ends; if so it is counted. */
  admits(isLetter: boolean): boolean {
    if (this.#limit === null) return true;
    const own = isLetter ? 1 : 0;
    const count = this.#count - (this.#letters[this.#at] as number) + own;
    if (this.#isOver(count, own)) return false;
    this.#letters[this.#at] = own;
    if (this.#times.length > 0) this.#times[this.#at] = this.#nowMs;
    this.#at = (this.#at + 1) % this.#letters.length;
    this.#filled = Math.min(this.#filled + 1, this.#letters.length);
    this.#count = count;
    return true;
  }

  #isOver(count: number, own: number): boolean {
    const { letters, records } = this.#limit as LetterLimit;
    if (count > letters) {
      this.#why = `more than ${String(letters)} among the last ${String(records)} records`;
      return true;
    }
    if (own === 0 && !this.#hasLate) return false;
    const few = this.#tooManyOfFew(own);
    this.#hasLate = false;
    if (few !== null) this.#why = few;
    return few !== null;
  }

  /** The records of the last minutes, where these are fewer than the task keeps: one more letter may be too many of them. */
  #tooManyOfFew(own: number): string | null {
    const { slow } = this.#limit as LetterLimit;
    if (slow === undefined || this.#count + own < slow.letters) return null;
    if (this.#nowMs - (this.#begunMs ?? this.#nowMs) < slow.ms) return null;
    const recent = this.#recent(this.#nowMs - slow.ms);
    const [records, letters] = [recent.records + 1, recent.letters + own];
    const isFew = records < this.#letters.length && letters >= slow.letters;
    if (!isFew || letters <= slow.share * records + ROUNDING) return null;
    const minutes = String(slow.ms / 60_000);
    return `${String(letters)} of ${String(records)} records within ${minutes} minutes`;
  }

  /** What came after that time, as far as it is kept. */
  #recent(afterMs: number): { readonly records: number; readonly letters: number } {
    const size = this.#letters.length;
    let [records, letters] = [0, 0];
    while (records < this.#filled) {
      const i = (this.#at - records - 1 + size) % size;
      if ((this.#times[i] as number) <= afterMs) break;
      records++;
      letters += this.#letters[i] as number;
    }
    return { records, letters };
  }

  /** A record that was admitted turns out a letter at the checkpoint: it counts with the newest. */
  late(): void {
    if (this.#limit === null) return;
    const newest = (this.#at + this.#letters.length - 1) % this.#letters.length;
    this.#letters[newest] = (this.#letters[newest] as number) + 1;
    this.#count++;
    this.#hasLate = true;
  }

  /** The first of these records that would not be admitted, or null; counts nothing. */
  firstOver(letters: readonly boolean[]): number | null {
    if (this.#limit === null) return null;
    // Nearly every slice ends here: even if no old letter falls out of the window, they are not too many.
    const most = letters.reduce((sum, isLetter) => (isLetter ? sum + 1 : sum), this.#count);
    const { slow = null } = this.#limit;
    if (most <= this.#limit.letters && (slow === null || most < slow.letters)) return null;
    const trial = this.#copy(this.#limit);
    const over = letters.findIndex((isLetter) => !trial.admits(isLetter));
    this.#why = trial.#why;
    return over < 0 ? null : over;
  }

  #copy(limit: LetterLimit): Breaker {
    const copy = new Breaker(this.#part, limit);
    copy.#letters.set(this.#letters);
    copy.#times.set(this.#times);
    [copy.#at, copy.#count, copy.#filled] = [this.#at, this.#count, this.#filled];
    [copy.#begunMs, copy.#nowMs, copy.#hasLate] = [this.#begunMs, this.#nowMs, this.#hasLate];
    return copy;
  }

  /** Why the task stops in front of this record, which was not admitted. */
  error(at: TopicPartition & { readonly offset: bigint }): MillraceError {
    const { topic, partition, offset } = at;
    const where = `${this.#part} ${addressOf(at)} at offset ${String(offset)}`;
    return new MillraceError("MILL_PIPELINE_HALTED", `${where}: ${this.#why}`, {
      where: { part: this.#part, topic, partition, offset },
    });
  }
}
