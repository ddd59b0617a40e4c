// Stops the live pipeline at a barrier: 1 nothing more is taken from topics of others · 2 what was taken goes through to
// the end · 3 every worker leaves its groups · 4 looked again, now that nobody writes: if something came between, back to 1.
// What then stands, stands still: whoever joins reads the gate after its join, and who was frozen has a group no more.
import { MillraceError } from "../../core/errors.ts";
import type { Plan } from "../../core/plan.ts";
import type { OperatePorts } from "../../operate/choice.ts";
import { sendOwed } from "../../operate/gate/owed.ts";
import { isDrained, isEmpty } from "../../operate/gate/drained.ts";
import { openGate, shutGate } from "../../operate/gate/gate.ts";
import { asOperator } from "../../letters/commands/operator.ts";
import type { ShutState } from "../../notes/gate-note.ts";
import type { RunRow } from "../words/run.ts";
import { standsOf } from "./stands.ts";
import type { Stand } from "../words/steps.ts";
import { ifSo, waitFor } from "../words/waiting.ts";

/** The live pipeline and the run that takes its place. */
export interface Barrier {
  readonly plan: Plan;
  readonly row: Pick<RunRow, "pipeline" | "run">;
  readonly ports: BarrierPorts;
  /** How long live may take for each wait. */
  readonly limitMs: number;
  readonly why: "promote" | "verify";
}

interface BarrierPorts extends OperatePorts {
  /** Told what is waited for. */
  say(line: string): void;
}

/** Names the holder of the gate: the same for whoever goes on with the run. */
export const ownerOf = ({ pipeline, run }: Barrier["row"]): string =>
  `promote of ${pipeline} run ${String(run)}`;

const shut = ({ plan, row, ports, why }: Barrier, state: ShutState): Promise<void> => {
  const { run } = row;
  const message =
    why === "promote"
      ? `run ${String(run)} takes its place`
      : `it is compared with run ${String(run)}`;
  const facts = { code: "MILL_GATE_HELD", message, atMs: ports.clock.now(), run };
  // What was only looked at may be opened by whoever finds it.
  const by = why === "promote" ? "promote" : "operator";
  return shutGate(plan, { ...facts, state, by, owner: ownerOf(row) }, { ports });
};

/** 1 and 2 */
export async function drain(barrier: Barrier): Promise<void> {
  const { plan, ports, limitMs } = barrier;
  await shut(barrier, "draining");
  const look = async (): Promise<true | null> => ifSo(await isDrained(plan, ports));
  ports.say("live takes nothing more from outside, and works off what it has");
  const { clock } = ports;
  await waitFor("the live pipeline to work off its own topics", look, { clock, limitMs });
}

/** 3 and 4: where every task stands, or null when it must drain again. */
export async function close(barrier: Barrier): Promise<readonly Stand[] | null> {
  const { plan, ports, limitMs } = barrier;
  await shut(barrier, "closed");
  ports.say("live leaves its groups");
  const { clock } = ports;
  const look = async (): Promise<true | null> => ifSo(await isEmpty(plan, ports));
  await waitFor("the live workers to leave their groups", look, { clock, limitMs });
  await sendOwed(plan, plan.parts, ports);
  // A redrive that is at work is fenced here, and a later one sees the gate: no letter comes back from now on.
  await asOperator(plan, ports, () => Promise.resolve());
  if (!(await isDrained(plan, ports))) return null;
  const stands = await standsOf(plan, ports);
  const known = stands.filter((stand) => stand !== null);
  if (known.length === stands.length) return known;
  const detail = `${plan.pipeline} has tasks that have never run: start its workers once`;
  throw new MillraceError("MILL_RUN_STATE", detail);
}

/** What is shut opens again; to hold leaves it to `millrace resume`. */
export async function reopen(barrier: Barrier, hold: boolean): Promise<void> {
  const { plan, row, ports } = barrier;
  const owner = ownerOf(row);
  if (!hold) return openGate(plan, owner, { ports });
  const message = `run ${String(row.run)} has taken its place; workers with its code go on`;
  const facts = { code: "MILL_GATE_HELD", message, atMs: ports.clock.now(), run: row.run };
  await shutGate(plan, { ...facts, state: "closed", by: "operator", owner }, { ports });
}
