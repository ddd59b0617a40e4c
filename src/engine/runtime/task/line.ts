// The middle of the line, for one slice of records: decode → transform → stage. Pure but for stage and state, so a slice
// is processed whole or, after an error that is not the record's, not at all.
import { entryOf } from "../../core/error-table.ts";
import { DecodeError, isLater, MillraceError } from "../../core/errors.ts";
import {
  isKafkaTime,
  kafkaTimeFault,
  timeFault,
  type TimeFault,
  type TimeRule,
} from "../../core/event-time.ts";
import type { DecodedRecord, Failure, Outcome, Stage } from "../../core/outcome.ts";
import { addressOf, type RawRecord } from "../../core/record.ts";
import type { TaskStores } from "../../core/state.ts";
import { envelopeOf } from "../../decode/framing.ts";
import { runBatch, type BatchResult, type TimedRecord } from "../../transform/pass.ts";
import type { Program } from "../../transform/program.ts";
import type { CallBook } from "../../transform/calls/book.ts";
import type { TaskCalls } from "../../transform/calls/call.ts";
import type { BoundPart, SourceCodec } from "./bind.ts";
import type { Slice } from "./intake.ts";
import { NO_TIME } from "../../core/task-inputs.ts";

/** The result of a slice; none of it is kept until the task takes it, but for what a part without state has staged. */
export interface Processed extends BatchResult {
  /** The greatest time of a record that is consumed; NO_TIME where none of them moves it. */
  readonly timeMs: number;
}

/** Takes each record of a part without state and calls through it into the stage, up to one that is judged to halt. */
export function processEach(
  { program, sources }: BoundPart,
  { topic, records }: Slice,
  stage: Stage,
  judged: (raw: RawRecord, outcome: Outcome) => Outcome,
): Processed {
  const codec = sources.get(topic) ?? null;
  const outcomes: Outcome[] = [];
  program.cursor.begin();
  for (const raw of records) {
    const record = decodeRecord(codec, raw);
    program.cursor.decoded(raw);
    const outcome = judged(raw, "kind" in record ? record : program.run(record, stage));
    outcomes.push(outcome);
    if (outcome.kind === "halted") break;
    stage.index++;
  }
  return { outcomes, outputs: [], deferred: [], queued: [], timeMs: NO_TIME };
}

/** The stores and calls that a task lends to a batch. */
export interface Lent {
  readonly stores: TaskStores;
  readonly calls: TaskCalls;
  /** The results so far of calls for records of this slice. */
  readonly book: CallBook;
  /** The greatest time that the task had seen before the slice. */
  readonly timeMs: number;
}

/** Takes the records of a part with state or calls through it together. */
export async function processBatch(
  { program, sources }: BoundPart,
  { topic, records: raws }: Slice,
  { stores, calls, book, timeMs }: Lent,
): Promise<Processed> {
  const decoded = decodeAll(sources.get(topic) ?? null, raws, program);
  const records = timed(decoded, timeMs);
  const result = await runBatch(program, { records, stores, calls, book });
  const outcomes: Outcome[] = [];
  let [at, reachedMs] = [0, NO_TIME];
  for (const one of decoded) {
    const outcome = "kind" in one ? one : result.outcomes[at++];
    // Behind a record that halts there are no outcomes, and none from one on that has no room.
    if (outcome === undefined) break;
    outcomes.push(outcome);
    if (outcome.kind === "halted") break;
    // A record that is not consumed moves no time: those behind the halt would be late when they are read again.
    // mistake: arrival moves time (1 of 2)
    if (!("kind" in one) && one.isUntimed !== true)
      reachedMs = Math.max(reachedMs, one.context.timestamp);
  }
  return { ...result, outcomes, timeMs: reachedMs };
}

/** Decodes up to the first record that halts: nothing behind it may be worked on. */
function decodeAll(
  codec: SourceCodec | null,
  raws: readonly RawRecord[],
  { cursor }: Program,
): (DecodedRecord | Outcome)[] {
  const decoded: (DecodedRecord | Outcome)[] = [];
  cursor.begin();
  for (const raw of raws) {
    const record = decodeRecord(codec, raw);
    cursor.decoded(raw);
    decoded.push(record);
    if ("kind" in record && record.kind === "halted") break;
  }
  return decoded;
}

/** The records that could be decoded, each with the time that it sees. */
function timed(decoded: readonly (DecodedRecord | Outcome)[], beforeMs: number): TimedRecord[] {
  let timeMs = beforeMs;
  const records: TimedRecord[] = [];
  for (const record of decoded) {
    if ("kind" in record) continue;
    const { timestamp } = record.context;
    const isUntimed = record.isUntimed === true;
    // The time of a record that brokers have refused counts too, as that of any letter does.
    // So it and those behind it see the same time, whether the refusal is known or not.
    // mistake: arrival moves time (2 of 2)
    if (!isUntimed) timeMs = Math.max(timeMs, timestamp);
    // A record without a time of its own sees the task's, or Kafka's where the task has seen none yet.
    records.push({ record, streamTimeMs: isUntimed && timeMs < 0 ? timestamp : timeMs });
  }
  return records;
}

/** The record, or how it ended already. */
function decodeRecord(codec: SourceCodec | null, raw: RawRecord): DecodedRecord | Outcome {
  if (codec === null) return { kind: "dead-lettered", failure: noSource(raw) };
  let side: RecordSide = "key";
  try {
    const key = codec.key.decode(raw.key);
    side = "value";
    if (raw.value === null) return atKafkaTime(codec, raw, { key, value: undefined });
    const value = codec.value.decode(raw.value);
    return atItsTime(codec, raw, { key, value });
  } catch (error) {
    return { kind: "dead-lettered", failure: decodeFailure(error, raw, side) };
  }
}

interface KeyAndValue {
  readonly key: unknown;
  readonly value: unknown;
}

function atItsTime(
  codec: SourceCodec,
  raw: RawRecord,
  decoded: KeyAndValue,
): DecodedRecord | Outcome {
  const { timestamp, timeRule } = codec;
  if (timestamp === null || timeRule === null) return atKafkaTime(codec, raw, decoded);
  const time = timestamp(decoded.value);
  isLater(time);
  const fault = timeFault(time, raw.timestamp, timeRule);
  // Whole, as Kafka and the stores write it.
  if (fault === null) return recordAt(Math.floor(time as number), raw, decoded);
  return withoutTime(explained(fault, decoded), timeRule, raw) ?? untimed(raw, decoded);
}

/** A value that is wrapped has its time further inside. */
function explained(fault: TimeFault, { value }: KeyAndValue): TimeFault {
  const envelope = envelopeOf(value);
  return envelope === null ? fault : { ...fault, detail: `${fault.detail}; ${envelope}` };
}

/** A record whose value has no time. */
function atKafkaTime(
  { timestamp, timeRule }: SourceCodec,
  raw: RawRecord,
  decoded: KeyAndValue,
): DecodedRecord | Outcome {
  const fault = timeRule === null ? null : kafkaTimeFault(raw.timestamp);
  if (timeRule !== null && fault !== null) {
    const ended = withoutTime(fault, timeRule, raw);
    if (ended !== null) return ended;
  }
  // A tombstone has no event time where that comes from the value; when it arrived says nothing of it.
  return timestamp === null ? recordAt(raw.timestamp, raw, decoded) : untimed(raw, decoded);
}

function recordAt(timestamp: number, raw: RawRecord, { key, value }: KeyAndValue): DecodedRecord {
  const { topic, partition, offset, headers } = raw;
  return { raw, value, context: { key, timestamp, topic, partition, offset, headers } };
}

const untimed = (raw: RawRecord, decoded: KeyAndValue): DecodedRecord => ({
  ...recordAt(raw.timestamp, raw, decoded),
  isUntimed: true,
});

/** The outcome of a record whose time is not taken; null where it goes on at Kafka's. */
function withoutTime(fault: TimeFault, { invalid }: TimeRule, raw: RawRecord): Outcome | null {
  const { code, message } = new DecodeError(fault.code, fault.detail);
  if (invalid === "halt") {
    const { topic, partition, offset } = raw;
    const detail = `${addressOf(raw)} at ${String(offset)}: ${message}`;
    const where = { topic, partition, offset };
    return { kind: "halted", error: new MillraceError("MILL_TIMESTAMP_HALT", detail, { where }) };
  }
  if (invalid === "kafka-timestamp" && isKafkaTime(raw.timestamp)) return null;
  const step = { class: "schema", stage: "decode", step: raw.topic, rule: null } as const;
  return { kind: "dead-lettered", failure: { ...step, code, message } };
}

/** A letter of a topic that the part has ceased to read, or a record of the redrive topic that is no letter's. */
function noSource({ topic, redriven }: RawRecord): Failure {
  const code = redriven === undefined ? "MILL_REDRIVE_UNPROVEN" : "MILL_REDRIVE_NO_SOURCE";
  const { message } = entryOf(code);
  return { class: "decode", stage: "decode", step: topic, rule: null, code, message };
}

type RecordSide = "key" | "value";

/** An error without a code of ours comes from the topic's own timestamp function. */
function decodeFailure(error: unknown, raw: RawRecord, side: RecordSide): Failure {
  const isOurs = error instanceof MillraceError;
  const isSchema = isOurs && error.code === "MILL_DECODE_SCHEMA";
  const { code, message } = isOurs ? ofSide(error, raw, side) : THREW;
  return {
    class: !isOurs ? "transform" : isSchema ? "schema" : "decode",
    stage: "decode",
    step: raw.topic,
    rule: null,
    code,
    message,
  };
}

const THREW = { code: "MILL_TRANSFORM_THREW", message: "the topic's timestamp function threw" };

/** Codecs do not know which side of a record they read. */
function ofSide(
  error: MillraceError,
  raw: RawRecord,
  side: RecordSide,
): Pick<Failure, "code" | "message"> {
  if (side === "value") return error;
  if (raw.key === null) return new DecodeError("MILL_DECODE_NO_KEY", "");
  return { code: error.code, message: `the key: ${error.message.replace(/^the value /, "it ")}` };
}
