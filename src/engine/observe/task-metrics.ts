// The metrics of a task: its ledger (last step of each commit), lag and state. Names live in catalogue.ts.
// A counter that first appears at 1 shows no increase to Prometheus, so series start at 0 when a task starts.
import type { ErrorCode } from "../core/error-table.ts";
import { imbalanceOf, type LedgerCounts, ledgerTotals } from "../core/ledger.ts";
import { assert } from "../core/errors.ts";
import type { Labels, Meter } from "../core/ports.ts";
import { ledgerOutcomes, letterClasses, pauseReasons, refusalCodes } from "./catalogue.ts";
import { taskStates, type TaskAddress, type TaskStatus } from "./health.ts";
import type { Lag } from "./lag/lag.ts";

const labelsOf = (task: TaskAddress): Labels => ({
  pipeline: task.pipeline,
  part: task.part,
  topic: task.topic,
  partition: String(task.partition),
});

/** Makes the counters of a part visible at 0, before its first record; `timed` are its operators that ask for time. */
export function announcePart(
  meter: Meter,
  { pipeline, part }: PartLabels,
  timed: readonly string[],
): void {
  meter.count("millrace_consumed_records_total", { pipeline, part }, 0);
  meter.count("millrace_rewinds_total", { pipeline, part }, 0);
  meter.count("millrace_breaker_halts_total", { pipeline, part }, 0);
  for (const outcome of ledgerOutcomes)
    meter.count("millrace_ledger_records_total", { pipeline, part, outcome }, 0);
  for (const letterClass of letterClasses)
    meter.count("millrace_dead_letters_total", { pipeline, class: letterClass }, 0);
  for (const reason of pauseReasons)
    meter.count("millrace_pauses_total", { pipeline, part, reason }, 0);
  for (const code of refusalCodes)
    meter.count("millrace_outputs_refused_total", { pipeline, part, code }, 0);
  for (const operator of timed)
    meter.count("millrace_time_behind_total", { pipeline, part, operator }, 0);
}

type PartLabels = Pick<TaskAddress, "pipeline" | "part">;

const reasonsOf: Partial<Record<ErrorCode, string>> = {
  MILL_KAFKA_AUTH: "right",
  MILL_TOPIC_MISSING: "topic",
};

/** A task begins to wait, for `of` what Kafka refuses it. */
export function countPause(
  meter: Meter,
  { pipeline, part }: PartLabels,
  of: "write" | "read" | "group",
  code: ErrorCode,
): void {
  const reason = `${of}-${reasonsOf[code] ?? "refused"}`;
  meter.count("millrace_pauses_total", { pipeline, part, reason });
}

/** A broker refused an output for what it is; `code` is its error. */
export function countRefused(meter: Meter, { pipeline, part }: PartLabels, code: string): void {
  meter.count("millrace_outputs_refused_total", { pipeline, part, code });
}

/** Records that had counted as emitted before they were given up: a counter takes nothing back. */
export interface Debt {
  emitted: number;
}

/**
 * Adds the counts of one commit. `delta` is that commit's own ledger, not the cumulative one. Emitted records that it
 * takes back are left out of the next emitted ones.
 */
export function publishLedger(
  meter: Meter,
  task: TaskAddress,
  delta: LedgerCounts,
  debt: Debt = { emitted: 0 },
): void {
  const { pipeline, part } = task;
  assert(imbalanceOf(delta) === 0, "the ledger of a commit does not balance", { pipeline, part });
  const totals = settled(ledgerTotals(delta), debt);
  meter.count("millrace_consumed_records_total", { pipeline, part }, totals["consumed"] ?? 0);
  for (const outcome of ledgerOutcomes.filter((word) => totals[word] !== undefined))
    meter.count("millrace_ledger_records_total", { pipeline, part, outcome }, totals[outcome]);
  const result = totals["dead-results"] ?? 0;
  const letters = { ...delta["dead-lettered"], ...(result === 0 ? {} : { result }) };
  for (const [letterClass, n] of Object.entries(letters))
    meter.count("millrace_dead_letters_total", { pipeline, class: letterClass }, n);
  publishBeside(meter, task, delta);
}

/** Counts that are none of records' outcomes. */
function publishBeside(meter: Meter, { pipeline, part }: TaskAddress, delta: LedgerCounts): void {
  for (const [reason, n] of Object.entries(delta["late-results"] ?? {}))
    meter.count("millrace_late_results_total", { pipeline, part, reason }, n);
  for (const [operator, n] of Object.entries(delta.behind ?? {}))
    meter.count("millrace_time_behind_total", { pipeline, part, operator }, n);
  for (const [operator, n] of Object.entries(delta.evicted ?? {}))
    meter.count("millrace_evicted_total", { pipeline, part, operator }, n);
}

/** Later emitted records make up for the debt; until then as many dead letters are left out, so that the sums balance. */
function settled(totals: Record<string, number>, debt: Debt): Record<string, number> {
  const before = debt.emitted;
  const emitted = (totals["emitted"] ?? 0) - before;
  debt.emitted = Math.max(0, -emitted);
  if (before === 0 && debt.emitted === 0) return totals;
  const letters = (totals["dead-lettered"] ?? 0) + before - debt.emitted;
  return { ...totals, emitted: Math.max(0, emitted), "dead-lettered": letters };
}

/** Keys of one step that wait, and their records. */
export function publishQueued(
  meter: Meter,
  task: TaskAddress,
  operator: string,
  waiting: { readonly keys: number; readonly records: number },
): void {
  const labels = { ...labelsOf(task), operator };
  meter.gauge("millrace_parked_keys", labels, waiting.keys);
  meter.gauge("millrace_parked_records", labels, waiting.records);
}

/** Lag as it is now. */
export function publishLag(meter: Meter, task: TaskAddress, lag: Lag): void {
  const labels = labelsOf(task);
  meter.gauge("millrace_lag_records", labels, lag.records);
  meter.gauge("millrace_lag_seconds", labels, lag.seconds);
  meter.gauge("millrace_lag_seconds_at_least", labels, lag.isAtLeast ? 1 : 0);
}

/** Publishes the metrics of one decided checkpoint. */
export function publishCheckpoint(
  meter: Meter,
  kind: "stream" | "sink",
  { ms, records }: { readonly ms: number; readonly records: number },
): void {
  meter.observe("millrace_checkpoint_seconds", { kind }, ms / 1000);
  meter.observe("millrace_checkpoint_records", { kind }, records);
}

export const publishCommitTime = (meter: Meter, task: TaskAddress, nowMs: number): void =>
  meter.gauge("millrace_last_commit_timestamp_seconds", labelsOf(task), nowMs / 1000);

export function publishState(meter: Meter, task: TaskAddress, state: TaskStatus["state"]): void {
  const labels = labelsOf(task);
  for (const each of taskStates)
    meter.gauge("millrace_task_state", { ...labels, state: each }, each === state ? 1 : 0);
}

/** The task has left this process: its gauges go, so that two workers never report one partition. */
export const forgetTask = (meter: Meter, task: TaskAddress): void => meter.forget(labelsOf(task));
