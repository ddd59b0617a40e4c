// Calendar texts over counts since 1970: "2026-01-05" and days, "2026-01-05T11:53:26.000" and milli-, micro- or
// nanoseconds. They have no zone, so they are no instants; the years are 0000 to 9999, as the texts have four digits.

const DAY_MS = 86_400_000;
const YEAR_0000_MS = -62_167_219_200_000;
const YEAR_9999_MS = 253_402_300_799_999;
const DAY_SYNTAX = /^\d{4}-\d\d-\d\d$/;
const DAY_LENGTH = 10;
/** Up to milliseconds, which is what Date understands. */
const MILLIS_LENGTH = 23;

export type FractionDigits = 3 | 6 | 9;
const syntaxes: Readonly<Record<FractionDigits, RegExp>> = {
  3: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}$/,
  6: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/,
  9: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}$/,
};

/** The date of a day since 1970-01-01, or null outside the years 0000 to 9999. */
export const dateTextOf = (days: number): string | null =>
  isoOf(days * DAY_MS)?.slice(0, DAY_LENGTH) ?? null;

/** Days since 1970-01-01, or null for what is no date. */
export function daysOf(text: string): number | null {
  const ms = DAY_SYNTAX.test(text) ? instantOf(`${text}T00:00:00.000`) : null;
  return ms === null ? null : ms / DAY_MS;
}

/** The local time of a count of milli-, micro- or nanoseconds since 1970, or null outside the years. */
export function localTextOf(count: bigint, digits: FractionDigits): string | null {
  const perMs = 10n ** BigInt(digits - 3);
  // The remainder of a negative count is negative; the fraction never is.
  const rest = ((count % perMs) + perMs) % perMs;
  const iso = isoOf(Number((count - rest) / perMs));
  if (iso === null) return null;
  return (
    iso.slice(0, MILLIS_LENGTH) + (digits === 3 ? "" : rest.toString().padStart(digits - 3, "0"))
  );
}

/** The count of a local time with exactly these digits after the second, or null for what is none. */
export function localCountOf(text: string, digits: FractionDigits): bigint | null {
  const ms = syntaxes[digits].test(text) ? instantOf(text.slice(0, MILLIS_LENGTH)) : null;
  if (ms === null) return null;
  return BigInt(ms) * 10n ** BigInt(digits - 3) + BigInt(text.slice(MILLIS_LENGTH) || "0");
}

const isoOf = (ms: number): string | null =>
  ms >= YEAR_0000_MS && ms <= YEAR_9999_MS ? new Date(ms).toISOString() : null;

function instantOf(text: string): number | null {
  const ms = Date.parse(`${text}Z`);
  // 30 February parses, as 2 March; 24:00 as the next day.
  return isoOf(ms)?.startsWith(text) === true ? ms : null;
}
