// The middle of the line, for one slice of records: decode → transform → stage. Pure but for stage and state, so a slice
// is processed whole or, after an error that is not the record's, not at all.
import { DecodeError, isLater, MillraceError } from "../../../core/errors.ts";
import {
  isKafkaTime,
  kafkaTimeFault,
  NO_TIME,
  timeFault,
  type InputTime,
  type TimeFault,
  type TimeRule,
} from "../../../core/event-time.ts";
import type { DecodedRecord, Outcome, Stage } from "../../../core/outcome.ts";
import { addressOf, type RawRecord } from "../../../core/record.ts";
import type { TaskStores } from "../../../core/state.ts";
import { decodeFailure, noSource, type RecordSide } from "../../../decode/failure.ts";
import { isResult } from "../../../core/state-results.ts";
import { envelopeOf } from "../../../decode/framing.ts";
import { runBatch, type BatchResult, type TimedRecord } from "../../../transform/pass.ts";
import type { Program, TaskTimes } from "../../../transform/program.ts";
import type { CallBook } from "../../../transform/calls/book.ts";
import type { TaskCalls } from "../../../transform/calls/call.ts";
import type { BoundPart, SourceCodec } from "../bind.ts";
import type { Slice } from "../intake.ts";
import { returnedResults } from "../results.ts";
import { SliceClock, SliceWatermark } from "./slice-time.ts";
import type { TaskInputs } from "../../../core/task-inputs.ts";

/** The result of a slice; none of it is kept until the task takes it, but for what a part without state has staged. */
export interface Processed extends Omit<BatchResult, "isDueFirst"> {
  /** The greatest event time of a record that is consumed; NO_TIME where none of them moves time. */
  readonly timeMs: number;
  /** The watermark of the input before which entries must fire by themselves, and nothing was done. Null: all is done. */
  readonly dueFirst: number | null;
}

/** Takes each record of a part without state and calls through it into the stage, up to one that is judged to halt. */
export function processEach(
  { program, sources }: BoundPart,
  { topic, records }: Slice,
  { stage, time, judged }: EachOptions,
): Processed {
  const codec = sources.get(topic) ?? null;
  const outcomes: Outcome[] = [];
  const clock = new SliceClock(time);
  let timeMs = NO_TIME;
  program.cursor.begin();
  for (const raw of records) {
    program.cursor.decoding(raw);
    const record = decodeRecord(codec, raw);
    program.cursor.decoded(raw);
    const isRead = !("kind" in record);
    const ended = isRead ? program.run(clock.placed(record), stage) : clock.unread(raw, record);
    const outcome = judged(raw, ended);
    outcomes.push(outcome);
    // A record that is not consumed moves no time: those behind the halt would be late when they are read again.
    if (outcome.kind === "halted") break;
    timeMs = clock.timeMs;
    stage.index++;
  }
  return { outcomes, ...NOTHING, timeMs };
}

const NOTHING: Omit<Processed, "outcomes" | "timeMs"> = {
  ...{ outputs: [], deferred: [], evicted: [], queued: [], fired: 0, lateResults: [] },
  ...{ kept: new Map(), behind: new Map(), dueFirst: null },
};

interface EachOptions {
  readonly stage: Stage;
  /** The time of the input; null: nothing behind asks for it. */
  readonly time: InputTime | null;
  judged(raw: RawRecord, outcome: Outcome): Outcome;
}

/** The stores and calls that a task lends to a batch. */
export interface Lent {
  readonly stores: TaskStores;
  readonly calls: TaskCalls;
  /** The results so far of calls for records of this slice. */
  readonly book: CallBook;
  readonly inputs: Pick<TaskInputs, "time">;
  readonly times: TaskTimes;
}

/** Takes the records of a part with state or calls through it together. */
export async function processBatch(
  bound: BoundPart,
  slice: Slice,
  { stores, calls, book, inputs, times }: Lent,
): Promise<Processed> {
  const { program } = bound;
  const decoded = decodeSlice(bound, slice);
  const time = inputs.time(slice.place);
  const records = timed(decoded, slice, time);
  const watermarkOf = program.watermarks(slice.place, times);
  const watermarkBefore = time?.watermark ?? NO_TIME;
  const batch = { records, stores, calls, book, watermarkOf, watermarkBefore };
  const result = await runBatch(program, batch);
  const outcomes: Outcome[] = [];
  let [at, timeMs] = [0, NO_TIME];
  for (const one of decoded) {
    const outcome = "kind" in one ? one : result.outcomes[at++];
    // Behind a record that halts there are no outcomes, and none from one on that has no room.
    if (outcome === undefined) break;
    outcomes.push(outcome);
    if (outcome.kind === "halted") break;
    // A record that is not consumed moves no time: those behind the halt would be late when they are read again.
    if (!("kind" in one)) timeMs = Math.max(timeMs, (records[at - 1] as TimedRecord).movesToMs);
  }
  const dueFirst = result.isDueFirst ? (records[0] as TimedRecord).watermark : null;
  return { ...result, outcomes, timeMs, dueFirst };
}

function decodeSlice(bound: BoundPart, slice: Slice): (DecodedRecord | Outcome)[] {
  // Only letters that come back are results.
  if (slice.records[0]?.redriven !== undefined && isResult(slice))
    return slice.records.map((raw) => returnedResults(bound, raw));
  return decodeAll(bound.sources.get(slice.topic) ?? null, slice.records, bound.program);
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
    cursor.decoding(raw);
    const record = decodeRecord(codec, raw);
    cursor.decoded(raw);
    decoded.push(record);
    if ("kind" in record && record.kind === "halted") break;
  }
  return decoded;
}

/**
 * The records that could be decoded, each with its origin time and the watermark of its input when it is worked. The letters
 * of the others get theirs.
 */
function timed(
  decoded: (DecodedRecord | Outcome)[],
  slice: Slice,
  time: InputTime | null,
): TimedRecord[] {
  const clock = new SliceClock(time);
  const watermarks = new SliceWatermark(slice, time);
  const records: TimedRecord[] = [];
  for (const [at, record] of decoded.entries()) {
    if ("kind" in record) {
      decoded[at] = clock.unread(slice.records[at] as RawRecord, record);
      continue;
    }
    const before = clock.timeMs;
    const placed = clock.placed(record);
    const movesToMs = clock.timeMs === before ? NO_TIME : clock.timeMs;
    records.push({ record: placed, movesToMs, watermark: watermarks.before(at, clock.timeMs) });
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
  const context = { key, timestamp, topic, partition, offset, headers };
  return { raw, value, context, originMs: timestamp };
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
