// Hours and days as the clocks of a zone show them, found by asking what they show at each quarter of an hour: another way than
// the engine's. Zones are put forward and back at quarters.
import type { WindowSpec } from "./graph.ts";

type CalendarSpec = Extract<WindowSpec, { kind: "calendar" }>;

const QUARTER_MS = 900_000;
const clocks = new Map<string, Clock>();

/** An hour that is shown twice is two; a day has as many hours as its date is shown. */
class Clock {
  readonly #format: Intl.DateTimeFormat;
  readonly #shown = new Map<number, string>();

  constructor({ unit, timeZone }: CalendarSpec) {
    const date = { year: "numeric", month: "numeric", day: "numeric" } as const;
    const hour = { hour: "numeric", timeZoneName: "longOffset" } as const;
    this.#format = new Intl.DateTimeFormat("en-GB", {
      timeZone,
      ...date,
      ...(unit === "hour" ? hour : {}),
    });
  }

  at(quarter: number): string {
    const known = this.#shown.get(quarter);
    if (known !== undefined) return known;
    const shown = this.#format.format(quarter * QUARTER_MS);
    this.#shown.set(quarter, shown);
    return shown;
  }
}

/** [start, end) of the hour or day that a time lies in. */
export function calendarSpan(spec: CalendarSpec, t: number): { start: number; end: number } {
  const id = `${spec.unit} ${spec.timeZone}`;
  const clock = clocks.get(id) ?? new Clock(spec);
  clocks.set(id, clock);
  const own = Math.floor(t / QUARTER_MS);
  const shown = clock.at(own);
  let [first, last] = [own, own];
  while (clock.at(first - 1) === shown) first--;
  while (clock.at(last + 1) === shown) last++;
  return { start: first * QUARTER_MS, end: (last + 1) * QUARTER_MS };
}
