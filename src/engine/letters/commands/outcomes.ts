// Waits until each letter that was sent back was processed, and counts how they ended.
import { late } from "../../core/late-topics.ts";
import type { Plan } from "../../core/plan.ts";
import { statesIn, type LetterState } from "../../core/redrive.ts";
import { NoteTail } from "../../notes/notes.ts";
import { countedBy } from "../filter.ts";
import type { FoundLetter } from "../found-letter.ts";
import type { LetterPorts } from "../read-letters.ts";

const LOOK_MS = 500;

export interface WaitOptions {
  /** Null: until all have ended. */
  readonly limitMs: number | null;
  onEnded?(letters: number): void;
}

export interface Ends {
  /** By id; those that are still on their way when the time is over are missing. */
  readonly ends: ReadonlyMap<string, LetterState>;
  /** The number of those that wait in state for a call. */
  readonly queued: number;
}

/** Waits until every letter has ended. A queued one has not: its call may still fail. */
export async function endsOf(
  plan: Plan,
  sent: readonly FoundLetter[],
  ports: LetterPorts,
  { limitMs, onEnded }: WaitOptions,
): Promise<Ends> {
  const { clock } = ports;
  const tail = new NoteTail(late(ports), plan.letterStates);
  const ends = new Map<string, LetterState>();
  const until = limitMs === null ? Infinity : clock.monotonic() + limitMs;
  for (;;) {
    const states = statesIn(await tail.look());
    const before = ends.size;
    const known = sent.flatMap(({ id, redrives, generation }) => {
      const state = states.get(id)?.findLast((said) => said.generation >= generation);
      return state !== undefined && state.redrives >= redrives ? [{ id, state }] : [];
    });
    for (const { id, state } of known) if (state.state !== "redriven") ends.set(id, state);
    const queued = known.filter(({ state }) => state.queued === true).length;
    onEnded?.(ends.size - before);
    if (ends.size === sent.length || clock.monotonic() >= until) return { ends, queued };
    await clock.sleep(LOOK_MS);
  }
}

/** "resolved: emitted" → 480, "open: MILL_RULE_BROKEN" → 20. */
export function histogramOf(ends: Iterable<LetterState>): ReadonlyMap<string, number> {
  const nameOf = ({ state, outcome, parked }: LetterState): string =>
    `${parked === true ? "parked" : state}: ${outcome ?? "unknown"}`;
  return new Map(Object.entries(countedBy(ends, nameOf)).sort((a, b) => b[1] - a[1]));
}
