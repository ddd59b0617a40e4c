// The slides of one key as its entry in the store has them.
import type { StateEntry } from "../../core/state.ts";
import { type TimedAggregate, wrongTimed } from "./result.ts";
import { NO_SLIDES, type Slides } from "./slides.ts";

/** The slides of an entry as they are stored: JSON has no infinity. */
interface StoredSlides {
  readonly closed: number | null;
  readonly slides: readonly TimedAggregate[];
}

export const storedOf = ({ closedMs, slides }: Slides): StoredSlides => ({
  closed: closedMs === -Infinity ? null : closedMs,
  slides: slides.map(({ timeMs, atMs, value }) => [timeMs, atMs, value]),
});

export function slidesOf(entry: Pick<StateEntry, "value"> | null): Slides {
  if (entry === null) return NO_SLIDES;
  const { closed, slides } = entry.value as StoredSlides;
  return {
    closedMs: closed ?? -Infinity,
    slides: slides.map(([timeMs, atMs, value]) => ({ timeMs, atMs, value })),
  };
}

/** The fault of what a store has for a key, or null. `wrongValue` says that of an aggregate. */
export function wrongSlides(
  stored: unknown,
  wrongValue: (value: unknown) => string | null,
): string | null {
  const { closed, slides } = (stored ?? {}) as Partial<StoredSlides>;
  if (closed !== null && !Number.isFinite(closed)) return "it lacks the time of its last window";
  return wrongTimed(slides, wrongValue);
}
