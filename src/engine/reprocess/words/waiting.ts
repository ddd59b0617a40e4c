// Waiting in a promotion: look, pause, look again, up to a limit. Every wait says what it waits for.
import { MillraceError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";

const LOOK_MS = 250;

/** Throws MILL_PROMOTE_STUCK after the limit. */
export async function waitUntil(
  what: string,
  isSo: () => Promise<boolean>,
  clock: Clock,
  limitMs: number,
): Promise<void> {
  const startMs = clock.now();
  while (!(await isSo())) {
    if (clock.now() - startMs >= limitMs)
      throw new MillraceError(
        "MILL_PROMOTE_STUCK",
        `waited ${String(limitMs / 1_000)} s for ${what}`,
      );
    await clock.sleep(LOOK_MS);
  }
}
