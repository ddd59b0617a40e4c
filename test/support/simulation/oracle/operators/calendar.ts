// Windows of a calendar as the rules have them, by a table of when clocks were set: nothing asks Node for a time zone. A day
// begins when its date is first shown, weeks and months with their first day; an hour when clocks show a full one, and where
// they skip one. A window lasts until the next one begins.
import {
  calendarIn,
  graceMsIn,
  type CalendarSpec,
  type ZoneName,
} from "../../operators/windows/calendar.ts";
import type { Node } from "../../case.ts";
import { mod, numberOf, windowed } from "../../values.ts";
import type { Trail } from "../way.ts";
import type { KeyedItem, OperatorOracle } from "./oracle.ts";
import type { Result } from "./results.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Clocks are so far before UTC from then until the next. */
interface Setting {
  readonly fromMs: number;
  readonly aheadMs: number;
}
const settings = (first: number, ...others: readonly (readonly [string, number])[]): Setting[] => [
  { fromMs: -Infinity, aheadMs: first * HOUR_MS },
  ...others.map(([from, ahead]) => ({ fromMs: Date.parse(from), aheadMs: ahead * HOUR_MS })),
];

/** Of the year 2025. */
const ZONES: Readonly<Record<ZoneName, readonly Setting[]>> = {
  "Europe/Berlin": settings(1, ["2025-03-30T01:00Z", 2], ["2025-10-26T01:00Z", 1]),
  "Australia/Lord_Howe": settings(11, ["2025-04-05T15:00Z", 10.5], ["2025-10-04T15:30Z", 11]),
  "America/Santiago": settings(-3, ["2025-04-06T03:00Z", -4], ["2025-09-07T04:00Z", -3]),
  "America/New_York": settings(-5, ["2025-03-09T07:00Z", -4], ["2025-11-02T06:00Z", -5]),
};

interface Span {
  readonly start: number;
  readonly end: number;
}

function spanOf(spec: CalendarSpec, timeMs: number): Span {
  const all = spec.unit === "hour" ? hours(spec, timeMs) : days(spec, timeMs);
  const begins = [...all].sort((a, b) => a - b);
  const start = begins.findLast((begin) => begin <= timeMs) ?? NaN;
  const end = begins.find((begin) => begin > timeMs) ?? NaN;
  return { start, end };
}

/** When hours begin around a time. */
function* hours({ timeZone }: CalendarSpec, timeMs: number): Iterable<number> {
  const zone = ZONES[timeZone];
  for (const [i, { fromMs, aheadMs }] of zone.entries()) {
    const toMs = zone[i + 1]?.fromMs ?? Infinity;
    const shown = Math.floor((timeMs + aheadMs) / HOUR_MS);
    for (let hour = shown - 3; hour <= shown + 3; hour++) {
      const begin = hour * HOUR_MS - aheadMs;
      if (begin >= fromMs && begin < toMs) yield begin;
    }
    const before = fromMs + (zone[i - 1]?.aheadMs ?? aheadMs);
    const after = fromMs + aheadMs;
    if (Math.floor((after - 1) / HOUR_MS) * HOUR_MS >= before) yield fromMs;
  }
}

/** The longest month, and some more. */
const REACH_DAYS = 33;

/** When days, weeks or months begin around a time. */
function* days(spec: CalendarSpec, timeMs: number): Iterable<number> {
  const middle = Math.floor(timeMs / DAY_MS);
  const reach = spec.unit === "day" ? 3 : REACH_DAYS;
  for (let day = middle - reach; day <= middle + reach; day++)
    if (isFirst(spec, day)) yield* firstShown(ZONES[spec.timeZone], day);
}

/** The day is in days since 1970, which began with a Thursday. */
function isFirst({ unit, weekStart }: CalendarSpec, day: number): boolean {
  if (unit === "week") return mod(day + 4, 7) === (weekStart === "monday" ? 1 : 0);
  return unit === "day" || new Date(day * DAY_MS).getUTCDate() === 1;
}

function firstShown(zone: readonly Setting[], day: number): number[] {
  const shown = zone.flatMap(({ fromMs, aheadMs }, i) => {
    const first = Math.max(fromMs, day * DAY_MS - aheadMs);
    const end = Math.min(zone[i + 1]?.fromMs ?? Infinity, (day + 1) * DAY_MS - aheadMs);
    return first < end ? [first] : [];
  });
  return shown.length === 0 ? [] : [Math.min(...shown)];
}

interface CalendarWindow extends Span {
  readonly key: string;
  readonly partition: number;
  sum: number;
}

export class CalendarOracle implements OperatorOracle {
  readonly #node: Node;
  readonly #windows = new Map<string, CalendarWindow>();

  constructor(node: Node) {
    this.#node = node;
  }

  take({ key, partition, value, timeMs, originMs }: KeyedItem, trail: Trail): boolean {
    const { start, end } = spanOf(calendarIn(this.#node), timeMs);
    if (originMs >= end + graceMsIn(this.#node)) return true;
    trail.emitted++;
    trail.writes.push(() => {
      const name = `${key} ${String(start)}`;
      const window = this.#windows.get(name) ?? { key, partition, start, end, sum: 0 };
      window.sum += numberOf(value);
      this.#windows.set(name, window);
    });
    return false;
  }

  *close(watermarks: readonly number[]): Iterable<Result> {
    const all = [...this.#windows.values()].sort((a, b) => a.start - b.start);
    for (const { key, partition, start, end, sum } of all)
      if (end + graceMsIn(this.#node) <= (watermarks[partition] ?? -Infinity))
        yield { key, partition, value: windowed(sum, start), timeMs: end - 1, originMs: end - 1 };
  }
}
