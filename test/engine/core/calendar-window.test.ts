// Calendar windows beside a walk, minute by minute where clocks are set, over what the clocks of a zone show.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  calendarSpanOf,
  isTimeZone,
  type CalendarUnit,
  type CalendarWindow,
  type TimeSpan,
} from "../../../src/engine/core/calendar-window.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const window = (unit: CalendarUnit, timeZone: string, weekStart = 1): CalendarWindow => ({
  kind: "calendar",
  ...{ unit, timeZone, weekStart, graceMs: 0 },
});

/** The clocks of a zone: wall time as if it were UTC. Another way than the engine's: by the offset that the zone names. */
function clocksOf(timeZone: string): (timeMs: number) => number {
  const format = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" });
  return (timeMs) => {
    const name = format.formatToParts(timeMs).find(({ type }) => type === "timeZoneName")?.value;
    const [, sign, h = "0", m = "0", s = "0"] =
      /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(name ?? "") ?? [];
    const ms = Number(h) * HOUR + Number(m) * MINUTE + Number(s) * 1000;
    return timeMs + (sign === "-" ? -ms : ms);
  };
}

/** The number of the unit that a wall time lies in: it grows by one from unit to unit. */
function numberOf(unit: CalendarUnit, wallMs: number, weekStart: number): number {
  const day = Math.floor(wallMs / DAY);
  // 1970 began on a Thursday.
  if (unit === "week") return Math.floor((day + 4 - weekStart) / 7);
  if (unit === "day") return day;
  const date = new Date(wallMs);
  return unit === "month" ? date.getUTCFullYear() * 12 + date.getUTCMonth() : NaN;
}

/** Every step at which a window begins. */
function beginsOf({ unit, timeZone, weekStart }: CalendarWindow, range: Walk): number[] {
  const { startMs, endMs, stepMs } = range;
  const clock = clocksOf(timeZone);
  const begins: number[] = [];
  let wall = clock(startMs - stepMs);
  let highest = numberOf(unit, wall, weekStart);
  for (let at = startMs; at < endMs; at += stepMs) {
    const before = wall + stepMs;
    wall = clock(at);
    if (unit === "hour") {
      const isSkipped = wall > before && Math.floor(wall / HOUR) > Math.floor((before - 1) / HOUR);
      if (wall % HOUR === 0 || isSkipped) begins.push(at);
      continue;
    }
    const number = numberOf(unit, wall, weekStart);
    if (number > highest) begins.push(at);
    highest = Math.max(highest, number);
  }
  return begins;
}

interface Walk extends TimeSpan {
  readonly stepMs: number;
}

/** Zones with a day around which their clocks are set, and what is odd about it. */
const days: readonly (readonly [zone: string, date: string, what: string])[] = [
  ["UTC", "2025-06-15", "never set"],
  ["Europe/Berlin", "2025-03-30", "23 hours"],
  ["Europe/Berlin", "2025-10-26", "25 hours"],
  ["America/New_York", "2024-03-10", "23 hours"],
  ["America/New_York", "2024-11-03", "25 hours"],
  ["Asia/Kolkata", "2025-01-01", "half an hour from UTC"],
  ["Asia/Kathmandu", "1986-01-01", "from +5:30 to +5:45, over midnight"],
  ["Australia/Lord_Howe", "2025-04-06", "back by 30 minutes"],
  ["Australia/Lord_Howe", "2025-10-05", "forward by 30 minutes"],
  ["America/Sao_Paulo", "2018-11-04", "no 00:00"],
  ["America/Sao_Paulo", "2018-02-18", "back over midnight"],
  ["America/St_Johns", "2010-11-07", "back over midnight at 00:01"],
  ["America/St_Johns", "2010-03-14", "forward at 00:01"],
  ["Pacific/Apia", "2011-12-30", "a day that was skipped"],
  ["Pacific/Kwajalein", "1993-08-21", "a day that was skipped"],
  ["America/Caracas", "2007-12-09", "back by 30 minutes for good"],
  ["Asia/Pyongyang", "2018-05-04", "forward by 30 minutes for good, at 23:30"],
  ["Africa/Monrovia", "1972-01-07", "44 minutes and 30 seconds"],
  ["Antarctica/Troll", "2025-03-30", "forward by 2 hours"],
];

for (const [zone, date, what] of days)
  for (const unit of ["hour", "day"] as const)
    test(`${unit}s of ${zone} around ${date} (${what}) are those that the clocks show`, () => {
      const middle = Date.parse(`${date}T00:00:00Z`);
      const [startMs, endMs] = [middle - 2 * DAY, middle + 3 * DAY];
      const stepMs = zone === "Africa/Monrovia" ? MINUTE / 2 : MINUTE;
      compare(window(unit, zone), { startMs, endMs, stepMs });
    });

for (const zone of ["Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kolkata"])
  test(`weeks and months of ${zone} are those that the clocks show`, () => {
    const year = zone === "Pacific/Apia" ? 2011 : 2018;
    const [startMs, endMs] = [Date.UTC(year, 8, 20), Date.UTC(year + 1, 0, 20)];
    const range = { startMs, endMs, stepMs: 15 * MINUTE };
    compare(window("month", zone), range);
    compare(window("week", zone), range);
    compare(window("week", zone, 0), range);
  });

/** Each begin of the walk is one, and of every time between two of them both are its window. */
function compare(of: CalendarWindow, range: Walk): void {
  const begins = beginsOf(of, range);
  assert.ok(begins.length >= 2);
  for (const [i, startMs] of begins.entries()) {
    const endMs = begins[i + 1];
    if (endMs === undefined) break;
    const span = { startMs, endMs };
    const third = startMs + Math.floor((endMs - startMs) / 3);
    for (const timeMs of [startMs, startMs + 1, third, endMs - MINUTE, endMs - 1])
      assert.deepEqual(calendarSpanOf(of, timeMs), span, new Date(timeMs).toISOString());
  }
}

test("days of Berlin have 23, 24 and 25 hours; a month has as many hours as it has", () => {
  const hoursOf = (unit: CalendarUnit, date: string) => {
    const { startMs, endMs } = calendarSpanOf(window(unit, "Europe/Berlin"), Date.parse(date));
    return (endMs - startMs) / HOUR;
  };
  assert.equal(hoursOf("day", "2025-03-30T12:00:00Z"), 23);
  assert.equal(hoursOf("day", "2025-06-01T12:00:00Z"), 24);
  assert.equal(hoursOf("day", "2025-10-26T12:00:00Z"), 25);
  assert.equal(hoursOf("month", "2025-03-15T12:00:00Z"), 31 * 24 - 1);
  assert.equal(hoursOf("month", "2024-02-15T12:00:00Z"), 29 * 24);
  assert.equal(hoursOf("month", "2025-10-15T12:00:00Z"), 31 * 24 + 1);
  assert.equal(hoursOf("week", "2025-10-26T12:00:00Z"), 7 * 24 + 1);
});

test("an hour that clocks show twice is two windows, one that they skip is none", () => {
  const starts = (from: string, hours: number) =>
    Array.from({ length: hours }, (_, i) => {
      const timeMs = Date.parse(from) + i * HOUR + 1;
      return new Date(calendarSpanOf(window("hour", "Europe/Berlin"), timeMs).startMs)
        .toISOString()
        .slice(11, 16);
    });
  assert.deepEqual(starts("2025-10-26T00:00:00Z", 3), ["00:00", "01:00", "02:00"]);
  assert.deepEqual(starts("2025-03-30T00:00:00Z", 3), ["00:00", "01:00", "02:00"]);
});

test("the window of a window's start is that window, however the times come", () => {
  const zones = days.map(([zone]) => zone);
  for (let i = 0; i < 3_000; i++) {
    const zone = zones[i % zones.length] ?? "UTC";
    const unit = (["hour", "day", "week", "month"] as const)[i % 4] ?? "day";
    const timeMs = (i * 7_919_777_531) % Date.UTC(2040, 0);
    const span = calendarSpanOf(window(unit, zone), timeMs);
    assert.ok(span.startMs <= timeMs && timeMs < span.endMs, `${zone} ${unit} ${String(timeMs)}`);
    assert.deepEqual(calendarSpanOf(window(unit, zone), span.startMs), span);
    assert.deepEqual(calendarSpanOf(window(unit, zone), span.endMs - 1), span);
    assert.equal(calendarSpanOf(window(unit, zone), span.endMs).startMs, span.endMs);
  }
});

test("a zone that Node does not know is none", () => {
  assert.equal(isTimeZone("Europe/Berlin"), true);
  for (const other of ["Europe/Nowhere", "", null, undefined, 3])
    assert.equal(isTimeZone(other), false);
});
