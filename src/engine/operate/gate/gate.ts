// The gate of a pipeline, from outside: who holds it, shutting it, opening it. Kafka has no compare-and-set: what is there
// is read before and what was written is read after, so of two who come at once the one that was overwritten knows it.
import { sendOnce } from "../../core/send-once.ts";
import { MillraceError } from "../../core/errors.ts";
import type { OperatePorts } from "../choice.ts";
import type { Plan } from "../../core/plan.ts";
import { gateRecord, gateIsShut, readGate, type GateNote } from "../../notes/gate-note.ts";

type GatePorts = Pick<OperatePorts, "kafka" | "admin">;

export interface GateChange {
  readonly ports: GatePorts;
  /** Whatever is there. */
  readonly force?: boolean;
}

/** Shuts it, or goes from one state of ours to another. Throws MILL_GATE_HELD while another owner holds it. */
export async function shutGate(plan: Plan, note: GateNote, change: GateChange): Promise<void> {
  await admit(plan, note.owner, change);
  await write(plan, note, change.ports);
}

/** Opens what `owner` holds; nothing when it is open. Throws MILL_GATE_HELD while another owner holds it. */
export async function openGate(plan: Plan, owner: string, change: GateChange): Promise<void> {
  if ((await admit(plan, owner, change)) !== null) await write(plan, null, change.ports);
}

async function admit(
  plan: Plan,
  owner: string,
  { ports, force = false }: GateChange,
): Promise<GateNote | null> {
  const found = await readGate(plan, ports);
  if (found !== null && found.owner !== owner && !force) throw gateIsShut(plan, found);
  return found;
}

async function write(plan: Plan, note: GateNote | null, ports: GatePorts): Promise<void> {
  await sendOnce(ports.kafka, [gateRecord(plan.meta, note)]);
  const found = await readGate(plan, ports);
  const isOurs = note === null ? found === null : isSame(found, note);
  if (!isOurs)
    throw found === null
      ? new MillraceError("MILL_GATE_HELD", `${plan.pipeline} was opened at the same time`)
      : gateIsShut(plan, found);
}

const isSame = (found: GateNote | null, note: GateNote): boolean =>
  found?.owner === note.owner && found.state === note.state && found.atMs === note.atMs;
