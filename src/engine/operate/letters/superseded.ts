// Open letters when a run of the reprocessor takes the live pipeline's place: it has read their records itself, so a later
// redrive would count them twice. They are over then, and open again if the run gives the place back. May be done twice.
import type { Plan } from "../../core/plan.ts";
import { stateRecord, type LetterState } from "../../core/redrive.ts";
import type { OperatePorts } from "../choice.ts";
import type { FoundLetter } from "./letter.ts";
import { asOperator, writeAll } from "./operator.ts";
import { readLetters } from "./read-letters.ts";

const BATCH = 1_000;

/** The run has read what these letters hold. */
export function supersede(plan: Plan, run: number, ports: OperatePorts): Promise<void> {
  const reason = `run ${String(run)} has read its record`;
  return change(plan, ports, ({ state, redrives }) =>
    state.state === "open" ? { state: "discarded", redrives, reason, job: jobOf(run) } : null,
  );
}

/** The run has given the place back. */
export function reinstate(plan: Plan, run: number, ports: OperatePorts): Promise<void> {
  return change(plan, ports, ({ state, redrives, isParked, code: outcome }) =>
    state.state === "discarded" && state.job === jobOf(run)
      ? { state: "open", redrives, outcome, parked: isParked }
      : null,
  );
}

const jobOf = (run: number): string => `promote-r${String(run)}`;

/** Null leaves the letter as it is. */
type NextState = (letter: FoundLetter) => Omit<LetterState, "atMs"> | null;

function change(plan: Plan, ports: OperatePorts, next: NextState): Promise<void> {
  return asOperator(plan, ports, async (producer) => {
    const { letters } = await readLetters(plan, ports);
    const atMs = ports.clock.now();
    const records = letters.flatMap((letter) => {
      const state = next(letter);
      return state === null ? [] : [stateRecord(plan.letterStates, letter.id, { ...state, atMs })];
    });
    for (let at = 0; at < records.length; at += BATCH)
      await writeAll(producer, records.slice(at, at + BATCH));
  });
}
