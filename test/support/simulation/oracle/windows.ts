// Windows as the oracle has them: sets of records, without any order or time of arrival.
import { windowOf } from "../windows.ts";

/** The windows that take a record, by their starts, and whether one of them is closed for it. */
export function windowsOf(
  by: number,
  timeMs: number,
  originMs: number,
): { readonly taken: readonly number[]; readonly isLate: boolean } {
  const { sizeMs, advanceMs, graceMs } = windowOf(by);
  const taken: number[] = [];
  let isLate = false;
  for (let start = timeMs - mod(timeMs, advanceMs); start > timeMs - sizeMs; start -= advanceMs)
    if (originMs >= start + sizeMs + graceMs) isLate = true;
    else taken.push(start);
  return { taken, isLate };
}

const mod = (value: number, by: number): number => ((value % by) + by) % by;

export interface OpenWindow {
  readonly key: string;
  readonly partition: number;
  readonly start: number;
  sum: number;
}

/** The windows that have closed at a watermark: of a key the first one first. */
export function closedAt(
  windows: Iterable<OpenWindow>,
  by: number,
  watermarkOf: (partition: number) => number,
): OpenWindow[] {
  const { sizeMs, graceMs } = windowOf(by);
  return [...windows]
    .filter(({ start, partition }) => start + sizeMs + graceMs <= watermarkOf(partition))
    .sort((a, b) => a.start - b.start);
}
