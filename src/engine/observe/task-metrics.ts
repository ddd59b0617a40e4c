// What a task tells the meter: its ledger (last step of each commit), lag and state. Names live in catalogue.ts.
// A counter that first appears at 1 shows no increase to Prometheus, so series start at 0 when a task starts.
import { imbalanceOf, type LedgerCounts, ledgerTotals } from "../core/ledger.ts";
import { assert } from "../core/errors.ts";
import type { Labels, Meter } from "../core/ports.ts";
import { ledgerOutcomes, letterClasses } from "./catalogue.ts";
import { taskStates, type TaskAddress, type TaskState } from "./health.ts";
import type { Lag } from "./lag.ts";

const labelsOf = (task: TaskAddress): Labels => ({
  pipeline: task.pipeline,
  part: task.part,
  topic: task.topic,
  partition: String(task.partition),
});

/** Makes the counters of a part visible at 0, before its first record. */
export function announcePart(meter: Meter, pipeline: string, part: string): void {
  meter.count("millrace_consumed_records_total", { pipeline, part }, 0);
  meter.count("millrace_rewinds_total", { pipeline, part }, 0);
  meter.count("millrace_breaker_halts_total", { pipeline, part }, 0);
  for (const outcome of ledgerOutcomes)
    meter.count("millrace_ledger_records_total", { pipeline, part, outcome }, 0);
  for (const letterClass of letterClasses)
    meter.count("millrace_dead_letters_total", { pipeline, class: letterClass }, 0);
}

/** Adds what one commit did. `delta` is that commit's own ledger, not the cumulative one. */
export function publishLedger(meter: Meter, task: TaskAddress, delta: LedgerCounts): void {
  const { pipeline, part } = task;
  assert(imbalanceOf(delta) === 0, "the ledger of a commit does not balance", { pipeline, part });
  const { consumed = 0, ...outcomes } = ledgerTotals(delta);
  meter.count("millrace_consumed_records_total", { pipeline, part }, consumed);
  for (const [outcome, n] of Object.entries(outcomes))
    meter.count("millrace_ledger_records_total", { pipeline, part, outcome }, n);
  for (const [letterClass, n] of Object.entries(delta["dead-lettered"]))
    meter.count("millrace_dead_letters_total", { pipeline, class: letterClass }, n);
}

/** Lag as it is now. Seconds that are not known leave the last figure standing. */
export function publishLag(meter: Meter, task: TaskAddress, lag: Lag): void {
  const labels = labelsOf(task);
  meter.gauge("millrace_lag_records", labels, lag.records);
  if (lag.seconds !== null) meter.gauge("millrace_lag_seconds", labels, lag.seconds);
}

export const publishCommitTime = (meter: Meter, task: TaskAddress, nowMs: number): void =>
  meter.gauge("millrace_last_commit_timestamp_seconds", labelsOf(task), nowMs / 1000);

export function publishState(meter: Meter, task: TaskAddress, state: TaskState["state"]): void {
  const labels = labelsOf(task);
  for (const each of taskStates)
    meter.gauge("millrace_task_state", { ...labels, state: each }, each === state ? 1 : 0);
}

/** The task has left this process: its gauges go, so that two workers never report one partition. */
export const forgetTask = (meter: Meter, task: TaskAddress): void => meter.forget(labelsOf(task));
