// When dead letters halt a pipeline: a share of the last records, as its author says it, and as a count, as it is kept.
import { ConfigError, type MillraceError } from "../../core/errors.ts";
import type { LetterLimit } from "../../core/plan.ts";
import { percent, records, type RecordCount, type Share } from "../../core/span.ts";

/** `above` of the last `per` records of a task are dead letters; `"never"`: go on whatever there is. */
export type HaltWhen =
  { readonly deadLetters: { readonly above: Share; readonly per: RecordCount } } | "never";

const usual: HaltWhen = { deadLetters: { above: percent(5), per: records(500) } };
/** A task keeps one mark for each of them. */
const RECORDS_MAX = 1_000_000;
/** 29 % of 100 are 29, although 0.29 * 100 is a little less. */
const ROUNDING = 1e-9;

/** Types are stripped, not checked, at run time: a wrong value must still be a clear problem. */
export function letterLimitOf(
  pipeline: string,
  haltWhen: HaltWhen = usual,
): { haltWhen: LetterLimit | "never"; problems: MillraceError[] } {
  if (haltWhen === "never") return { haltWhen, problems: [] };
  const limit = limitOf(haltWhen);
  if (limit !== null) return { haltWhen: limit, problems: [] };
  const expected = `{ deadLetters: { above: percent(0 to 100), per: records(1 to ${String(RECORDS_MAX)}) } } or "never"`;
  const detail = `pipeline "${pipeline}", haltWhen: expected ${expected}`;
  return { haltWhen: "never", problems: [new ConfigError("MILL_BUILD_OPTION", detail)] };
}

function limitOf({ deadLetters }: Partial<Exclude<HaltWhen, "never">>): LetterLimit | null {
  const { share = -1 } = deadLetters?.above ?? {};
  const { records: count = 0 } = deadLetters?.per ?? {};
  if (!isWithin(share, 0, 1) || !isWithin(count, 1, RECORDS_MAX) || count % 1 !== 0) return null;
  return { letters: Math.floor(share * count + ROUNDING), records: count };
}

const isWithin = (n: number, min: number, max: number): boolean => n >= min && n <= max;
