// Windows of a calendar in a time zone: hours, days, weeks and months as its clocks show them, so a day has 23 or 25 hours
// where they are put forward or back. The windows of one unit follow each other without a gap or an overlap:
// - A day begins when its date is first shown: at 00:00, or right behind it where the clocks skip that. Where they go back
//   over midnight the day has begun all the same. A day that they skip has no window. Weeks and months begin with a day.
// - An hour begins when the clocks show a full hour, and where they skip one. An hour that they show twice is two windows.
// The rules of the zones are those of the Node that runs. Pure.

export interface CalendarWindow {
  readonly kind: "calendar";
  readonly unit: CalendarUnit;
  /** An IANA name: "Europe/Berlin". */
  readonly timeZone: string;
  /** The day on which a week begins: 0 is Sunday. */
  readonly weekStart: number;
  readonly graceMs: number;
}

export type CalendarUnit = "hour" | "day" | "week" | "month";

/** [startMs, endMs), epoch ms. */
export interface TimeSpan {
  readonly startMs: number;
  readonly endMs: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** No clock is farther from UTC, and none is set twice within so short a time. */
const REACH_MS = 26 * HOUR_MS;

/** The window of the calendar that a time lies in. */
export function calendarSpanOf(window: CalendarWindow, timeMs: number): TimeSpan {
  const { unit, timeZone, weekStart } = window;
  const id = unit === "week" ? `${unit}${String(weekStart)} ${timeZone}` : `${unit} ${timeZone}`;
  let calendar = calendars.get(id);
  if (calendar === undefined) calendars.set(id, (calendar = new CalendarSpans(window)));
  return calendar.spanOf(timeMs);
}

/** By unit and zone: to ask a zone costs far more than to look a span up. */
const calendars = new Map<string, CalendarSpans>();
const SLOT_MS = 900_000;
const SLOTS_MAX = 4_096;

class CalendarSpans {
  readonly #unit: CalendarUnit;
  readonly #weekStart: number;
  readonly #zone: Zone;
  /** By quarter of an hour that lies within one span as a whole. */
  readonly #slots = new Map<number, TimeSpan>();

  constructor({ unit, weekStart, timeZone }: CalendarWindow) {
    this.#unit = unit;
    this.#weekStart = weekStart;
    this.#zone = new Zone(timeZone);
  }

  spanOf(timeMs: number): TimeSpan {
    const slot = Math.floor(timeMs / SLOT_MS);
    const known = this.#slots.get(slot);
    if (known !== undefined) return known;
    const span = this.#unit === "hour" ? this.#hourOf(timeMs) : this.#daysOf(timeMs);
    if (span.startMs > slot * SLOT_MS || span.endMs < (slot + 1) * SLOT_MS) return span;
    if (this.#slots.size >= SLOTS_MAX) this.#slots.clear();
    this.#slots.set(slot, span);
    return span;
  }

  #daysOf(timeMs: number): TimeSpan {
    const shown = Math.floor((timeMs + this.#zone.offsetMs(timeMs)) / DAY_MS);
    let first = this.#firstDay(shown);
    let next = this.#nextFirstDay(first);
    let startMs = this.#beginOf(first);
    let endMs = this.#beginOf(next);
    // The clocks have gone back over midnight, or a day was skipped.
    while (endMs <= timeMs) {
      [first, startMs] = [next, endMs];
      next = this.#nextFirstDay(first);
      endMs = this.#beginOf(next);
    }
    return { startMs, endMs };
  }

  /** The first day of the unit that a day belongs to, in days since 1970. */
  #firstDay(day: number): number {
    if (this.#unit === "day") return day;
    const date = new Date(day * DAY_MS);
    if (this.#unit === "month") return day - date.getUTCDate() + 1;
    return day - ((date.getUTCDay() - this.#weekStart + 7) % 7);
  }

  #nextFirstDay(first: number): number {
    if (this.#unit === "day") return first + 1;
    if (this.#unit === "week") return first + 7;
    // The longest month has 31 days, and no two months have fewer than 59.
    return this.#firstDay(first + 31);
  }

  /** The first instant at which the clocks show a day. */
  #beginOf(day: number): number {
    const shownMs = day * DAY_MS;
    const before = this.#zone.offsetMs(shownMs - REACH_MS);
    const earlier = shownMs - before;
    // mistake: day by the clocks of the day before
    if (this.#zone.offsetMs(earlier) === before) return earlier;
    const later = shownMs - this.#zone.offsetMs(shownMs + REACH_MS);
    // mistake: midnight that no clock shows
    if (later + this.#zone.offsetMs(later) === shownMs) return later;
    return this.#zone.changeWithin(later, earlier);
  }

  #hourOf(timeMs: number): TimeSpan {
    const offset = this.#zone.offsetMs(timeMs);
    const shownMs = Math.floor((timeMs + offset) / HOUR_MS) * HOUR_MS;
    return {
      startMs: this.#hourBegin(timeMs, { offset, shownMs }),
      endMs: this.#hourEnd(timeMs, { offset, shownMs: shownMs + HOUR_MS }),
    };
  }

  #hourBegin(timeMs: number, { offset, shownMs }: Shown): number {
    const startMs = shownMs - offset;
    if (this.#zone.offsetMs(startMs) === offset) return startMs;
    const changeMs = this.#zone.changeWithin(startMs, timeMs);
    const before = this.#zone.offsetMs(changeMs - 1);
    const isSkipped = shownMs >= changeMs + before;
    return isSkipped ? changeMs : this.#hourOf(changeMs - 1).startMs;
  }

  #hourEnd(timeMs: number, { offset, shownMs }: Shown): number {
    const endMs = shownMs - offset;
    if (this.#zone.offsetMs(endMs) === offset) return endMs;
    const changeMs = this.#zone.changeWithin(timeMs, endMs);
    const after = this.#zone.offsetMs(changeMs);
    const nextMs = Math.ceil((changeMs + after) / HOUR_MS) * HOUR_MS - after;
    return after > offset && changeMs + after >= shownMs ? changeMs : nextMs;
  }
}

/** A full hour as the clocks show it, by an offset. */
interface Shown {
  readonly offset: number;
  readonly shownMs: number;
}

class Zone {
  readonly #format: Intl.DateTimeFormat;

  constructor(timeZone: string) {
    const number = "numeric" as const;
    this.#format = new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      ...{ year: number, month: number, day: number, hour: number, minute: number, second: number },
    });
  }

  /** How far the clocks are before UTC. */
  offsetMs(timeMs: number): number {
    const fields: Record<string, number> = {};
    for (const { type, value } of this.#format.formatToParts(timeMs)) fields[type] = Number(value);
    const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = fields;
    const shownMs = Date.UTC(year, month - 1, day, hour, minute, second);
    return shownMs - Math.floor(timeMs / 1000) * 1000;
  }

  /** The first instant with the offset of `toMs`, where that of `fromMs` is another. */
  changeWithin(fromMs: number, toMs: number): number {
    const offset = this.offsetMs(toMs);
    let [before, after] = [fromMs, toMs];
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if (this.offsetMs(middle) === offset) after = middle;
      else before = middle;
    }
    return after;
  }
}

/** Whether Node knows the zone. */
export function isTimeZone(timeZone: unknown): timeZone is string {
  if (typeof timeZone !== "string") return false;
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone }).resolvedOptions().timeZone !== "";
  } catch {
    // A RangeError: there is no such zone.
    return false;
  }
}
