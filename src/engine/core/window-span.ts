// Windows of event time as they are declared, and the windows that a time lies in. Aligned to the epoch: [start, end), in ms.
// Pure.

export interface AlignedWindow {
  readonly kind: "tumbling" | "hopping";
  readonly sizeMs: number;
  /** The distance between two starts; a tumbling window's is its size. */
  readonly advanceMs: number;
  /** How long after its end a window still takes records. */
  readonly graceMs: number;
}

/** The starts of the windows that a time lies in, the first one first. None begins before the epoch. */
export function startsOf({ sizeMs, advanceMs }: AlignedWindow, timeMs: number): readonly number[] {
  const last = Math.floor(timeMs / advanceMs) * advanceMs;
  if (advanceMs === sizeMs) return [last];
  const starts: number[] = [];
  for (let start = last; start > timeMs - sizeMs && start >= 0; start -= advanceMs)
    starts.unshift(start);
  return starts;
}
