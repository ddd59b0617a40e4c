// Times in records of topics between parts. A record carries its age: origin time less event time (S3). A marker is a
// record of its own, without key and value: the watermark of each task of a worker that writes the topic (M1, M2). Both are
// one header, the last of its record. A record that brings a last header of such a name from elsewhere always has an age
// behind it, so that nothing foreign is ever taken for ours.
import { END_OF_TIME, type Mark } from "./event-time.ts";
import type { Headers } from "./record.ts";

export const AGE_HEADER = "t";
export const MARKER_HEADER = "w";
/** The origin of a record, in front of its age. */
export const ORIGIN_HEADER = "o";
const OURS: ReadonlySet<string> = new Set([AGE_HEADER, MARKER_HEADER]);

/** The last millisecond that a Date knows. */
const TIME_MAX = 8_640_000_000_000_000;

/** The headers of a record that goes to another part; `ageMs` is at least 0. */
export function withAge(headers: Headers, ageMs: number): Headers {
  const last = headers.at(-1)?.[0];
  if (ageMs === 0 && (last === undefined || !OURS.has(last))) return headers;
  return [...headers, [AGE_HEADER, varints([ageMs])]];
}

/** The age of a record that another part has sent, ms, and the headers that it had there. */
export function takenAge(headers: Headers): { readonly ageMs: number; readonly headers: Headers } {
  const last = headers.at(-1);
  if (last?.[0] !== AGE_HEADER) return { ageMs: 0, headers };
  const [ageMs = null] = (last[1] === null ? null : varintsIn(last[1])) ?? [];
  const isOurs = ageMs !== null && ageMs <= TIME_MAX;
  return isOurs ? { ageMs, headers: headers.slice(0, -1) } : { ageMs: 0, headers };
}

/** The headers of a record that goes to a part which takes records in order. */
export const withOrigin = (headers: Headers, origin: Buffer, ageMs: number): Headers => [
  ...headers,
  [ORIGIN_HEADER, origin],
  [AGE_HEADER, varints([ageMs])],
];

/** The origin in front of the age that was taken, and the other headers; a record that was sent without one has none. */
export function takenOrigin(headers: Headers): {
  readonly origin?: Buffer;
  readonly headers: Headers;
} {
  const last = headers.at(-1);
  if (last?.[0] !== ORIGIN_HEADER || last[1] === null) return { headers };
  return { origin: last[1], headers: headers.slice(0, -1) };
}

const AT_TIME = 0;
const BELOW_ZERO = 1;
const AT_END = 2;
const KINDS = 4;

/** The headers of a marker. */
export function markerHeaders(marks: readonly Mark[]): Headers {
  const numbers = marks.flatMap(({ channel, watermark }) => {
    if (watermark === END_OF_TIME) return [channel * KINDS + AT_END];
    const kind = watermark < 0 ? BELOW_ZERO : AT_TIME;
    return [channel * KINDS + kind, Math.abs(watermark)];
  });
  return [[MARKER_HEADER, varints(numbers)]];
}

interface PossibleMarker {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Headers;
}

/** The watermarks that a record of an internal topic brings; null when it is no marker. */
export function marksIn({ key, value, headers }: PossibleMarker): readonly Mark[] | null {
  const [only] = headers;
  if (key !== null || value !== null || headers.length !== 1 || only?.[0] !== MARKER_HEADER)
    return null;
  return marksOf((only[1] === null ? null : varintsIn(only[1])) ?? []);
}

/** None of numbers that no marker has: what goes beyond every date, the task's own progress could not say. */
function marksOf(numbers: readonly number[]): readonly Mark[] {
  const marks: Mark[] = [];
  for (let at = 0; at < numbers.length; at++) {
    const head = numbers[at] as number;
    const kind = head % KINDS;
    const channel = (head - kind) / KINDS;
    const watermark = kind === AT_END ? END_OF_TIME : numbers[++at];
    if (watermark === undefined || kind > AT_END) return [];
    if (watermark > TIME_MAX && kind !== AT_END) return [];
    marks.push({ channel, watermark: kind === BELOW_ZERO ? -watermark : watermark });
  }
  return marks;
}

/** Unsigned, seven bits a byte, the lowest first; whole numbers up to 2^53 - 1. */
export function varints(numbers: readonly number[]): Buffer {
  const bytes: number[] = [];
  for (let left of numbers) {
    for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80);
    bytes.push(left);
  }
  return Buffer.from(bytes);
}

/** Null when the bytes are not what `varints` writes. */
export function varintsIn(bytes: Buffer): number[] | null {
  const numbers: number[] = [];
  let [number, unit] = [0, 1];
  for (const byte of bytes) {
    number += (byte & 0x7f) * unit;
    if (!Number.isSafeInteger(number)) return null;
    if (byte >= 0x80) unit *= 0x80;
    else {
      numbers.push(number);
      [number, unit] = [0, 1];
    }
  }
  return unit === 1 ? numbers : null;
}
