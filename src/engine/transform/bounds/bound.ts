// Bounds of what one key may have in state, and the rule for one more.
import { MillraceError } from "../../core/errors.ts";

/**
 * The rule for what would pass a bound. dead-letter: the record is a letter of the class "full" and changes nothing · halt: the
 * task stops in front of it · evict: the oldest goes ahead of its time.
 */
export type WhenFull = "dead-letter" | "halt" | "evict";

/** A bound of each key. */
export interface KeyBound {
  readonly most: number;
  readonly whenFull: WhenFull;
}

/** Throws what refuses a record, unless the oldest makes room for it. `what`: "windows are open". */
export function checkRoom({ most, whenFull }: KeyBound, step: string, what: string): void {
  if (whenFull === "evict") return;
  // mistake: full key takes more
  const code = whenFull === "halt" ? "MILL_KEY_FULL_HALT" : "MILL_KEY_FULL";
  throw new MillraceError(code, `"${step}": ${String(most)} ${what} of one key`);
}
