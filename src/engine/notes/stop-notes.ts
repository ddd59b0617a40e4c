// Notes in `<pipeline>-meta` about tasks that have stopped, and about the wish that one be looked at again. Both are
// messages between an operator and the workers: only its takeover decides whether a task may go on.
import { parseKnown } from "../core/foreign.ts";
import { taskKey, type TaskAt } from "../core/record.ts";
import type { Notes } from "./faults.ts";
import { noteChecks } from "./kinds.ts";

/** Names one stop: a wish is for the stop that it names, and for no later one. */
export interface StopId {
  /** The transactional id of the worker that has the task. */
  readonly owner: string;
  readonly atMs: number;
}

/** stopped: the next takeover looks again · halted: a takeover leaves the task stopped until it is resumed. */
export interface StopNote extends StopId {
  readonly kind: "stopped" | "halted";
  readonly code: string;
  /** Codes and addresses, never keys or values. */
  readonly message: string;
}

const STOP = "stop/";
export const stopKey = (at: TaskAt): string => `${STOP}${taskKey(at)}`;
export const resumeKey = (at: TaskAt): string => `resume/${taskKey(at)}`;

export const stopText = ({ kind, code, message, atMs, owner }: StopNote): string =>
  JSON.stringify({ kind, code, message, atMs, owner });
export const resumeText = ({ owner, atMs }: StopId): string => JSON.stringify({ owner, atMs });

/** Null when nobody has noted a stop. */
export function stopNote(notes: Notes, at: TaskAt): StopNote | null {
  const text = notes.get(stopKey(at));
  return text === undefined ? null : parseKnown<StopNote>(text, noteChecks.stop);
}

/** Whether somebody wishes that this very stop be looked at again. */
export const isResumed = (notes: Notes, at: TaskAt, stop: StopId): boolean =>
  notes.get(resumeKey(at)) === resumeText(stop);

/** Every stop that is noted. */
export const stopNotes = (notes: Notes): readonly (StopNote & TaskAt)[] =>
  [...notes].flatMap(([key, text]) => {
    if (!key.startsWith(STOP)) return [];
    const [part = "", topic = "", partition = ""] = key.slice(STOP.length).split("/");
    const stop = parseKnown<StopNote>(text, noteChecks.stop);
    return [{ ...stop, part, topic, partition: Number(partition) }];
  });
