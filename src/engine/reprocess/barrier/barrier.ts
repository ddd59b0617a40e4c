// Stops the live pipeline at a barrier: 1 nothing more is taken from topics of others · 2 what was taken goes through to
// the end · 3 every worker leaves its groups · 4 looked again, now that nobody writes: if something came between, back to 1.
// Nothing moves then: a worker that joins reads the gate after its join, and one that was frozen has no group any more.
import { MillraceError } from "../../core/errors.ts";
import type { Plan } from "../../core/plan.ts";
import { readProgress } from "../../core/progress.ts";
import type { OperatePorts } from "../../operate/choice.ts";
import { sendLetters } from "../../operate/gate/send-letters.ts";
import { isDrained, topicsBetweenParts } from "../../operate/gate/drained.ts";
import { openGate, shutGate } from "../../operate/gate/gate.ts";
import { endOperators } from "../../letters/commands/operator.ts";
import type { ShutState } from "../../notes/gate-note.ts";
import type { RunRow } from "../words/run.ts";
import type { LivePosition } from "../words/steps.ts";
import { waitUntil, waitUntilEmpty } from "../words/waiting.ts";

/** The live pipeline and the run that takes its place. */
export interface Barrier {
  readonly plan: Plan;
  readonly row: Pick<RunRow, "pipeline" | "run">;
  readonly ports: BarrierPorts;
  /** The longest time that live may take for each wait. */
  readonly limitMs: number;
  readonly why: "promote" | "verify";
}

interface BarrierPorts extends OperatePorts {
  /** A line for people: the wait that begins. */
  say(line: string): void;
}

/** The owner of the gate: the same for every process that goes on with the run. */
export const ownerOf = ({ pipeline, run }: Barrier["row"]): string =>
  `promote of ${pipeline} run ${String(run)}`;

const shut = ({ plan, row, ports, why }: Barrier, state: ShutState): Promise<void> => {
  const { run } = row;
  const message =
    why === "promote"
      ? `run ${String(run)} takes its place`
      : `it is compared with run ${String(run)}`;
  const facts = { code: "MILL_GATE_HELD", message, atMs: ports.clock.now(), run };
  // An operator may open the gate after a comparison that died.
  const by = why === "promote" ? "promote" : "operator";
  return shutGate(plan, { ...facts, state, by, owner: ownerOf(row) }, { ports });
};

/** 1 and 2 */
export async function drain(barrier: Barrier): Promise<void> {
  const { plan, ports, limitMs } = barrier;
  await shut(barrier, "draining");
  ports.say("live takes nothing more from outside, and works off what it has");
  const { clock } = ports;
  const isSo = (): Promise<boolean> => isDrained(plan, ports);
  await waitUntil("the live pipeline to work off its own topics", isSo, clock, limitMs);
}

/** 3 and 4: the position of every task, or null when it must drain again. */
export async function close(barrier: Barrier): Promise<readonly LivePosition[] | null> {
  const { plan, ports, limitMs } = barrier;
  await shut(barrier, "closed");
  ports.say("live leaves its groups");
  await waitUntilEmpty("the live workers", plan, { ...ports, limitMs });
  await sendLetters(plan, plan.parts, ports);
  // A redrive that is at work is fenced here, and a later one sees the gate: no letter comes back from now on.
  await endOperators(plan, ports);
  if (!(await isDrained(plan, ports))) return null;
  const positions = await livePositions(plan, ports);
  const known = positions.filter((at) => at !== null);
  if (known.length === positions.length) return known;
  const detail = `${plan.pipeline} has tasks that have never run: start its workers once`;
  throw new MillraceError("MILL_RUN_STATE", detail);
}

/** The gate opens again; with `staysShut` it waits for `millrace resume`. */
export async function reopen(barrier: Barrier, staysShut: boolean): Promise<void> {
  const { plan, row, ports } = barrier;
  const owner = ownerOf(row);
  if (!staysShut) return openGate(plan, owner, { ports });
  const message = `run ${String(row.run)} has taken its place; workers with its code go on`;
  const facts = { code: "MILL_GATE_HELD", message, atMs: ports.clock.now(), run: row.run };
  await shutGate(plan, { ...facts, state: "closed", by: "operator", owner }, { ports });
}

/**
 * The positions of the live pipeline's tasks, with what travels beside them, so that each can be put there again. Null where
 * a task has never begun. Exact once no group has a member.
 */
export async function livePositions(
  plan: Plan,
  ports: OperatePorts,
): Promise<readonly (LivePosition | null)[]> {
  const own = topicsBetweenParts(plan);
  const progress = await readProgress(plan, ports);
  return progress.map(({ part, topic, partition, nextOffset, metadata, ledger: counts }) => {
    if (nextOffset === null) return null;
    const ledger = metadata === null ? counts : null;
    return { part, topic, partition, nextOffset, isForeign: !own.has(topic), metadata, ledger };
  });
}
