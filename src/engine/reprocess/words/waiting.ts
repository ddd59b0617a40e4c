// Waiting in a promotion: look, pause, look again, up to a limit. Every wait says what it waits for.
import { MillraceError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";

export interface Waiting {
  readonly clock: Clock;
  /** Null: for ever. */
  readonly limitMs: number | null;
  /** Throws what makes waiting vain. */
  check?(): void;
}

const LOOK_MS = 250;

/** Until `look` returns something else than null. Throws MILL_PROMOTE_STUCK after the limit. */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | null>,
  { clock, limitMs, check }: Waiting,
): Promise<T> {
  const startMs = clock.now();
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    check?.();
    if (limitMs !== null && clock.now() - startMs >= limitMs)
      throw new MillraceError(
        "MILL_PROMOTE_STUCK",
        `waited ${String(limitMs / 1_000)} s for ${what}`,
      );
    await clock.sleep(LOOK_MS);
  }
}

/** For looks that say yes or no. */
export const ifSo = (isSo: boolean): true | null => (isSo ? true : null);
