// The watermarks of a topic between parts at which something behind it closes: a marker that passes none changes nothing there,
// and need not be written (M2). Pure.
import { END_OF_TIME, NO_TIME } from "./event-time.ts";

/** Every `everyMs`, shifted by `afterMs`: n * everyMs + afterMs. */
export interface ClosePoint {
  readonly everyMs: number;
  readonly afterMs: number;
}

/** Whether a watermark that was said last as `before` is to be said as `now`; without points each move of it is. */
export function markIsDue(
  points: readonly ClosePoint[] | undefined,
  before: number,
  now: number,
): boolean {
  if (now <= before) return false;
  if (points === undefined || before === NO_TIME || now === END_OF_TIME) return true;
  return points.some((point) => passed(point, now) > passed(point, before));
}

/** The number of the last point at or below a time. */
const passed = ({ everyMs, afterMs }: ClosePoint, timeMs: number): number =>
  Math.floor((timeMs - afterMs) / everyMs);

/** Each once, in a fixed order: the remainder alone says where the points lie. */
export function closePointsOf(points: readonly ClosePoint[]): readonly ClosePoint[] {
  const byName = new Map(
    points.map(({ everyMs, afterMs }) => {
      const rest = ((afterMs % everyMs) + everyMs) % everyMs;
      return [`${String(everyMs)}+${String(rest)}`, { everyMs, afterMs: rest }] as const;
    }),
  );
  return [...byName].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, point]) => point);
}
