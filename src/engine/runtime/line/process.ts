// The middle of the line, for one run of records: decode → transform → stage. Synchronous and pure but for its stage,
// so a run is processed whole or, after an error that is not the record's, not at all.
import { DecodeError, MillraceError } from "../../core/errors.ts";
import type { DecodedRecord, Failure, Outcome, Stage } from "../../core/outcome.ts";
import type { OutRecord, RawRecord } from "../../core/record.ts";
import type { TaskStores } from "../../core/state.ts";
import type { Run } from "../../source/inbox.ts";
import type { TimedRecord } from "../../transform/batch.ts";
import type { Held } from "../../transform/operators.ts";
import type { BoundPart, SourceCodec } from "./bind.ts";
import type { SchemaCache } from "./schema-cache.ts";

/**
 * Schema ids in a run whose writer's schema is not known yet. None, and the run may be decoded in this same turn: other
 * tasks share the cache, and in a later turn an answer may be forgotten.
 */
export function unknownIds({ sources }: BoundPart, run: Run, schemas: SchemaCache): Set<number> {
  schemas.forgetUnknown();
  const codec = sources.get(run.topic) as SourceCodec;
  const ids = new Set<number>();
  for (const { key, value } of run.records) {
    const ofKey = key === null ? null : codec.key.unknownId(key);
    const ofValue = value === null ? null : codec.value.unknownId(value);
    if (ofKey !== null) ids.add(ofKey);
    if (ofValue !== null) ids.add(ofValue);
  }
  return ids;
}

/** What a run came to in a part with state; nothing of it is kept until the task takes it. */
export interface ProcessedRun {
  /** One a record, up to the first that halts. */
  readonly outcomes: readonly Outcome[];
  readonly outputs: readonly OutRecord[];
  readonly held: readonly Held[];
  readonly streamTimeMs: number;
}

/** Takes a run through a part with state. `streamTimeMs` is the task's, before the run. */
export async function processRunWithState(
  bound: BoundPart,
  run: Run,
  stores: TaskStores,
  streamTimeMs: number,
): Promise<ProcessedRun> {
  const codec = bound.sources.get(run.topic) as SourceCodec;
  const decoded = run.records.map((raw) => decodeRecord(codec, raw));
  const records = timed(codec, decoded, streamTimeMs);
  const { outcomes, outputs, held } = await bound.program.runBatch({ records, stores });
  const ends: Outcome[] = [];
  let at = 0;
  let reachedMs = streamTimeMs;
  for (const record of decoded) {
    const last = "kind" in record ? null : records[at];
    const outcome = "kind" in record ? record : outcomes[at++];
    // Behind a record that halts there are no outcomes.
    if (outcome === undefined) break;
    ends.push(outcome);
    if (outcome.kind === "halted") break;
    // What is not consumed has not been seen: it would make those behind the halt late when they are read again.
    reachedMs = last?.streamTimeMs ?? reachedMs;
  }
  return { outcomes: ends, outputs, held, streamTimeMs: reachedMs };
}

/** The records that could be decoded, each with the stream time that it sees. */
function timed(
  codec: SourceCodec,
  decoded: readonly (DecodedRecord | Outcome)[],
  streamTimeMs: number,
): TimedRecord[] {
  let time = streamTimeMs;
  const records: TimedRecord[] = [];
  for (const record of decoded) {
    if ("kind" in record) continue;
    // A tombstone has no event time where that is told by the value; when it arrived says nothing of it.
    const isTimed = record.value !== undefined || codec.timestamp === null;
    if (isTimed) time = Math.max(time, record.context.timestamp);
    records.push({ record, streamTimeMs: time });
  }
  return records;
}

/** Takes each record through the part, until `onOutcome` says that it is not consumed; then returns false. */
export function processRun(
  bound: BoundPart,
  run: Run,
  stage: Stage,
  onOutcome: (raw: RawRecord, outcome: Outcome) => boolean,
): boolean {
  const codec = bound.sources.get(run.topic) as SourceCodec;
  for (const raw of run.records) {
    const outcome = processRecord(bound, codec, raw, stage);
    if (!onOutcome(raw, outcome)) return false;
    stage.index++;
  }
  return true;
}

function processRecord(
  { program }: BoundPart,
  codec: SourceCodec,
  raw: RawRecord,
  stage: Stage,
): Outcome {
  const record = decodeRecord(codec, raw);
  return "kind" in record ? record : program.run(record, stage);
}

/** The record, or how it ended already. */
function decodeRecord(codec: SourceCodec, raw: RawRecord): DecodedRecord | Outcome {
  let key: unknown;
  let value: unknown;
  let timestamp: number;
  try {
    key = codec.key.decode(raw.key);
    value = raw.value === null ? undefined : codec.value.decode(raw.value);
    timestamp = timeOf(codec, raw, value);
  } catch (error) {
    return { kind: "dead-lettered", failure: decodeFailure(error, raw) };
  }
  const { topic, partition, offset, headers } = raw;
  const context = { key, timestamp, topic, partition, offset, headers };
  return { raw, value, context };
}

/** The last instant that a Date can be. */
const LATEST_MS = 8.64e15;

function timeOf(codec: SourceCodec, raw: RawRecord, value: unknown): number {
  if (codec.timestamp === null || value === undefined) return raw.timestamp;
  const timestamp = codec.timestamp(value);
  // Whole, as Kafka and the stores write it.
  if (timestamp >= 0 && timestamp <= LATEST_MS) return Math.floor(timestamp);
  throw new DecodeError("MILL_DECODE_SCHEMA", "the record's time is no date from 1970 on");
}

/** An error without a code of ours comes from the topic's own timestamp function. */
function decodeFailure(error: unknown, raw: RawRecord): Failure {
  const isOurs = error instanceof MillraceError;
  const isSchema = isOurs && error.code === "MILL_DECODE_SCHEMA";
  return {
    class: !isOurs ? "transform" : isSchema ? "schema" : "decode",
    stage: "decode",
    step: raw.topic,
    rule: null,
    code: isOurs ? error.code : "MILL_TRANSFORM_THREW",
    message: isOurs ? error.message : "the topic's timestamp function threw",
  };
}
