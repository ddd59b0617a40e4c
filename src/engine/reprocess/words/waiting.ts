// Waiting in a promotion: look, pause, look again, up to a limit. Every wait says what it waits for.
import { untilEmpty, type EmptyingPorts } from "../../core/empty-groups.ts";
import { MillraceError } from "../../core/errors.ts";
import type { Plan } from "../../core/plan.ts";
import type { Clock } from "../../core/ports.ts";

const LOOK_MS = 250;
/** Workers that leave in good order are gone by then. */
const QUIET_MS = 3_000;

/** Throws MILL_PROMOTE_STUCK after the limit. */
export async function waitUntil(
  what: string,
  isSo: () => Promise<boolean>,
  clock: Clock,
  limitMs: number,
): Promise<void> {
  const startMs = clock.monotonic();
  while (!(await isSo())) {
    if (clock.monotonic() - startMs >= limitMs) throw stuck(what, limitMs);
    await clock.sleep(LOOK_MS);
  }
}

const stuck = (what: string, limitMs: number): MillraceError =>
  new MillraceError("MILL_PROMOTE_STUCK", `waited ${String(limitMs / 1_000)} s for ${what}`);

export interface LeavingPorts extends Omit<EmptyingPorts, "patience"> {
  readonly limitMs: number;
  say(line: string): void;
}

/** Until workers have left every group of the plan; names those that have not. Throws MILL_PROMOTE_STUCK after the limit. */
export function waitUntilEmpty(
  who: string,
  { parts }: Plan,
  { admin, clock, limitMs, say }: LeavingPorts,
): Promise<void> {
  const patience = { waitMs: limitMs, quietMs: QUIET_MS, say };
  const groups = parts.map(({ group }) => group);
  return untilEmpty(groups, { admin, clock, patience }, (text) =>
    stuck(`${who} to leave their groups: ${text}`, limitMs),
  );
}
