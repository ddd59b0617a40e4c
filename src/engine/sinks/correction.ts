// Where a row of a run says that it comes from, when it is written into the live table: see `Correction` in core/plan.ts.
// One rule for Postgres and for tables in memory. Says nothing about which of two rows is newer.
import type { Correction } from "../core/plan.ts";

/** The last place before the pinned end of the live topic, or the record's own where that is the live one's. */
export function writtenOffset(
  offset: bigint,
  { partition }: { readonly partition: number },
  corrects: Correction | undefined,
): bigint {
  const end = corrects?.ends?.[partition];
  return end === undefined ? offset : end - 1n;
}
