// Notes that cannot be read, and what that means: the last good one of the same key counts, as long as the log has it or
// the reader has known it. It is what everybody obeyed before somebody else wrote there. Where it is gone too, each kind of note has
// its own consequence (kinds.ts).
import { MillraceError } from "../core/errors.ts";
import { shownKey } from "../core/foreign.ts";
import { notesRepairCommand, type Operated } from "../core/lead.ts";
import type { TopicPartition } from "../core/record.ts";
import { whenLost } from "./kinds.ts";

export interface NoteFault extends TopicPartition {
  readonly offset: bigint;
  readonly key: string;
  readonly why: string;
  /** The last good note of the key is known, or its loss makes no difference. */
  readonly isCovered: boolean;
}

/** Notes by key, each checked, with those that could not be taken. */
export type Notes = ReadonlyMap<string, string> & {
  readonly faults?: ReadonlyMap<string, NoteFault>;
  /** The batch that nobody can read, and that may have had a note of this key; null where the key is known. */
  hiding?(key: string): NoteFault | null;
};

/** The fault of a note that nobody knows; null: it is known what the key says, also that it says nothing. */
export function lostNote(notes: Notes, key: string): NoteFault | null {
  const fault = notes.faults?.get(key);
  if (fault !== undefined) return fault.isCovered ? null : fault;
  return whenLost(key) === "none" ? null : (notes.hiding?.(key) ?? null);
}

/** The facts about a lost note that counts as one that is there. */
export const isUnknown = (notes: Notes, key: string): boolean =>
  lostNote(notes, key) !== null && whenLost(key) === "unknown";

export const faultText = ({ topic, partition, offset, key, why }: NoteFault): string =>
  `${topic}-${String(partition)} at ${String(offset)}, key ${shownKey(key)}: ${why}`;

/** For the log: what is wrong, what counts instead, and what repairs it. */
export const faultLine = (of: Operated, fault: NoteFault): string => {
  const instead = fault.isCovered
    ? "the last good one of its key counts"
    : "what its key said before is lost";
  return `a note cannot be read: ${faultText(fault)}; ${instead}. To see and to repair it: ${notesRepairCommand(of)}`;
};

export const noteInvalid = (of: Operated, fault: NoteFault): MillraceError => {
  const { topic, partition, offset } = fault;
  const detail = `${faultText(fault)}. To see and to repair it: ${notesRepairCommand(of)}`;
  return new MillraceError("MILL_NOTE_INVALID", detail, { where: { topic, partition, offset } });
};

/** Throws MILL_NOTE_INVALID for one that nobody may go on without. */
export function requireNote(of: Operated, notes: Notes, key: string): void {
  const fault = lostNote(notes, key);
  if (fault !== null && whenLost(key) === "stop") throw noteInvalid(of, fault);
}
