// The tries of a commit. A conflict between transactions is settled by trying again at once. A trigger that raises
// such a code by hand ("come again") is believed for a while only: then a row that it refuses beside others that pass is at
// fault, and one that it refuses alone after some more tries, which its caller makes with growing pauses.
import type { PostgresError } from "../../clients/postgres/fault.ts";
import type { SinkCommit } from "../../core/ports.ts";
import type { TrialPatience } from "./trial.ts";

const ATTEMPTS_AT_ONCE = 4;
/** With the caller's pauses about twenty seconds. */
const TRIES_ALONE = 10;

type Range = Pick<SinkCommit, "epoch" | "expectedOffset" | "nextOffset">;

export class Persistence {
  /** Refusals of the commit that a task is at, by task. */
  readonly #refusals = new Map<string, { range: Range; count: number }>();

  patience(task: string, { epoch, expectedOffset, nextOffset }: SinkCommit): TrialPatience {
    const known = this.#refusals.get(task);
    if (known === undefined || !isSame(known.range, { epoch, expectedOffset, nextOffset })) {
      this.#refusals.set(task, { range: { epoch, expectedOffset, nextOffset }, count: 0 });
      return "left";
    }
    if (known.count < ATTEMPTS_AT_ONCE) return "left";
    return known.count < ATTEMPTS_AT_ONCE + TRIES_ALONE ? "others" : "over";
  }

  /** Whether the commit is tried again at once; otherwise its caller decides. */
  isTriedAgain(task: string, { facts }: PostgresError, attempt: number): boolean {
    const known = this.#refusals.get(task);
    if (facts.doubt === "patience" && known !== undefined) {
      known.count++;
      return known.count <= ATTEMPTS_AT_ONCE;
    }
    const isConflict = facts.sqlState === "40001" || facts.sqlState === "40P01";
    return isConflict && attempt < ATTEMPTS_AT_ONCE;
  }

  forget(task: string): void {
    this.#refusals.delete(task);
  }
}

/** Whether both would move the same progress. */
export const isSame = (a: Range, b: Range): boolean =>
  a.epoch === b.epoch && a.expectedOffset === b.expectedOffset && a.nextOffset === b.nextOffset;
