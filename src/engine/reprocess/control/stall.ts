// Why a run stands still, as far as anything tells: its rate, its gate, what its workers wait for, or that there are none.
import type { Health } from "../../observe/health.ts";
import type { Plan } from "../../core/plan.ts";
import { idleParts } from "../../core/progress.ts";
import { readingOf, type Clock, type ClockReading } from "../../core/ports.ts";
import { gateNote, gateText } from "../../notes/gate-note.ts";
import type { Notes } from "../../notes/notes.ts";
import type { ReprocessPorts } from "../words/ports.ts";
import type { RunRow } from "../words/run.ts";

/** The verdict of a run's workers on themselves; null where nobody can ask them. */
export type Probe = () => Promise<Health | null>;

/** A pause that is no news yet. */
const AFTER_MS = 3_000;
/** More reasons than these are in the log. */
const REASONS_MAX = 2;

export class StallWatch {
  readonly #clock: Pick<Clock, "now" | "monotonic">;
  #done = -1;
  #since: ClockReading;

  constructor(clock: Pick<Clock, "now" | "monotonic">) {
    this.#clock = clock;
    this.#since = readingOf(clock);
  }

  /** Since when, by the wall clock, this many were done; null: it has only just come to that. */
  note(done: number): number | null {
    const now = readingOf(this.#clock);
    if (done !== this.#done) [this.#done, this.#since] = [done, now];
    const { wallMs, monotonicMs } = this.#since;
    return now.monotonicMs - monotonicMs >= AFTER_MS ? wallMs : null;
  }
}

/** What a run of 0.1.0 that its breaker has halted says, and any other that somebody has shut. */
export function whyShut(shadow: Plan, notes: Notes): string | null {
  const gate = gateNote(notes);
  return gate === null ? null : gateText(shadow, gate);
}

export async function whyStalled(
  row: Pick<RunRow, "rateLimit">,
  shadow: Plan,
  { admin }: Pick<ReprocessPorts, "admin">,
  probe: Probe,
): Promise<string> {
  if (row.rateLimit === 0) return "it leaves room for the live pipeline, whose lag is at its limit";
  const reasons = (await probe())?.reasons ?? [];
  if (reasons.length > 0) return reasons.slice(0, REASONS_MAX).join("; ");
  const idle = await idleParts(shadow.parts, admin);
  if (idle.length > 0) return `no worker has joined ${idle.map(({ group }) => group).join(", ")}`;
  return "its workers run, and have decided nothing since";
}
