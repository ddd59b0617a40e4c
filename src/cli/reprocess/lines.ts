// A run in words: the progress line of a controller, and a row of `list`.
import type { RunReport } from "../../engine/reprocess/control/controller.ts";
import type { RangePlace, RunRow } from "../../engine/reprocess/words/run.ts";
import { tableLines } from "../table-lines.ts";
import { grouped, spanText } from "../progress.ts";

const BAR = 20;

/** "████░░ 41 %  1,203,400 of 2,930,117, 24,310/s, 1 min 11 s left, live lag 0.4 s" */
export function progressLine({ row, perSecond, liveLagMs, behind, isDraining }: RunReport): string {
  const { done, total, letters } = row.counts;
  const share = total === 0 ? 1 : done / total;
  const full = Math.floor(share * BAR);
  const bar = "█".repeat(full) + "░".repeat(BAR - full);
  const left =
    perSecond === null || perSecond <= 0 || done === total
      ? []
      : [`${spanText((total - done) / perSecond)} left`];
  return [
    `${bar} ${String(Math.floor(share * 100))} %  ${grouped(done)} of ${grouped(total)} records`,
    `${grouped(perSecond ?? 0)}/s`,
    ...left,
    ...(behind === null ? [] : [`following, ${grouped(behind)} behind`]),
    ...(isDraining ? ["draining"] : []),
    liveLagMs === null ? "nobody live" : `live lag ${spanText(liveLagMs / 1_000)}`,
    ...throttled(row),
    ...(letters === 0 ? [] : [`${grouped(letters)} dead letters`]),
  ].join(", ");
}

/** Below what was asked for: the live pipeline needs room. */
function throttled({ rateLimit, options }: RunRow): string[] {
  if (rateLimit === null || rateLimit === options.rate) return [];
  return [rateLimit === 0 ? "throttled: waiting" : `throttled to ${grouped(rateLimit)}/s`];
}

export const reportJson = ({ row, perSecond, liveLagMs, behind, isDraining }: RunReport): string =>
  JSON.stringify({
    pipeline: row.pipeline,
    run: row.run,
    state: row.state,
    step: row.step,
    ...row.counts,
    perSecond: perSecond === null ? null : Math.round(perSecond),
    rateLimit: row.rateLimit,
    liveLagMs,
    behind,
    isDraining,
  });

const timeText = (epochMs: number | null): string =>
  epochMs === null ? "-" : new Date(epochMs).toISOString();

const HEADER = ["PIPELINE", "RUN", "STATE", "TARGET", "RECORDS", "LETTERS", "BEGAN", "ENDED"];

export const listLines = (rows: readonly RunRow[]): readonly string[] =>
  tableLines([HEADER, ...rows.map(listRow)]);

const listRow = ({ pipeline, run, state, target, counts, ...row }: RunRow): string[] => [
  pipeline,
  String(run),
  state,
  target,
  `${grouped(counts.done)} of ${grouped(counts.total)}`,
  grouped(counts.letters),
  timeText(row.createdMs),
  timeText(row.finishedMs),
];

export const rangeJson = (places: readonly RangePlace[]) =>
  places.map((place) => ({ ...place, from: Number(place.from), to: Number(place.to) }));

export const rowJson = ({ range, createdMs, updatedMs, finishedMs, ...row }: RunRow): string =>
  JSON.stringify({
    ...row,
    range: rangeJson(range.places),
    created: timeText(createdMs),
    updated: timeText(updatedMs),
    finished: finishedMs === null ? null : timeText(finishedMs),
  });
