// How many dead letters halt a pipeline, as counts that a task can keep.

/** More than so many dead letters among the last so many records of a task halt the pipeline. */
export interface LetterLimit {
  readonly letters: number;
  readonly records: number;
  /**
   * For a task whose last records took longer: more than this share of what came within `ms`, and at least so many letters.
   * Left out where the pipeline says its own limit, which is exact.
   */
  readonly slow?: { readonly ms: number; readonly share: number; readonly letters: number };
}

/** 29 % of 100 are 29, although 0.29 * 100 is a little less. */
export const ROUNDING = 1e-9;

export const limitOfShare = (share: number, records: number): LetterLimit => ({
  letters: Math.floor(share * records + ROUNDING),
  records,
});

/** The limit with at least this share in place of its own; null changes nothing. */
export function raised(limit: LetterLimit | "never", share: number | null): LetterLimit | "never" {
  if (limit === "never" || share === null) return limit;
  const { letters } = limitOfShare(share, limit.records);
  const { slow } = limit;
  const more = slow === undefined ? {} : { slow: { ...slow, share: Math.max(slow.share, share) } };
  return { ...limit, letters: Math.max(limit.letters, letters), ...more };
}
