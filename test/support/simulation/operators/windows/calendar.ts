// Windows of a calendar, where clocks are set and units begin. Times of the records are put around that moment, on a grid, so
// that many lie at the edges of windows or one ms before.
import { calendar, milliseconds, type CalendarOptions, type Stream } from "#engine";
import type { FlowSpec, Node, SourceRecord, Stage } from "../../case.ts";
import { mod, numberOf, windowed, type Value } from "../../values.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export interface CalendarSpec {
  readonly unit: "hour" | "day" | "week" | "month";
  readonly timeZone: ZoneName;
  readonly weekStart: "monday" | "sunday";
  readonly aroundMs: number;
}
export type ZoneName =
  "Europe/Berlin" | "Australia/Lord_Howe" | "America/Santiago" | "America/New_York";

const at = (
  unit: CalendarSpec["unit"],
  timeZone: ZoneName,
  around: string,
  weekStart: CalendarSpec["weekStart"] = "monday",
): CalendarSpec => ({ unit, timeZone, weekStart, aroundMs: Date.parse(around) });

/** Times are past: what governments decide changes none of them. */
const SPECS: readonly CalendarSpec[] = [
  // An hour is skipped, or shown twice; then half an hour.
  at("hour", "Europe/Berlin", "2025-03-30T01:00Z"),
  at("hour", "Europe/Berlin", "2025-10-26T01:00Z"),
  at("hour", "Australia/Lord_Howe", "2025-04-05T15:00Z"),
  at("hour", "Australia/Lord_Howe", "2025-10-04T15:30Z"),
  // A day of 23 hours, one of 25; midnight is skipped; clocks go back at midnight.
  at("day", "Europe/Berlin", "2025-03-30T01:00Z"),
  at("day", "Europe/Berlin", "2025-10-26T01:00Z"),
  at("day", "America/Santiago", "2025-09-07T04:00Z"),
  at("day", "America/Santiago", "2025-04-06T03:00Z"),
  at("week", "Europe/Berlin", "2025-03-30T22:00Z"),
  at("week", "Europe/Berlin", "2025-10-25T22:00Z", "sunday"),
  at("month", "Europe/Berlin", "2025-03-31T22:00Z"),
  at("month", "America/New_York", "2025-11-01T04:00Z"),
];

export const calendarIn = ({ by }: Node): CalendarSpec =>
  SPECS[mod(Math.floor(by / 2), SPECS.length)] as CalendarSpec;
const isOfHours = (node: Node): boolean => calendarIn(node).unit === "hour";
export const graceMsIn = (node: Node): number =>
  mod(node.by, 3) * (isOfHours(node) ? 15 * MINUTE_MS : 6 * HOUR_MS);

type Values = Stream<string | null, Value>;

/** The sums of its windows, when they close, and what is late. */
export function drawCalendar(stream: Values, node: Node): { results: Values; late: Values } {
  const { unit, timeZone, weekStart } = calendarIn(node);
  const grace = milliseconds(graceMsIn(node));
  const options: CalendarOptions = { unit, timeZone, weekStart, grace };
  const sums = stream
    .groupByKey()
    .windowedBy(calendar(options))
    .sum(node.id, numberOf, { emit: "close" });
  const results = sums.toStream(`${node.id}-rows`, (sum, { start }) =>
    windowed(sum, Number(start)),
  );
  return { results, late: sums.late };
}

const START_MS = Date.UTC(2026, 0, 1);
/** About the middle of a case. */
const MIDDLE_MS = 12_000;
/** Less than the seven days for which stores remember a deleted key. */
const STRETCH = { hour: 600, day: 9_000 } as const;
const GRID_MS = { hour: 5 * MINUTE_MS, day: 30 * MINUTE_MS } as const;

/** The stage again; what is not of the merged sources stays. */
export function stretched({ sources }: FlowSpec, stage: Stage, node: Node): Stage {
  const unit = isOfHours(node) ? "hour" : "day";
  const timeOf = (ms: number): number => {
    const ahead = (ms - START_MS - MIDDLE_MS) * STRETCH[unit];
    const steps = Math.floor(ahead / GRID_MS[unit]);
    return calendarIn(node).aroundMs + steps * GRID_MS[unit] - (mod(ms, 3) === 0 ? 1 : 0);
  };
  const moved = (record: SourceRecord): SourceRecord =>
    record.source < sources ? { ...record, timestamp: timeOf(record.timestamp) } : record;
  return { ...stage, records: stage.records.map(moved) };
}
