// The gate of a pipeline: one note in `<pipeline>-meta` that every worker of it obeys; and beside it the note that says on
// which run's stores the pipeline works. A worker that joined before a gate was shut is seen as a member of a group;
// one that joins later reads the note after its join. The rooms runtime/gate and operate/gate decide what follows.
import { MillraceError } from "../core/errors.ts";
import { parseKnown } from "../core/foreign.ts";
import { notesRepairCommand, resumeCommand, type Operated } from "../core/lead.ts";
import type { Plan } from "../core/plan.ts";
import type { OutRecord, TopicName } from "../core/record.ts";
import type { TopicPorts } from "../core/read-range.ts";
import { faultText, lostNote, requireNote, type NoteFault, type Notes } from "./faults.ts";
import { lastGeneration, lostGeneration } from "./generations.ts";
import { noteChecks } from "./kinds.ts";
import { noteRecord, readNotes } from "./notes.ts";

/**
 * halted: nothing is read until an operator says so · draining: nothing more is taken from topics of others, own ones go
 * on · closed: every worker leaves the groups and waits. No note: open.
 */
export type ShutState = "halted" | "draining" | "closed";

export const gateStates = ["open", "halted", "draining", "closed"] as const;

export interface GateNote {
  readonly state: ShutState;
  /**
   * promote: its command opens the gate itself · breaker, operator: `millrace resume` does · reset: its end does · notes: a
   * note cannot be read, and `millrace notes repair` opens it.
   */
  readonly by: "breaker" | "promote" | "operator" | "reset" | "notes";
  /** Why: codes and addresses, never keys or values. */
  readonly code: string;
  readonly message: string;
  readonly atMs: number;
  /** Names the owner of the gate: a worker's transactional id, or a command by what it works on. */
  readonly owner: string;
  readonly run?: number;
}

const GATE = "gate";
const STORES = "stores";
const HALT_ABOVE = "halt-above";

/** Null opens it. */
export const gateRecord = (meta: TopicName, note: GateNote | null): OutRecord =>
  noteRecord(meta, GATE, note === null ? null : JSON.stringify(note));

/**
 * Null while it is open. A state of a later release, which nobody here knows, is taken for closed. A reset that has not
 * ended has some tasks where they were and others elsewhere: nobody reads. Nor does anybody while it cannot be known whether
 * the gate is shut, on which stores the pipeline works, or which generation its letters are in.
 */
export function gateNote(notes: Notes): GateNote | null {
  const lost = lostNote(notes, GATE) ?? lostNote(notes, STORES) ?? lostGeneration(notes);
  if (lost !== null) return lostText(lost);
  const reset = lastGeneration(notes);
  if (reset?.isUnfinished === true) return resetNote(reset.atMs);
  const text = notes.get(GATE);
  if (text === undefined) return null;
  type Stored = Omit<GateNote, "state"> & { readonly state: string };
  const note = parseKnown<Stored>(text, noteChecks.gate);
  if (note.state === "open") return null;
  const isKnown = note.state === "halted" || note.state === "draining";
  return { ...note, state: isKnown ? (note.state as ShutState) : "closed" };
}

const resetNote = (atMs: number): GateNote => ({
  ...{ state: "closed", by: "reset", code: "MILL_GATE_HELD", atMs, owner: "offsets reset" },
  message: "an offsets reset has not ended; if its command has died, run it again",
});

/** Since when is not known: the time is that of the epoch. */
const lostText = (fault: NoteFault): GateNote => ({
  ...{ state: "closed", by: "notes", code: "MILL_NOTE_INVALID", atMs: 0, owner: "nobody" },
  message: `a note cannot be read: ${faultText(fault)}`,
});

/** Null while it is open. */
export async function readGate({ meta }: Plan, ports: TopicPorts): Promise<GateNote | null> {
  return gateNote(await readNotes(ports, meta));
}

/** Null: the pipeline's own stores. */
export const storesRecord = (meta: TopicName, run: number | null): OutRecord =>
  noteRecord(meta, STORES, JSON.stringify({ run }));

/** The run whose stores the pipeline uses, or null. Throws MILL_NOTE_INVALID when nobody knows. */
export function storesNote(of: Operated, notes: Notes): number | null {
  requireNote(of, notes, STORES);
  const text = notes.get(STORES);
  if (text === undefined) return null;
  return parseKnown<{ readonly run: number | null }>(text, noteChecks.stores).run;
}

/** Null: what the pipeline says. */
export const haltAboveRecord = (meta: TopicName, share: number | null): OutRecord =>
  noteRecord(meta, HALT_ABOVE, share === null ? null : JSON.stringify({ share }));

/** The share of dead letters that the last resume allows, or null. */
export function haltAboveNote(notes: Notes): number | null {
  const text = notes.get(HALT_ABOVE);
  if (text === undefined) return null;
  return parseKnown<{ readonly share: number }>(text, noteChecks.haltAbove).share;
}

/** Why nothing moves and since when, with what leads on; for /ready, logs and commands. */
export function gateText(of: Operated, { state, by, code, message, atMs }: GateNote): string {
  const since = by === "notes" ? "" : ` since ${new Date(atMs).toISOString()}`;
  return `${of.pipeline} is ${state}${since}: ${code} ${message}${leadOf(of, by)}`;
}

function leadOf(of: Operated, by: GateNote["by"]): string {
  if (by === "promote" || by === "reset") return "";
  return by === "notes"
    ? `. To see and to repair it: ${notesRepairCommand(of)}`
    : `. To go on: ${resumeCommand(of)}`;
}

export const gateIsShut = (of: Operated, note: GateNote): MillraceError =>
  note.by === "notes"
    ? new MillraceError("MILL_NOTE_INVALID", gateText(of, note))
    : new MillraceError("MILL_GATE_HELD", `${gateText(of, note)} (held by ${note.owner})`);

/** The error that ends `run --until-end` at a shut gate. */
export const haltOf = (of: Operated, note: GateNote): MillraceError =>
  note.by === "breaker"
    ? new MillraceError("MILL_PIPELINE_HALTED", gateText(of, note))
    : gateIsShut(of, note);
