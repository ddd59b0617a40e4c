// The times of a slice: the origin times of its records, and the watermark of its input along them.
import { ChannelTimes, NO_TIME, SourceTime, type InputTime } from "../../../core/event-time.ts";
import type { DecodedRecord, Outcome } from "../../../core/outcome.ts";
import type { RawRecord } from "../../../core/record.ts";
import type { PlacedMarks, Slice } from "../intake.ts";

/** Gives the records of a slice their origin times, in order, from where their input stands; it moves nothing. */
export class SliceClock {
  /** The greatest time that a record has moved the input to; NO_TIME where none has. */
  timeMs: number = NO_TIME;
  #sourceMs: number;
  readonly #isSource: boolean;

  /** Null: records that carry their ages, and letters that come back, which move no time (B4). */
  constructor(time: InputTime | null) {
    // mistake: lateness by the task's own time (1 of 2)
    this.#isSource = time instanceof SourceTime;
    this.#sourceMs = time instanceof SourceTime ? time.time : NO_TIME;
  }

  placed(record: DecodedRecord): DecodedRecord {
    const { timestamp } = record.context;
    // mistake: lateness by the task's own time (2 of 2)
    if (!this.#isSource) return withOrigin(record, carriedOrigin(record));
    const originMs = isTimeless(record)
      ? timeOfTimeless(this.#sourceMs, timestamp)
      : Math.max(this.#sourceMs, timestamp);
    // mistake: arrival moves time
    if (record.isUntimed !== true) this.timeMs = this.#sourceMs = originMs;
    return withOrigin(record, originMs);
  }

  /** A record that could not be read came when its source was so far, and moves it no farther. */
  unread(raw: RawRecord, outcome: Outcome): Outcome {
    const originMs = this.#isSource ? this.#sourceMs : raw.timestamp + (raw.ageMs ?? 0);
    const isKnown = originMs !== NO_TIME && raw.redriven === undefined;
    if (outcome.kind !== "dead-lettered" || !isKnown) return outcome;
    return { ...outcome, failure: { ...outcome.failure, originMs } };
  }
}

/** A tombstone of a topic whose times are in its values: its own says when it arrived, and nothing of events. */
const isTimeless = ({ isUntimed, value }: DecodedRecord): boolean =>
  isUntimed === true && value === undefined;
const timeOfTimeless = (sourceMs: number, arrivedMs: number): number =>
  sourceMs === NO_TIME ? arrivedMs : sourceMs;

/** The watermark of an input along a slice, as its records and the markers between them move it. */
export class SliceWatermark {
  readonly #marks: readonly PlacedMarks[];
  /** Null for a source. */
  readonly #channels: ChannelTimes | null;
  #next = 0;
  #watermark: number;

  constructor({ marks }: Slice, time: InputTime | null) {
    this.#marks = marks;
    this.#channels = time instanceof ChannelTimes && marks.length > 0 ? time.copy() : null;
    this.#watermark = time?.watermark ?? NO_TIME;
  }

  /** In front of the record at this place, which moves its source to `timeMs` or farther. */
  before(at: number, timeMs: number): number {
    if (this.#channels === null) return Math.max(this.#watermark, timeMs);
    for (let due = this.#due(at); due !== null; due = this.#due(at)) {
      for (const mark of due.marks) this.#channels.mark(mark);
      this.#watermark = this.#channels.watermark;
    }
    return this.#watermark;
  }

  #due(at: number): PlacedMarks | null {
    const next = this.#marks[this.#next];
    if (next === undefined || next.before > at) return null;
    this.#next++;
    return next;
  }
}

/** A record of another part has its age, a letter that comes back the origin time that it had. */
function carriedOrigin({ raw, context: { timestamp } }: DecodedRecord): number {
  if (raw.redriven === undefined) return timestamp + (raw.ageMs ?? 0);
  return Math.max(timestamp, raw.redriven.order.originMs ?? NO_TIME);
}

/** The record is the line's own until then, and an object for each would be garbage. */
function withOrigin(record: DecodedRecord, originMs: number): DecodedRecord {
  (record as { originMs: number }).originMs = originMs;
  return record;
}
