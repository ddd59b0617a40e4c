// A run in words: the progress line of a controller, and a row of `list`.
import type { RunReport } from "../../engine/reprocess/control/controller.ts";
import type { RangePlace, RunRow, Stall } from "../../engine/reprocess/words/run.ts";
import { tableLines } from "../table-lines.ts";
import { grouped, spanText } from "../progress.ts";

const BAR = 20;

/** "████░░ 41 %  1,203,400 of 2,930,117, 24,310/s, 1 min 11 s left, live lag 0.4 s" */
export function progressLine(report: RunReport): string {
  const { row, perSecond, liveLagMs, behind, isDraining, stall } = report;
  const { done, total, letters } = row.counts;
  const share = total === 0 ? 1 : done / total;
  const full = Math.floor(share * BAR);
  const bar = "█".repeat(full) + "░".repeat(BAR - full);
  return [
    `${bar} ${String(Math.floor(share * 100))} %  ${grouped(done)} of ${grouped(total)} records`,
    `${grouped(perSecond ?? 0)}/s`,
    ...leftOf(report),
    ...(behind === null ? [] : [`following, ${grouped(behind)} behind`]),
    ...(isDraining ? ["draining"] : []),
    liveLagMs === null ? "nobody live" : `live lag ${spanText(liveLagMs / 1_000)}`,
    ...throttled(row),
    ...(letters === 0 ? [] : [`${grouped(letters)} dead letters`]),
    ...(stall === null ? [] : [stallText(stall)]),
  ].join(", ");
}

function leftOf({ row: { counts }, perSecond }: RunReport): string[] {
  const left = counts.total - counts.done;
  if (perSecond === null || perSecond <= 0 || left === 0) return [];
  return [`${spanText(left / perSecond)} left`];
}

/** Since when and why a run has decided nothing. */
export const stallText = ({ sinceMs, why }: Stall): string =>
  `has decided nothing since ${new Date(sinceMs).toISOString()}: ${why}`;

/** Below what was asked for: the live pipeline needs room. */
function throttled({ rateLimit, options }: RunRow): string[] {
  if (rateLimit === null || rateLimit === options.rate) return [];
  return [rateLimit === 0 ? "throttled: waiting" : `throttled to ${grouped(rateLimit)}/s`];
}

export const reportJson = ({ row, perSecond, ...report }: RunReport): string =>
  JSON.stringify({
    pipeline: row.pipeline,
    run: row.run,
    state: row.state,
    step: row.step,
    ...row.counts,
    perSecond: perSecond === null ? null : Math.round(perSecond),
    rateLimit: row.rateLimit,
    ...report,
    stall: report.stall === null ? null : stallText(report.stall),
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
