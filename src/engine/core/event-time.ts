// The event time of a record: which times of a value are taken, and what is done about the others. A time is judged
// against the record's Kafka timestamp, never against a clock, so a record that is read again is judged alike. Then the time
// of an input of a task, which its records move. Pure.
// Times are epoch milliseconds. No text here contains a value: it names types and suspected units.
import type { ErrorCode } from "./error-table.ts";

/**
 * A record without a usable time: a dead letter, a record at its Kafka timestamp (which moves no stream time), or a reason
 * to stop before it.
 */
export type InvalidTimestamp = "dead-letter" | "kafka-timestamp" | "halt";

/** The rule for a topic's times. */
export interface TimeRule {
  /** The farthest that a time may be ahead of Kafka's timestamp. */
  readonly futureMaxMs: number;
  readonly invalid: InvalidTimestamp;
}

/** So long a source without records is waited for, where its topic does not say; a reference topic, which changes seldom, less. */
export const IDLE_AFTER_MS = { stream: 30_000, reference: 5_000 } as const;

export const DEFAULT_TIME_RULE: TimeRule = { futureMaxMs: 3_600_000, invalid: "dead-letter" };

/** The reason why a time is not taken. */
export interface TimeFault {
  readonly code: Extract<ErrorCode, `MILL_DECODE_${string}`>;
  readonly detail: string;
}

/** The last instant that a Date can be. */
const LATEST_MS = 8.64e15;
/** Fewer milliseconds lie before March 1973; so many seconds last until the year 5138. */
const SECONDS_MAX = 1e11;
/** September 2001: a Kafka timestamp from then on is one of a clock, not of a test that counts from 0. */
const CLOCK_MIN = 1e12;
/** March 1973 in microseconds, and in nanoseconds; as milliseconds, the year 5138 and later. */
const MICROSECONDS_MIN = 1e14;
const NANOSECONDS_MIN = 1e17;
const NANOSECONDS_MAX = 1e20;
const YEAR_9999 = {
  from: Date.UTC(9999, 0, 1),
  to: Date.UTC(10_000, 0, 1),
  detail: "it lies in the year 9999, as a date that stands for no date does",
};

/** Kafka's own timestamp, if it is one: -1 means none. */
export const isKafkaTime = (kafkaMs: number): boolean => kafkaMs >= 0 && kafkaMs <= LATEST_MS;

/** A time for people; a number that is no date stays a number. */
export const instantText = (ms: number): string =>
  isKafkaTime(ms) ? new Date(ms).toISOString() : ms === -1 ? "no-time" : `${String(ms)}ms`;

/**
 * The fault of `given`, which a topic's timestamp function returned for a record of that Kafka
 * timestamp; or null.
 */
export function timeFault(given: unknown, kafkaMs: number, rule: TimeRule): TimeFault | null {
  if (!isTime(given)) {
    const detail = `the topic's timestamp function returned ${nameOf(given)}`;
    return { code: "MILL_DECODE_NO_TIMESTAMP", detail };
  }
  const suspect = suspicion(given);
  // Nothing to judge by: only what no clock of today can say in milliseconds is refused.
  if (!isKafkaTime(kafkaMs)) return tooLate(suspect);
  // mistake: future taken
  if (given > kafkaMs + rule.futureMaxMs) return tooLate(suspect ?? beyond(rule));
  if (kafkaMs <= CLOCK_MIN) return given > LATEST_MS ? tooLate(NO_DATE) : null;
  if (given < SECONDS_MAX) return tooSmall(given);
  // Whatever futureMax says: beside a clock's timestamp so large a number is in another unit.
  return given < MICROSECONDS_MIN ? null : tooLate(suspect ?? NO_DATE);
}

const isTime = (given: unknown): given is number =>
  typeof given === "number" && given >= 0 && given < Infinity;

const tooLate = (detail: string | null): TimeFault | null =>
  detail === null ? null : { code: "MILL_DECODE_FUTURE_TIMESTAMP", detail };
const tooSmall = (given: number): TimeFault => ({
  code: "MILL_DECODE_TIMESTAMP_UNIT",
  detail: given === 0 ? NEVER_SET : SECONDS,
});

/** The fault of a record that has Kafka's timestamp alone; or null. */
export const kafkaTimeFault = (kafkaMs: number): TimeFault | null =>
  isKafkaTime(kafkaMs) ? null : { code: "MILL_DECODE_NO_TIMESTAMP", detail: NO_KAFKA_TIME };

const NO_KAFKA_TIME = "Kafka's timestamp of the record is none, or no date";
const NO_DATE = "it is no date";
const SECONDS = "it looks like seconds: multiply it by 1,000 in the topic's timestamp function";
const NEVER_SET = "it is 0, which looks like seconds, or like a field that was never set";

function suspicion(given: number): string | null {
  if (given < MICROSECONDS_MIN) return null;
  if (given >= YEAR_9999.from && given < YEAR_9999.to) return YEAR_9999.detail;
  if (given < NANOSECONDS_MIN) return unit("microseconds", "1,000");
  if (given < NANOSECONDS_MAX) return unit("nanoseconds", "1,000,000");
  return NO_DATE;
}

const unit = (name: string, by: string): string =>
  `it looks like ${name}: divide it by ${by} in the topic's timestamp function`;

const beyond = ({ futureMaxMs }: TimeRule): string =>
  `more than ${spanText(futureMaxMs)}, the topic's futureMax`;

const UNITS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
] as const;

/** "1 hour", "90 minutes", "1500 ms": whole numbers of the largest unit that fits. */
export function spanText(ms: number): string {
  const fitting = UNITS.find(([, size]) => ms >= size && ms % size === 0);
  if (fitting === undefined) return `${String(ms)} ms`;
  const [name, size] = fitting;
  const n = ms / size;
  return `${String(n)} ${name}${n === 1 ? "" : "s"}`;
}

/** A type, never the value. */
function nameOf(given: unknown): string {
  if (given === null || given === undefined) return String(given);
  if (typeof given === "number") return numberName(given);
  if (typeof given === "string") return given === "" ? "an empty text" : TEXT;
  if (typeof given === "bigint") return "a bigint: divide it to milliseconds, and make it a number";
  if (given instanceof Date) return "a Date: return its getTime()";
  if (given instanceof Promise) return "a promise";
  return Array.isArray(given) ? "an array" : `a value of type ${typeof given}`;
}

const TEXT = "a text: parse it to epoch milliseconds";

const numberName = (given: number): string =>
  Number.isNaN(given) ? "NaN" : given > 0 ? "an infinite number" : "a number below 0";

// The time of one input partition of a task. A source partition has the greatest event time that was read from it; an
// internal partition has a watermark of each task that writes it (a channel), which only markers move. Its watermark
// promises: every record that comes later has an origin time of at least so much. The rules (S1, W1 …) are those of
// docs/time.md.

/** No time is known yet: lower than every time. */
export const NO_TIME: number = -Infinity;
/** Nothing comes any more: higher than every time. */
export const END_OF_TIME: number = Infinity;

/** The watermark of one task that writes an internal topic. */
export interface Mark {
  readonly channel: number;
  readonly watermark: number;
}

/** The time of an input as its progress metadata has it. */
export interface StoredTime {
  /** The greatest event time of a source; left out before there was one. */
  readonly time?: number;
  /** The asserted time of a source, where it is ahead of `time`. */
  readonly asserted?: number;
  /** The watermark of each channel of an internal topic. */
  readonly channels?: readonly number[];
  /** The work that the task had left beside its records; left out for none. */
  readonly left?: WorkLeft;
}

/** Entries that are due by its times and were not worked yet, or else queued keys. */
export type WorkLeft = "due" | "queued";

/** A source partition: T and A. */
export class SourceTime {
  #time: number;
  #asserted: number;

  constructor({ time = NO_TIME, asserted = NO_TIME }: StoredTime = {}) {
    this.#time = time;
    this.#asserted = asserted;
  }

  /** The greatest event time that was read. */
  get time(): number {
    return this.#time;
  }

  get watermark(): number {
    return Math.max(this.#time, this.#asserted);
  }

  /** A record with a valid event time was read (S1). */
  read(timeMs: number): void {
    this.#time = Math.max(this.#time, timeMs);
  }

  /** No record before this time is expected any more (I2, B1). */
  assertTime(timeMs: number): void {
    this.#asserted = Math.max(this.#asserted, timeMs);
  }

  get stored(): StoredTime {
    return {
      ...(this.#time === NO_TIME ? {} : { time: this.#time }),
      ...(this.#asserted > this.#time ? { asserted: this.#asserted } : {}),
    };
  }
}

/** An internal partition: a watermark for each channel. */
export class ChannelTimes {
  readonly #watermarks: number[];

  /**
   * A channel that was not heard of has no time (W1). One that came later begins where the others have brought the watermark,
   * which never falls (B3, W4).
   */
  constructor(channels: number, { channels: stored = [] }: StoredTime = {}) {
    const least = Math.min(...stored);
    // mistake: new channel not waited for
    const unheard = least < END_OF_TIME ? least : NO_TIME;
    // mistake: new channel lets time fall
    this.#watermarks = Array.from({ length: channels }, (_, at) => stored[at] ?? unheard);
  }

  /** Goes its own way from here. */
  copy(): ChannelTimes {
    return new ChannelTimes(this.#watermarks.length, { channels: this.#watermarks });
  }

  /** The minimum over all channels. */
  get watermark(): number {
    let least = END_OF_TIME;
    // mistake: unheard writer left out
    for (const one of this.#watermarks) least = Math.min(least, one);
    return least;
  }

  /** The channel that is farthest behind. */
  get slowest(): number {
    return this.#watermarks.indexOf(this.watermark);
  }

  /** The greatest time of a channel, of those that have not ended if there is one. */
  get fastest(): number {
    const open = this.#watermarks.filter((one) => one !== END_OF_TIME);
    return open.length === 0 ? END_OF_TIME : Math.max(...open);
  }

  /** A marker was read (M3). One of a channel that the plan does not have is of another version, and changes nothing. */
  mark({ channel, watermark }: Mark): void {
    const before = this.#watermarks[channel];
    // mistake: time of the fastest writer
    if (before !== undefined) this.#watermarks[channel] = Math.max(before, watermark);
  }

  get stored(): StoredTime {
    return this.#watermarks.every((one) => one === NO_TIME) ? {} : { channels: this.#watermarks };
  }
}

export type InputTime = SourceTime | ChannelTimes;
