// Texts of dates and times to what Avro's logical types hold. A time without zone is UTC. Days that no calendar
// has are refused, not rolled over, and no digit of a fraction is dropped in silence.
import { withoutTrailing } from "../engine/core/trailing.ts";
import { Mismatch } from "./mismatch.ts";

const DAY = /^(\d{4})-(\d{2})-(\d{2})$/;
const INSTANT =
  /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)\s?(Z|[+-]\d{2}:?\d{2})?)?$/;
const TIME = /^(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?$/;
const INTEGER = /^[+-]?\d{1,19}$/;
const DAY_SECONDS = 86_400n;
const INSTANT_FORM = "a time such as 2026-01-05 11:53:26 (UTC), an ISO time, or epoch";

/** Fraction digits kept: 3 for milliseconds, 6 for micros, 9 for nanos. */
export type FractionDigits = 3 | 6 | 9;
const unitNames = { 3: "milliseconds", 6: "microseconds", 9: "nanoseconds" } as const;

/** An instant as a count since the epoch, in the unit of `digits`. */
export function instantOf(text: string, digits: FractionDigits): bigint {
  if (INTEGER.test(text)) return BigInt(text);
  const match = INSTANT.exec(text);
  if (match === null) throw new Mismatch(`${INSTANT_FORM} ${unitNames[digits]}`);
  const [, day = "", time = "00:00:00", zone = "Z"] = match;
  const seconds = daySeconds(day) - zoneSeconds(zone);
  return seconds * 10n ** BigInt(digits) + timeOf(time, digits);
}

/** A time of day as a count since midnight, in the unit of `digits`. */
export function timeOf(text: string, digits: FractionDigits): bigint {
  const match = TIME.exec(text);
  const [hour, minute, second] = [match?.[1], match?.[2], match?.[3]].map((part) =>
    Number(part ?? 0),
  ) as [number, number, number];
  if (match === null || hour > 23 || minute > 59 || second > 59)
    throw new Mismatch("a time of day such as 11:53:26");
  const fraction = withoutTrailing(match[4] ?? "", "0");
  if (fraction.length > digits) throw new Mismatch(`a time in whole ${unitNames[digits]}`);
  const seconds = BigInt(hour * 3600 + minute * 60 + second);
  return seconds * 10n ** BigInt(digits) + BigInt(fraction.padEnd(digits, "0"));
}

/** A day that exists, as it was written: "2026-01-05". */
export function dayOf(text: string): string {
  daySeconds(text);
  return text;
}

/** A local time in Avro's textual form: "2026-01-05T11:53:26.000". */
export function localTimeOf(text: string, digits: FractionDigits): string {
  const [day = "", time = "", ...rest] = text.split(/[T ]/);
  if (rest.length > 0 || time === "")
    throw new Mismatch("a local time such as 2026-01-05 11:53:26");
  dayOf(day);
  timeOf(time, digits);
  const [whole = "", fraction = ""] = time.split(".");
  const withSeconds = whole.length === 5 ? `${whole}:00` : whole;
  return `${day}T${withSeconds}.${fraction.slice(0, digits).padEnd(digits, "0")}`;
}

function daySeconds(text: string): bigint {
  const match = DAY.exec(text);
  const day = new Date(`${text}T00:00:00Z`);
  // Date rolls 30 February over into March; comparing the text finds it.
  if (match === null || Number.isNaN(day.getTime()) || day.toISOString().slice(0, 10) !== text)
    throw new Mismatch("a day such as 2026-01-05");
  return BigInt(day.getTime() / 86_400_000) * DAY_SECONDS;
}

function zoneSeconds(zone: string): bigint {
  if (zone === "Z") return 0n;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(-2));
  if (hours > 14 || minutes > 59) throw new Mismatch("a zone such as +02:00");
  return BigInt((zone.startsWith("-") ? -1 : 1) * (hours * 3600 + minutes * 60));
}
