// Windows of event time, as a pipeline declares them.
import { isTimeZone, type CalendarUnit, type CalendarWindow } from "../core/calendar-window.ts";
import { ConfigError, kindOf } from "../core/errors.ts";
import type { StoredWindows } from "../core/plan.ts";
import type { Duration, RecordCount } from "../core/span.ts";
import type {
  AlignedWindow,
  CountWindow,
  FixedWindow,
  SessionWindow,
  SlidingWindow,
} from "../core/window-span.ts";

/** A window: make one with {@link tumbling}, {@link hopping}, {@link calendar}, {@link sliding}, {@link session} or {@link countWindow}. */
export type WindowOf = FixedWindow | SlidingWindow | SessionWindow | CountWindow;

export interface TumblingOptions {
  readonly size: Duration;
  /** How long after its end a window still takes records that come late; 0 or more, and never a default. */
  readonly grace: Duration;
}

export interface HoppingOptions extends TumblingOptions {
  /** The distance between two starts, at most the size. */
  readonly advance: Duration;
}

/**
 * Windows of one size, one behind the other, aligned to the epoch: [start, start + size). A window closes when no record is
 * expected any more whose time lies in it: once the watermark has passed its end by the grace.
 * @throws ConfigError MILL_BUILD_OPTION for a size of 0, or one that is no whole number of ms.
 * @example
 * from(views).groupByKey().windowedBy(tumbling({ size: minutes(5), grace: minutes(1) })).count("views", { emit: "close" });
 */
export function tumbling({ size, grace }: TumblingOptions): AlignedWindow {
  return aligned("tumbling", { size, advance: size, grace });
}

/**
 * Windows of one size that overlap: one begins every `advance`, and a record belongs to each that its time lies in.
 * @throws ConfigError MILL_BUILD_OPTION as `tumbling` does, and for an advance of 0, or above the size.
 * @example
 * from(views).groupByKey().windowedBy(hopping({ size: hours(1), advance: minutes(5), grace: minutes(1) })).count("busy-hours");
 */
export function hopping(options: HoppingOptions): AlignedWindow {
  return aligned("hopping", options);
}

export interface SlidingOptions {
  /** The greatest distance of two records of one window. */
  readonly difference: Duration;
  readonly grace: Duration;
}

/**
 * A window around each set of records that are at most `difference` apart: [start, start + difference], both ends inclusive. One
 * ends with each record, and one begins behind it where records follow. Records of the first `difference` of all time
 * share [0, difference].
 * @throws ConfigError MILL_BUILD_OPTION for a difference of 0, or one that is no whole number of ms.
 * @example
 * from(logins).groupByKey().windowedBy(sliding({ difference: minutes(5), grace: seconds(30) })).count("logins", { emit: "close" });
 */
export function sliding({ difference, grace }: SlidingOptions): SlidingWindow {
  const differenceMs = whole("sliding", "difference", difference);
  if (differenceMs === 0) throw refused("sliding", "its difference must be above 0");
  return window({ kind: "sliding", differenceMs, graceMs: whole("sliding", "grace", grace) });
}

export interface SessionWindowOptions {
  /** Records of one session are at most so far apart. */
  readonly gap: Duration;
  /** The largest age of a record that is accepted: how far behind the time of its source it may be. */
  readonly grace: Duration;
}

/**
 * A window for each set of records of a key that are at most `gap` apart: [first, last], both ends inclusive. It closes when no
 * record can come any more that belongs to it: once time has passed its end by the gap and the grace. Before that two of them
 * may become one: emitted on "update", a session that is one no more is withdrawn by null.
 * @throws ConfigError MILL_BUILD_OPTION for a gap of 0, or one that is no whole number of ms.
 * @example
 * from(clicks).groupByKey().windowedBy(session({ gap: minutes(30), grace: minutes(10) })).count("clicks", { emit: "close" });
 */
export function session({ gap, grace }: SessionWindowOptions): SessionWindow {
  const gapMs = whole("session", "gap", gap);
  if (gapMs === 0) throw refused("session", "its gap must be above 0");
  return window({ kind: "session", gapMs, graceMs: whole("session", "grace", grace) });
}

export interface OrderOptions {
  /** The largest age of a record that is accepted: how far behind the time of its source it may be. */
  readonly grace: Duration;
  /** Records of one key that wait at most: `records(10_000)`. Left out: any number. */
  readonly recordsMax?: RecordCount;
  /** The rule for one record more; asked for beside `recordsMax`. It is a letter, class "full", or its task stops in front of it. */
  readonly whenFull?: "dead-letter" | "halt";
}

/** Takes records in the order of their times; they wait until no older one is expected. */
export interface Orderable {
  /** Default: as they come, which is exact where the step stands directly on a source. */
  readonly order?: OrderOptions;
}

export interface CountWindowOptions extends Orderable {
  /** `records(100)` */
  readonly size: RecordCount;
}

/**
 * Windows of so many records of a key, one behind the other, in the order in which the step takes them: it is closed by the
 * record that fills it. Exact where the step stands directly on a source, or with
 * `order`.
 * @throws ConfigError MILL_BUILD_OPTION for a size of 0, or one that is no whole number.
 * @example
 * from(readings).groupByKey().windowedBy(countWindow({ size: records(100) })).avg("means", (r) => r.value, { emit: "close" });
 */
export function countWindow({ size, order = undefined }: CountWindowOptions): CountWindow {
  // Types are stripped at run time.
  const records: unknown = (size as RecordCount | undefined)?.records;
  if (!Number.isSafeInteger(records) || (records as number) < 1)
    throw refused("countWindow", "it needs size, 1 or more: records(100)");
  return window({ kind: "count", size: records as number, order: order ?? null });
}

const WEEKDAYS = [
  "sunday",
  "monday",
  "tuesday",
  "wednesday",
  "thursday",
  "friday",
  "saturday",
] as const;

export interface CalendarOptions {
  readonly unit: CalendarUnit;
  /** The zone by whose clocks a day begins, an IANA name: "Europe/Berlin", "UTC". It has no default. */
  readonly timeZone: string;
  readonly grace: Duration;
  /** The day on which weeks begin; default "monday", as in ISO 8601. */
  readonly weekStart?: (typeof WEEKDAYS)[number];
}

/**
 * Windows of a calendar in a time zone: an hour, day, week or month as the zone's clocks show it. A day has 23 or 25 hours where
 * they are put forward or back, and begins when its date is first shown; an hour that they show twice is two windows. The
 * rules of zones are those of the Node that runs: two versions of it may differ about the future.
 * @throws ConfigError MILL_BUILD_OPTION for another unit or weekday, and a zone that Node does not know.
 * @example
 * from(orders).groupBy("by-customer", (o) => o.customerId)
 *   .windowedBy(calendar({ unit: "month", timeZone: "Europe/Berlin", grace: days(1) }))
 *   .sum("spend-by-month", (o) => o.amount, { emit: "close" });
 */
export function calendar({
  unit,
  timeZone,
  grace,
  weekStart = "monday",
}: CalendarOptions): CalendarWindow {
  if (!UNITS.includes(unit)) throw refused("calendar", `its unit is one of ${UNITS.join(", ")}`);
  if (!isTimeZone(timeZone))
    throw refused("calendar", 'it needs timeZone, an IANA name that Node knows: "Europe/Berlin"');
  const weekday = WEEKDAYS.indexOf(weekStart);
  if (weekday < 0) throw refused("calendar", `its weekStart is one of ${WEEKDAYS.join(", ")}`);
  const graceMs = whole("calendar", "grace", grace);
  return window({ kind: "calendar", unit, timeZone, weekStart: weekday, graceMs });
}

const UNITS: readonly CalendarUnit[] = ["hour", "day", "week", "month"];

/**
 * The emission that a step asks for. Types are stripped at run time: a word that is none would be taken for "update".
 * @throws ConfigError MILL_BUILD_OPTION for another word than those that the step knows.
 */
export function emissionOf<E extends string>(
  name: string,
  given: E | undefined,
  known: readonly ["update", ...E[]],
): E | "update" {
  if (given === undefined) return "update";
  if (known.includes(given)) return given;
  throw refused(`"${name}"`, `expected emit: ${known.map((word) => `"${word}"`).join(" or ")}`);
}

const made = new WeakSet<object>();

/** Whether a function of this file has made it: types are stripped at run time. */
export const isWindow = (given: unknown): given is WindowOf =>
  typeof given === "object" && given !== null && made.has(given);

export const noWindow = (given: unknown): ConfigError =>
  new ConfigError(
    "MILL_BUILD_OPTION",
    `windowedBy: expected tumbling(…), hopping(…), calendar(…), sliding(…), session(…) or countWindow(…), received ${kindOf(given)}`,
  );

function window<W extends WindowOf>(declared: W): W {
  made.add(declared);
  return Object.freeze(declared);
}

/** The facts of a window that entries of its store depend on, and its grace, which they do not. */
export function storedWindows(window: WindowOf): StoredWindows {
  const facts = Object.entries(shownWindow(window)).filter(([name]) => name !== "grace");
  const graceMs = window.kind === "count" ? 0 : window.graceMs;
  return { form: facts.map(([, fact]) => fact).join(" "), graceMs };
}

/** The facts of a window for a plan. */
export function shownWindow(window: WindowOf): Readonly<Record<string, string>> {
  if (window.kind === "count") return { window: "count", size: `${String(window.size)} records` };
  const { kind, graceMs } = window;
  const grace = `${String(graceMs)} ms`;
  if (kind === "calendar") {
    const { unit, timeZone, weekStart } = window;
    const week = unit === "week" ? { weekStart: WEEKDAYS[weekStart] ?? "" } : {};
    return { window: `calendar ${unit}`, timeZone, ...week, grace };
  }
  if (kind === "sliding")
    return { window: kind, difference: `${String(window.differenceMs)} ms`, grace };
  if (kind === "session") return { window: kind, gap: `${String(window.gapMs)} ms`, grace };
  const { sizeMs, advanceMs } = window;
  const advance = kind === "hopping" ? { advance: `${String(advanceMs)} ms` } : {};
  return { window: kind, size: `${String(sizeMs)} ms`, ...advance, grace };
}

function aligned(
  kind: AlignedWindow["kind"],
  { size, advance, grace }: HoppingOptions,
): AlignedWindow {
  const [sizeMs, advanceMs, graceMs] = [
    whole(kind, "size", size),
    whole(kind, "advance", advance),
    whole(kind, "grace", grace),
  ];
  if (sizeMs === 0) throw refused(kind, "its size must be above 0");
  if (advanceMs === 0 || advanceMs > sizeMs)
    throw refused(kind, "its advance must be above 0 and at most its size");
  return window({ kind, sizeMs, advanceMs, graceMs });
}

function whole(kind: string, option: string, span: Duration | undefined): number {
  // Types are stripped at run time: what is left out must still be a clear problem.
  const ms: unknown = span?.ms;
  if (Number.isSafeInteger(ms) && (ms as number) >= 0) return ms as number;
  throw refused(kind, `it needs ${option}, a whole number of ms: minutes(5)`);
}

const refused = (kind: string, detail: string): ConfigError =>
  new ConfigError("MILL_BUILD_OPTION", `${kind}: ${detail}`);
