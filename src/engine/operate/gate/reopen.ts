// An operator lets a pipeline go on whose gate is shut, and waits until workers are at it again.
import type { Plan } from "../../core/plan.ts";
import { sendOnce } from "../../core/send-once.ts";
import { idleParts } from "../../core/progress.ts";
import { type GateNote, gateIsShut, haltAboveRecord } from "../../notes/gate-note.ts";
import type { OperatePorts } from "../choice.ts";
import { openGate } from "./gate.ts";

/** asked: nobody waited · running: every group has members again · no-worker: not in time, so the next start goes on. */
export type Reopened = "asked" | "running" | "no-worker";

const LOOK_MS = 500;

export interface Reopening {
  /** 0 does not wait. */
  readonly waitMs: number;
  /** Opens also a gate that a promote has shut, and would open itself. */
  readonly force: boolean;
  /** The share of dead letters that halts it from now on, until the next time; null: what the pipeline says. */
  readonly haltAbove: number | null;
}

/**
 * Throws MILL_GATE_HELD for what is not an operator's to open, and MILL_NOTE_INVALID for a note that must be repaired; a
 * reset that has died is run again.
 */
export async function reopen(
  plan: Plan,
  note: GateNote,
  { waitMs, force, haltAbove }: Reopening,
  ports: OperatePorts,
): Promise<Reopened> {
  const isOthers = note.by === "reset" || note.by === "notes";
  if (isOthers || (note.by === "promote" && !force)) throw gateIsShut(plan, note);
  // Before it opens: whoever joins then must know.
  if (note.by === "breaker" || haltAbove !== null)
    await sendOnce(ports.kafka, [haltAboveRecord(plan.meta, haltAbove)]);
  await openGate(plan, note.owner, { ports, force });
  if (waitMs === 0) return "asked";
  const { clock } = ports;
  for (const until = clock.monotonic() + waitMs; clock.monotonic() < until;) {
    await clock.sleep(LOOK_MS);
    if ((await idleParts(plan.parts, ports.admin)).length === 0) return "running";
  }
  return "no-worker";
}
