// The kinds of notes in `<pipeline>-meta` and in the topic of letters' states, by their keys, and what each must be. Whoever may
// write these topics may write anything there, so a note is checked before anybody uses it. A key of no kind is left
// alone: a later release may have written it.
import {
  fields,
  flag,
  listOf,
  mapOf,
  nullable,
  offsetText,
  oneOf,
  optional,
  parseForeign,
  text,
  time,
  whole,
  type Check,
} from "../core/foreign.ts";
import { letterStateCheck } from "../core/redrive.ts";

/** Names of pipelines, topics and groups are shorter; messages may quote several of them. */
const name = text(300);
const message = text(10_000);
const partition = whole(1_000_000_000);

type NoteName =
  | "gate"
  | "stores"
  | "haltAbove"
  | "generation"
  | "start"
  | "store"
  | "stop"
  | "resume"
  | "shape"
  | "flow"
  | "job"
  | "audit";

/** The content of notes, by the kind of their key. */
export const noteChecks: Readonly<Record<NoteName, Check>> = {
  gate: fields({
    // A later release may know other states and other owners.
    ...{ state: text(40), by: text(40), code: text(100), message, atMs: time, owner: name },
    run: optional(whole()),
  }),
  stores: fields({ run: nullable(whole()) }),
  haltAbove: fields({
    share: (value, path) =>
      typeof value === "number" && value >= 0 && value <= 1
        ? null
        : `${path} is no number from 0 to 1`,
  }),
  generation: fields({
    ...{ parent: whole(), why: oneOf(["reset", "promote", "undo"]), run: nullable(whole()) },
    ...{ atMs: time, isUnfinished: flag, hasOtherStores: flag },
    readings: listOf(
      fields({
        ...{ part: name, topic: name, partition, from: offsetText, stopped: nullable(offsetText) },
        ...{ isOther: optional(flag), isMade: optional(flag) },
      }),
    ),
  }),
  start: fields({
    ...{ nextOffset: offsetText, topicId: optional(nullable(text(100))) },
    partitions: optional(nullable(partition)),
  }),
  store: fields({
    ...{ operator: name, key: name, value: name, part: name, partitions: whole(1e9) },
    ...{ window: optional(text(500)), graceMs: optional(whole()) },
  }),
  stop: fields({
    ...{ kind: oneOf(["stopped", "halted"]), code: text(100), message, atMs: time, owner: name },
  }),
  resume: fields({ owner: name, atMs: time }),
  shape: fields({ structure: mapOf(text(100), 10_000, 2_000), isAccepted: optional(flag) }),
  flow: fields({
    steps: listOf(
      fields({
        ...{ group: name, reads: listOf(fields({ topic: name, writtenBy: optional(name) })) },
        ...{ writes: listOf(name), waits: listOf(fields({ topic: name, delayMs: whole() })) },
      }),
    ),
  }),
  job: fields({
    ...{
      job: name,
      state: oneOf(["running", "done", "cancelled"]),
      chosen: whole(),
      sent: whole(),
    },
    ...{ startedMs: time, atMs: time },
  }),
  audit: fields({
    ...{ atMs: time, who: name, command: message, letters: whole(), reason: optional(message) },
  }),
};

/**
 * What an unreadable note means where the log has no good one of its key any more. none: there is none · unknown: it counts as
 * one that is there and says nothing · stop: nobody may go on without it.
 */
export type WhenLost = "none" | "unknown" | "stop";

interface NoteKind {
  /** The pattern of the whole key. */
  readonly keys: RegExp;
  /** The content's check; null where it is no JSON. */
  readonly check: Check | null;
  readonly whenLost: WhenLost;
}

const NAME = "[^/]{1,300}";
const AT = `${NAME}/${NAME}/\\d{1,10}`;
const kind = (keys: string, check: Check | null, whenLost: WhenLost): NoteKind => ({
  ...{ keys: new RegExp(`^(?:${keys})$`), check, whenLost },
});

/** Lost, a letter that is over could go back a second time. */
const generation = kind("generation/[1-9]\\d{0,8}", noteChecks.generation, "stop");

/** By what the key begins with, up to its first slash. */
const kinds: ReadonlyMap<string, NoteKind> = new Map([
  // It may have been shut for a promotion: to go on would double records.
  ["gate", kind("gate", noteChecks.gate, "stop")],
  // Other stores say other sums.
  ["stores", kind("stores", noteChecks.stores, "stop")],
  // The pipeline's own limit is the stricter one.
  ["halt-above", kind("halt-above", noteChecks.haltAbove, "none")],
  ["generation", generation],
  // The task has begun. Without progress it stops; with progress its topic is noted anew, as after an older release.
  ["start", kind(`start/${NAME}/${NAME}`, noteChecks.start, "unknown")],
  // That it is there says everything.
  ["piece", kind(`piece/${NAME}/${NAME}`, fields({}), "unknown")],
  // The changelog may mean something else now.
  ["store", kind(`store/${NAME}`, noteChecks.store, "stop")],
  // Information, never a verdict: the worker notes it again.
  ["stop", kind(`stop/${AT}`, noteChecks.stop, "none")],
  ["resume", kind(`resume/${AT}`, noteChecks.resume, "none")],
  // Without it a task waits in front of the value, and says so.
  ["shape", kind(`shape/${NAME}/${NAME}/[^/]{0,100}`, noteChecks.shape, "none")],
  // Readers of what the pipeline writes take none of it for quiet; the next start notes it again.
  ["flow", kind("flow", noteChecks.flow, "none")],
  // A letter whose state is not known is not open: it could go back a second time.
  ["letter", kind("letter/[^/]{1,100}(?:/[1-9]\\d{0,8})?", letterStateCheck, "unknown")],
  // Notes that commands show each other.
  ["job", kind("job", noteChecks.job, "none")],
  ["cancel", kind("cancel", null, "none")],
  ["audit", kind("audit/.{1,300}", noteChecks.audit, "none")],
  // An operator knows that the batch at this offset, which nobody can read, is to be passed over.
  ["batch", kind("batch/\\d{1,19}", fields({}), "none")],
]);

const BATCH = "batch/";
export const batchKey = (offset: bigint): string => `${BATCH}${String(offset)}`;
export const isBatchKey = (key: string): boolean => key.startsWith(BATCH);

/** By 0.1.0: the state of a letter from before a promotion, which an undo gives back. */
const promoted = kind("promoted-r\\d{1,9}/[^/]{1,100}", nullable(letterStateCheck), "stop");

const kindOf = (key: string): NoteKind | undefined => {
  const slash = key.indexOf("/");
  const head = slash < 0 ? key : key.slice(0, slash);
  return kinds.get(head) ?? (head.startsWith("promoted-r") ? promoted : undefined);
};

/** Without JSON: an id, or nothing that is looked at. */
const PLAIN_MAX = 1_000;

/** The fault of a note, or null. */
export function wrongNote(key: string, value: string): string | null {
  const found = kindOf(key);
  if (found === undefined) return null;
  if (!found.keys.test(key)) return WRONG_KEY;
  if (found.check === null)
    return value.length <= PLAIN_MAX ? null : `it is longer than ${String(PLAIN_MAX)} characters`;
  const result = parseForeign(value, found.check);
  if ("why" in result) return result.why;
  return found === generation ? wrongParent(key, result.value) : null;
}

/** Parents lead back to the first generation: whoever follows them must come to an end. */
function wrongParent(key: string, value: unknown): string | null {
  const { parent } = value as { readonly parent: number };
  return parent < Number(key.slice(key.indexOf("/") + 1)) ? null : "its parent is no earlier one";
}

const WRONG_KEY = "its key is none that Millrace writes";

/** Nobody asks for a key that is none of ours. */
export const whenLost = (key: string): WhenLost => {
  const found = kindOf(key);
  return found?.keys.test(key) === true ? found.whenLost : "none";
};
