// What is written in `<pipeline>-meta` about tasks that have stopped, and about the wish that one be looked at again. Both
// are words between an operator and the workers: whether a task may go on is decided by its takeover alone.
import type { TopicPartition } from "../core/record.ts";
import type { Notes } from "./notes.ts";

/** Names one stop: a wish is for the stop that it names, and for no later one. */
export interface StopId {
  /** The transactional id of the worker that has the task. */
  readonly owner: string;
  readonly atMs: number;
}

/** stopped: the next takeover looks again · halted: a takeover holds the task back until it is resumed. */
export interface StopNote extends StopId {
  readonly kind: "stopped" | "halted";
  readonly code: string;
  /** Codes and addresses, never keys or values. */
  readonly message: string;
}

/** One partition of a task. */
export interface NotedAt extends TopicPartition {
  readonly part: string;
}

const STOP = "stop/";
const keyOf = (kind: string, { part, topic, partition }: NotedAt): string =>
  `${kind}${part}/${topic}/${String(partition)}`;

export const stopKey = (at: NotedAt): string => keyOf(STOP, at);
export const resumeKey = (at: NotedAt): string => keyOf("resume/", at);

export const stopText = ({ kind, code, message, atMs, owner }: StopNote): string =>
  JSON.stringify({ kind, code, message, atMs, owner });
export const resumeText = ({ owner, atMs }: StopId): string => JSON.stringify({ owner, atMs });

/** Null when nobody has noted a stop. */
export function stopNote(notes: Notes, at: NotedAt): StopNote | null {
  const text = notes.get(stopKey(at));
  return text === undefined ? null : (JSON.parse(text) as StopNote);
}

/** Whether somebody wishes that this very stop be looked at again. */
export const isResumed = (notes: Notes, at: NotedAt, stop: StopId): boolean =>
  notes.get(resumeKey(at)) === resumeText(stop);

/** Every stop that is noted. */
export const stopNotes = (notes: Notes): readonly (StopNote & NotedAt)[] =>
  [...notes].flatMap(([key, text]) => {
    if (!key.startsWith(STOP)) return [];
    const [part = "", topic = "", partition = ""] = key.slice(STOP.length).split("/");
    return [{ ...(JSON.parse(text) as StopNote), part, topic, partition: Number(partition) }];
  });
