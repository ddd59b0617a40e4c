// An operator has a pipeline work off its own topics and take nothing new, so that other code can be deployed with nothing
// between its parts that it would have to understand.
import type { Plan } from "../../core/plan.ts";
import type { GateNote } from "../../notes/gate-note.ts";
import type { OperatePorts } from "../choice.ts";
import { isDrained } from "./drained.ts";
import { shutGate } from "./gate.ts";

const LOOK_MS = 1_000;
/** Workers look at the gate once a second, and commit what they have begun. */
const SEEN_MS = 3_000;
/** A record that goes through several topics may be in none of them for a moment. */
const LOOKS = 3;

/** Whether everything was worked off in time; the pipeline takes nothing new until it is resumed. */
export async function drain(plan: Plan, ports: OperatePorts, waitMs: number): Promise<boolean> {
  const { clock } = ports;
  const note: GateNote = {
    state: "draining",
    by: "operator",
    code: "MILL_GATE_HELD",
    message: "an operator drains it before a deploy",
    atMs: clock.now(),
    owner: `drain of ${plan.pipeline}`,
  };
  await shutGate(plan, note, { ports });
  const until = clock.now() + waitMs;
  await clock.sleep(SEEN_MS);
  for (let times = 0; times < LOOKS; await clock.sleep(LOOK_MS)) {
    times = (await isDrained(plan, ports)) ? times + 1 : 0;
    if (times < LOOKS && clock.now() >= until) return false;
  }
  return true;
}
