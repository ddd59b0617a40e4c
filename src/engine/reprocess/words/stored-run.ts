// A row of `millrace.runs` as it is stored, which anybody may have written who can write the table: each field is checked before a
// step of a run is taken by it.
import { MillraceError } from "../../core/errors.ts";
import {
  checkForeign,
  fields,
  flag,
  listOf,
  mapOf,
  nullable,
  offsetText,
  oneOf,
  optional,
  parseForeign,
  text,
  time,
  whole,
  type Check,
} from "../../core/foreign.ts";
import { ledgerCheck } from "../../core/ledger.ts";
import { runName, runStates, type RunOptions, type RunRange, type RunRow } from "./run.ts";

export type StoredRun = Omit<
  RunRow,
  "range" | "rateLimit" | "createdMs" | "updatedMs" | "finishedMs"
> & {
  readonly range: string;
  readonly rate_limit: string | null;
  readonly created: string;
  readonly updated: string;
  readonly finished: string | null;
};

/** Places of a hundred thousand partitions. */
const RANGE_CHARS_MAX = 30_000_000;

const name = text(300);
const words = text(10_000);
/** Offsets are beyond what a JSON number holds. */
const offset = fields<{ offset: string }>({ offset: offsetText });
const number: Check = (value, path) =>
  Number.isFinite(value) && (value as number) >= 0 ? null : `${path} is no number from 0 on`;

const task = { part: name, topic: name, partition: whole(1_000_000_000) };
const range = { from: offset, to: offset, assertedMs: optional(time) };
const places = listOf(fields({ ...task, pipeline: optional(name), ...range }));
const rangeCheck: Check = fields<RunRange>({
  ...{ places, own: places, pins: mapOf(listOf(offset), 10_000), fromMs: optional(time) },
});

const source: Check = fields({
  ...{ kind: oneOf(["kafka", "file", "dead-letters"]), path: optional(words) },
  ...{ topic: optional(name), key: optional(nullable(words)) },
});

const optionsCheck: Check = fields<RunOptions>({
  ...{ source, rate: nullable(whole()), lagLimitMs: whole(), workers: whole(10_000) },
  ...{
    follow: optional(flag),
    end: optional(oneOf(["close", "keep"])),
    staged: optional(listOf(name, 10_000)),
  },
  lettersMax: optional(nullable(fields({ count: optional(whole()), share: optional(number) }))),
});

const countsCheck: Check = fields<RunRow["counts"]>({
  ...{ done: number, total: number, letters: number, seconds: number },
  stall: optional(nullable(fields({ sinceMs: time, why: words }))),
});

const position: Check = fields({
  ...{ ...task, pipeline: optional(name), nextOffset: offsetText, isForeign: optional(flag) },
  ...{ metadata: optional(nullable(words)), ledger: optional(nullable(ledgerCheck)) },
});

const detailCheck: Check = fields({
  held: optional(fields({ untilMs: optional(time) })),
  promote: optional(
    fields({
      ...{ hold: optional(flag), corrections: optional(flag), corrected: optional(whole()) },
      ...{
        storesBefore: optional(nullable(whole())),
        stands: optional(nullable(listOf(position))),
      },
    }),
  ),
});

const millis: Check = (value, path) =>
  typeof value === "string" && /^\d{1,16}$/.test(value) ? null : `${path} is no time`;
const rate: Check = (value, path) =>
  typeof value === "string" && /^\d{1,16}(?:\.\d+)?$/.test(value) ? null : `${path} is no rate`;

const rowCheck: Check = fields<StoredRun>({
  ...{ pipeline: name, run: whole(), state: oneOf(runStates), step: nullable(text(100)) },
  ...{ target: oneOf(["shadow", "in-place"]), options: optionsCheck, counts: countsCheck },
  ...{
    detail: detailCheck,
    rate_limit: nullable(rate),
    range: text(RANGE_CHARS_MAX),
    error: nullable(text(1_000_000)),
  },
  ...{ created: millis, updated: millis, finished: nullable(millis) },
});

/** Throws MILL_RUN_INVALID. */
export function runOf(row: StoredRun): RunRow {
  const checked = checkForeign(row, rowCheck);
  if ("why" in checked) throw invalid(row, checked.why);
  const range = parseForeign<object>(row.range, rangeCheck, RANGE_CHARS_MAX);
  if ("why" in range) throw invalid(row, `range: ${range.why}`);
  const { rate_limit, created, updated, finished, ...known } = row;
  return {
    ...known,
    range: revived(range.value) as RunRange,
    rateLimit: rate_limit === null ? null : Number(rate_limit),
    createdMs: Number(created),
    updatedMs: Number(updated),
    finishedMs: finished === null ? null : Number(finished),
  };
}

/** `{offset: "7"}` in the place of 7n. */
const revived = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(revived);
  const { offset: digits } = value as { readonly offset?: unknown };
  if (typeof digits === "string") return BigInt(digits);
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, revived(one)]));
};

const invalid = (row: Pick<RunRow, "pipeline" | "run">, why: string): MillraceError =>
  new MillraceError("MILL_RUN_INVALID", `${shownName(row)}: ${why}`);

const shownName = ({ pipeline, run }: Pick<RunRow, "pipeline" | "run">): string =>
  name(pipeline, "") === null && whole()(run, "") === null
    ? runName({ pipeline, run })
    : "a run without a name";
