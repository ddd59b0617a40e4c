// The source record of what a broker refused. An output knows its record. An entry of a changelog, and a result that waited
// for the checkpoint, fold several records: only a checkpoint of a single record shows which one it is, and whose outputs are
// to blame beside it.
import type { ErrorCode } from "../../../core/error-table.ts";
import {
  isRetriable,
  MillraceError,
  RecordsRefusedError,
  refusalText,
  type RefusedRecord,
} from "../../../core/errors.ts";
import type { OutRecord, TopicName } from "../../../core/record.ts";
import type { RefusedSource } from "../refusals.ts";
import type { TaskCheckpoint } from "./tally.ts";
import type { RefusalVerdict } from "./probation.ts";

export interface Blame extends RefusalVerdict {
  /** For a pause. */
  readonly code: ErrorCode;
  readonly stage: TaskCheckpoint;
  readonly sources: readonly RefusedSource[];
}

interface RefusedWrite {
  readonly refused: RefusedRecord;
  readonly record: OutRecord;
}

/** A blame for each task that has a part in it; `stages` as the commit sent them. */
function blamesOf(stages: readonly TaskCheckpoint[], { refused }: RecordsRefusedError): Blame[] {
  const byIndex = new Map(refused.map((one) => [one.index, one]));
  let sent = 0;
  const among = (records: readonly OutRecord[]): RefusedWrite[] => {
    const from = sent;
    sent += records.length;
    return records.flatMap((record, i) => {
      const found = byIndex.get(from + i);
      return found === undefined ? [] : [{ refused: found, record }];
    });
  };
  // In the order of the commit's second step.
  const shares = stages.map((stage): RefusedShare => ({
    stage,
    outputs: among(stage.outputs.slice(0, stage.deferredFrom)),
    deferred: among(stage.outputs.slice(stage.deferredFrom)),
    changes: among(stage.changelog),
    letters: among(stage.letters),
  }));
  return shares
    .filter(({ outputs, deferred, changes, letters }) =>
      [outputs, deferred, changes, letters].some(({ length }) => length > 0),
    )
    .map(blameOf);
}

type RefusedShare = { readonly stage: TaskCheckpoint } & {
  readonly [of in "outputs" | "deferred" | "changes" | "letters"]: readonly RefusedWrite[];
};

function blameOf({ stage, outputs, deferred, changes, letters }: RefusedShare): Blame {
  const [folded = null] = [...deferred, ...changes];
  // mistake: last one blamed (2 of 2)
  if (folded !== null && stage.units > 1) return unclear(stage, letters);
  const ofOutputs = stage.state === null ? outputs : firstOfEachKey(outputs);
  const sources = ofOutputs.flatMap(({ record, refused }): RefusedSource[] =>
    record.source === undefined ? [] : [{ raw: record.source, kind: "output", refused }],
  );
  const lost = [
    ...blameLetters(stage, letters, sources),
    ...(folded === null ? [] : blameFolded(stage, folded, sources)),
  ];
  return { ...verdictOn(stage, lost), sources, isUnclear: false };
}

/**
 * A smaller checkpoint will show whose change was refused. Until then nobody is to blame for
 * anything: what later records have written may carry what that one brought, and would pass
 * without it.
 */
const unclear = (stage: TaskCheckpoint, letters: readonly RefusedWrite[]): Blame => ({
  ...verdictOn(stage, blameLetters(stage, letters, [])),
  sources: [],
  isUnclear: true,
});

function verdictOn(
  stage: TaskCheckpoint,
  [lost]: readonly RefusedWrite[],
): Omit<Blame, "sources" | "isUnclear"> {
  const why = lost === undefined ? null : whyOf(refusalText([lost.refused]));
  return { stage, why, missing: null, code: "MILL_OUTPUT_REFUSED" };
}

/** Returns letters that were made small already, and what became of earlier ones: they cannot be made smaller. */
const blameLetters = (
  { refusals }: TaskCheckpoint,
  letters: readonly RefusedWrite[],
  sources: RefusedSource[],
): RefusedWrite[] =>
  letters.filter(({ record: { source }, refused }) => {
    if (source === undefined || refusals.has(source, "letter")) return true;
    sources.push({ raw: source, kind: "letter", refused });
    return false;
  });

/** Returns what no record did, or one that has been left out already. */
function blameFolded(
  { only, refusals }: TaskCheckpoint,
  folded: RefusedWrite,
  sources: RefusedSource[],
): RefusedWrite[] {
  if (only === null || refusals.has(only, "effect")) return [folded];
  sources.push({ raw: only, kind: "effect", refused: folded.refused });
  return [];
}

/** Outputs of later records of a key may carry what the first one brought. */
function firstOfEachKey(outputs: readonly RefusedWrite[]): RefusedWrite[] {
  const keys = new Set<string | null>();
  return outputs.filter(({ record: { source } }) => {
    const key = source?.key?.toString("latin1") ?? null;
    if (key !== null && keys.has(key)) return false;
    keys.add(key);
    return true;
  });
}

const whyOf = (reason: string): string => `kafka refuses ${reason}`;

/** Nobody, for an error that is no refusal or concerns all tasks alike. */
export function blamesFor(error: unknown, stages: readonly TaskCheckpoint[]): Blame[] {
  if (error instanceof RecordsRefusedError) return blamesOf(stages, error);
  if (!(error instanceof MillraceError) || isRetriable(error) || !TOPIC_CODES.has(error.code))
    return [];
  const { topic } = error.where;
  return topic === undefined ? [] : writersTo(stages, topic, error);
}

/** Answers that concern a topic as such. */
const TOPIC_CODES: ReadonlySet<string> = new Set([
  "MILL_KAFKA_AUTH",
  "MILL_KAFKA_REFUSED",
  "MILL_TOPIC_MISSING",
]);

const isMissing = ({ code }: MillraceError): boolean => code === "MILL_TOPIC_MISSING";

const whyOfTopic = (error: MillraceError, topic: TopicName): string =>
  isMissing(error) ? `the topic ${topic} is missing: run npx millrace topics apply` : error.message;

/** Tasks that wrote to a topic which is not there for them, or whose progress in it is refused. */
function writersTo(
  stages: readonly TaskCheckpoint[],
  topic: TopicName,
  error: MillraceError,
): Blame[] {
  const why = whyOfTopic(error, topic);
  const missing = isMissing(error) ? topic : null;
  return stages
    .filter(({ outputs, changelog, letters, progress }) =>
      [outputs, changelog, letters, progress].some((all) => all.some((one) => one.topic === topic)),
    )
    .map((stage) => ({ stage, sources: [], isUnclear: false, why, missing, code: error.code }));
}
