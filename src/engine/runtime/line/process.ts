// The middle of the line, for one run of records: decode → transform → stage. Synchronous and pure but for its stage,
// so a run is processed whole or, after an error that is not the record's, not at all.
import { DecodeError, MillraceError } from "../../core/errors.ts";
import type { Failure, Outcome, Stage } from "../../core/outcome.ts";
import type { RawRecord } from "../../core/record.ts";
import type { Run } from "../../source/inbox.ts";
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

/** Takes each record through the part; returns false as soon as one says halt. */
export function processRun(
  bound: BoundPart,
  run: Run,
  stage: Stage,
  onOutcome: (raw: RawRecord, outcome: Outcome) => void,
): boolean {
  const codec = bound.sources.get(run.topic) as SourceCodec;
  for (const raw of run.records) {
    const outcome = processRecord(bound, codec, raw, stage);
    onOutcome(raw, outcome);
    if (outcome.kind === "halted") return false;
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
  return program.run({ raw, value, context }, stage);
}

function timeOf(codec: SourceCodec, raw: RawRecord, value: unknown): number {
  if (codec.timestamp === null || value === undefined) return raw.timestamp;
  const timestamp = codec.timestamp(value);
  if (Number.isFinite(timestamp) && timestamp >= 0) return timestamp;
  throw new DecodeError("MILL_DECODE_SCHEMA", "the record's time is before 1970 or is no number");
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
