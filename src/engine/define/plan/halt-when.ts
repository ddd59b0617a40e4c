// When dead letters halt a pipeline: a share of the last records, as its author says it, and as a count, as it is kept.
import { ConfigError, type MillraceError } from "../../core/errors.ts";
import { limitOfShare, type LetterLimit } from "../../core/letter-limit.ts";
import type { RecordCount, Share } from "../../core/span.ts";

/** `above` of the last `per` records of a task are dead letters; `"never"`: go on whatever there is. */
export type HaltWhen =
  { readonly deadLetters: { readonly above: Share; readonly per: RecordCount } } | "never";

const SHARE = 0.05;
/** Wide enough that the bad records of one household or one device do not halt what is good by far. */
const usual: LetterLimit = {
  ...limitOfShare(SHARE, 5_000),
  slow: { ms: 600_000, share: SHARE, letters: 20 },
};
/** A task keeps one mark for each of them. */
const RECORDS_MAX = 1_000_000;

/** Types are stripped, not checked, at run time: a wrong value must still be a clear problem. */
export function letterLimitOf(
  pipeline: string,
  haltWhen: HaltWhen | undefined,
): { haltWhen: LetterLimit | "never"; problems: MillraceError[] } {
  if (haltWhen === undefined) return { haltWhen: usual, problems: [] };
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
  return limitOfShare(share, count);
}

const isWithin = (n: number, min: number, max: number): boolean => n >= min && n <= max;
