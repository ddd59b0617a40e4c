// Why a task must not go on by itself, each with the exact command that decides where it does. Pure.
import { BatchError, detailOf, MillraceError, notMadeYet } from "../core/errors.ts";
import type { ErrorCode } from "../core/error-table.ts";
import type { StartOffset, TopicDescription, Watermarks } from "../core/kafka.ts";
import { resetCommand, resumeCommand, type Operated } from "../core/lead.ts";
import { widthDiffers } from "../core/plan-settings.ts";
import { addressOf, type GroupId, type TopicName, type TopicPartition } from "../core/record.ts";
import { wrongMetadata } from "../core/task-inputs.ts";

/** The part that a task belongs to, as far as its stops must know. */
export interface PartFacts extends Operated {
  readonly part: string;
  readonly topics: readonly TopicName[];
  /** Read beside them, for the letters that come back; it is as wide as the widest part. */
  readonly redrive: TopicName;
  /** The partitions of each of its topics, as declared. */
  readonly partitions: number;
  /** Topics that declare no partitions, so that MILLRACE_TOPIC_PARTITIONS gives their number. */
  readonly widthBySetting?: readonly TopicName[];
  readonly isStateful: boolean;
  /** An operator of the part, or behind it, asks for watermarks. */
  readonly usesTime: boolean;
  /** Reference topics: a first start reads them from their beginning, before the others. */
  readonly loadFirst: readonly TopicName[];
}

/**
 * The group's leader has given out other topics than this worker's part reads: it runs another version of the
 * pipeline. The next assignment is looked at anew, so the end of a rolling deploy ends this too.
 */
export function versionsDiffer(
  { pipeline, part, topics: sources, redrive }: PartFacts,
  assigned: readonly TopicPartition[],
): MillraceError | null {
  const given = [...new Set(assigned.map(({ topic }) => topic))].sort();
  // The redrive topic may not be there, and may come at any time.
  const own = given.filter((topic) => topic !== redrive);
  if (given.length === 0 || own.join() === [...sources].sort().join()) return null;
  const topics = [...sources, redrive].join(", ");
  const detail = `${pipeline}, part ${part}: this worker reads ${topics}, the group was given ${given.join(", ")}`;
  return new MillraceError("MILL_SOURCE_VERSIONS", detail);
}

/** Retention has passed the task (then the gap is skipped), or the log ends before it. Null when the log has it. */
export function offsetGone(
  part: PartFacts,
  start: StartOffset,
  mark: Watermarks | undefined,
): MillraceError | null {
  const { nextOffset } = start;
  if (mark !== undefined && nextOffset >= mark.low && nextOffset <= mark.high) return null;
  const found = mark === undefined ? "nothing" : `${String(mark.low)} to ${String(mark.high)}`;
  const detail = `${addressOf(start)}: committed ${String(nextOffset)}, the topic has ${found}`;
  const isBehind = mark !== undefined && nextOffset < mark.low;
  const to = isBehind ? "earliest" : "latest";
  return stop("MILL_SOURCE_OFFSET_GONE", start, `${detail}${then(resetOf(part, start, to))}`);
}

export function progressLost(part: PartFacts, at: TopicPartition): MillraceError {
  const command = part.isStateful ? withState(part) : resetOf(part, at, "earliest");
  return stop("MILL_SOURCE_PROGRESS_LOST", at, `${addressOf(at)}${then(command)}`);
}

/** The place to go on is known, the counts are not: an operator decides to count anew. */
export function progressInvalid(
  part: PartFacts,
  at: StartOffset & { readonly group?: GroupId },
  why: string,
): MillraceError {
  const place = at.group === undefined ? "the progress row of" : `group ${at.group},`;
  const { nextOffset } = at;
  const command = resetOf(part, at, `offset:${String(nextOffset)}`);
  const next = `To go on from there and count anew, stop the pipeline's workers, then: ${command}`;
  const detail = `${place} ${addressOf(at)} at ${String(nextOffset)}: ${why}. ${next}`;
  return stop("MILL_PROGRESS_INVALID", at, detail);
}

/**
 * The metadata beside the offset cannot be read: ledger and time of the task are not known. Without the time of an input,
 * lateness for a window would depend on the offset (K1).
 */
export function damagedBeside(
  part: PartFacts,
  start: StartOffset & { readonly group: GroupId; readonly metadata: string },
): MillraceError | null {
  // mistake: offset without times taken
  const lacksTime = start.metadata === "" && part.usesTime && part.topics.includes(start.topic);
  if (lacksTime) return progressInvalid(part, start, NO_TIMES);
  // mistake: damaged progress taken
  const why = wrongMetadata(start.metadata);
  return why === null ? null : progressInvalid(part, start, why);
}

const NO_TIMES = "the offset was committed without the times by which the part's windows close";

export function topicRecreated(part: PartFacts, at: TopicPartition): MillraceError {
  const command = resetCommand(part, `--part ${part.part} --topic ${at.topic} --to earliest`);
  return stop("MILL_SOURCE_TOPIC_RECREATED", at, `${at.topic}${then(command)}`);
}

/** A batch that nobody can read: the bound is raised for it, or it is passed over. */
export function batchUnreadable(
  part: PartFacts,
  at: TopicPartition,
  error: BatchError,
): MillraceError {
  const { code, nextOffset, where, cause } = error;
  const isBound = code === "MILL_BATCH_TOO_LARGE";
  const raise = isBound ? "Raise the setting and start again, or pass over it: " : "";
  const then =
    part.runOf === undefined
      ? `stop the pipeline's workers, then: ${resetOf(part, at, `offset:${String(nextOffset)}`)}`
      : `begin another run with a range behind it: ${resetOf(part, at, "")}${rangeBehind(part, at, nextOffset)}`;
  const lead = `${raise}${isBound ? "" : "To pass over it, "}${then}`;
  return new MillraceError(code, `${detailOf(error)}. ${lead}`, { where, cause });
}

/** A run reads topics of others and those of its own, and has a range only in the first. */
const rangeBehind = ({ pipeline }: PartFacts, at: TopicPartition, nextOffset: bigint): string =>
  at.topic.includes(`${pipeline}-`) ? "" : ` --from-offset ${addressOf(at)}=${String(nextOffset)}`;

/** Null when the topic has as many partitions as its part; the redrive topic may have more. */
export function partitionsChanged(
  part: PartFacts,
  at: TopicPartition,
  found: TopicDescription | null,
): MillraceError | null {
  const { partitions, widthBySetting = [], redrive } = part;
  if (found?.partitions === partitions) return null;
  if (found !== null && at.topic === redrive && found.partitions > partitions) return null;
  if (found === null) return stop("MILL_TOPIC_MISSING", at, notMadeYet(at.topic, part.pipeline));
  const bySetting = widthBySetting.includes(at.topic) ? { partitionsBy: "setting" as const } : {};
  const detail = widthDiffers(at.topic, { partitions, ...bySetting }, found.partitions);
  return stop("MILL_TOPIC_PARTITIONS", at, detail);
}

const resetOf = (part: PartFacts, at: TopicPartition, to: string): string => {
  const place = `--part ${part.part} --topic ${at.topic} --partition ${String(at.partition)}`;
  return resetCommand(part, `${place} --to ${to}`);
};

/** Lost progress leaves unknown what the stores have counted already, so they are emptied. */
const withState = (of: Operated): string => resetCommand(of, "--to earliest --with-state");

const then = (command: string): string =>
  `. Stop the pipeline's workers, then decide; for instance: ${command}`;

/** Stops whose own text names a command that decides, or that end with the deploy. */
const leadOn: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "MILL_BATCH_CORRUPT",
  "MILL_BATCH_FORMAT",
  "MILL_BATCH_TOO_LARGE",
  "MILL_PROGRESS_INVALID",
  "MILL_SOURCE_OFFSET_GONE",
  "MILL_SOURCE_PROGRESS_LOST",
  "MILL_SOURCE_TOPIC_RECREATED",
  "MILL_SOURCE_VERSIONS",
  "MILL_STATE_CHANGELOG",
]);

/** The end of any other stop's text: its cure is elsewhere, and nobody notifies the task. */
export const lookAgain = (code: ErrorCode, of: Operated): string =>
  leadOn.has(code) ? "" : `. To look again without a restart: ${resumeCommand(of)}`;

/** The same of an error: a batch in a changelog may have changed any key, so its stores are made anew. */
export const leadOf = (error: MillraceError, of: Operated): string =>
  error instanceof BatchError
    ? `. No task writes such a batch${then(withState(of))}`
    : lookAgain(error.code, of);

function stop(code: ErrorCode, at: TopicPartition, detail: string): MillraceError {
  const { topic, partition } = at;
  return new MillraceError(code, detail, { where: { topic, partition } });
}
