// The calendar: every UTC day of 2015 to 2035, always there.
import { postgresTable } from "#engine";
import { dimDate, type DimDate } from "../../schemas/types/dim-date.v1.ts";

const FIRST_DAY = Date.UTC(2015, 0, 1);
const END = Date.UTC(2036, 0, 1);
const DAY_MS = 86_400_000;

/** One row per day. */
export const dimDates = postgresTable("dim_dates", {
  row: dimDate,
  key: ["dateId"],
  rows: calendar,
  description: "One row per day from 2015 to 2035, UTC.",
});

/** The UTC day of an instant, as yyyymmdd. */
export function dateIdOf(epochMs: number): number {
  const day = new Date(epochMs);
  return day.getUTCFullYear() * 10_000 + (day.getUTCMonth() + 1) * 100 + day.getUTCDate();
}

/** Every row of the table, in order of days. */
function* calendar(): Iterable<DimDate> {
  for (let day = FIRST_DAY; day < END; day += DAY_MS) yield dayRow(day);
}

function dayRow(epochMs: number): DimDate {
  const day = new Date(epochMs);
  const month = day.getUTCMonth() + 1;
  const dayOfWeek = day.getUTCDay() === 0 ? 7 : day.getUTCDay();
  return {
    dateId: dateIdOf(epochMs),
    date: day.toISOString().slice(0, 10),
    year: day.getUTCFullYear(),
    quarter: Math.ceil(month / 3),
    month,
    day: day.getUTCDate(),
    dayOfWeek,
    isWeekend: dayOfWeek >= 6,
  };
}
