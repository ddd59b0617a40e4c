// Every metric there is, in one table: a name or label that is not here is refused by the meter, so dashboards,
// alerts and code cannot drift apart (tests compare them). Labels are addresses and closed words, never keys or values.
/* eslint max-lines: off -- a table, one entry a metric */
import type { LetterClass } from "../core/errors.ts";
import { ledgerWords } from "../core/ledger.ts";
import type { MetricSpec } from "../core/ports.ts";
import { taskStates } from "./health.ts";

const part = { pipeline: "open", part: "open" } as const;
const task = { ...part, topic: "open", partition: "open" } as const;
const kind = ["stream", "sink"] as const;

/** Outcomes of the ledger (core/ledger.ts): each record has exactly one. */
export const ledgerOutcomes: typeof ledgerWords = ledgerWords;

export const letterClasses: readonly LetterClass[] = [
  "decode",
  "schema",
  "rule",
  "transform",
  "sink",
  "size",
  "result",
  "full",
];

/** Why a task waits for Kafka: a right, a topic, or anything else, of what it writes or reads, or of its group. */
export const pauseReasons = [
  "write-right",
  "write-topic",
  "write-refused",
  "read-right",
  "read-topic",
  "read-refused",
  "group-right",
  "group-topic",
  "group-refused",
] as const;

/** The codes by which brokers refuse a record for what it is. */
export const refusalCodes = [
  "MESSAGE_TOO_LARGE",
  "RECORD_LIST_TOO_LARGE",
  "INVALID_TIMESTAMP",
  "POLICY_VIOLATION",
  "INVALID_RECORD",
] as const;

type LabelNames = MetricSpec["labels"];

const counter = (name: string, help: string, labels: LabelNames): MetricSpec => ({
  ...{ name, help, labels },
  type: "counter",
  together: "sum",
});
const gauge = (
  name: string,
  help: string,
  labels: LabelNames,
  together: "sum" | "max",
): MetricSpec => ({
  ...{ name, help, labels, together },
  type: "gauge",
});
const histogram = (
  name: string,
  help: string,
  labels: LabelNames,
  buckets: readonly number[],
): MetricSpec => ({
  ...{ name, help, labels, buckets },
  type: "histogram",
  together: "sum",
});

export const catalogue: readonly MetricSpec[] = [
  gauge("millrace_up", "Worker processes that answer.", {}, "sum"),
  gauge(
    "millrace_build_info",
    "Always 1; the labels say what runs.",
    { version: "open", node: "open" },
    "max",
  ),
  counter(
    "millrace_worker_restarts_total",
    "Worker processes that died and were started again.",
    {},
  ),
  counter(
    "millrace_consumed_records_total",
    "Records of committed batches; equals the sum of millrace_ledger_records_total over outcomes.",
    part,
  ),
  counter("millrace_ledger_records_total", "Records of committed batches by their one outcome.", {
    ...part,
    outcome: ledgerOutcomes,
  }),
  counter(
    "millrace_late_results_total",
    "Results of windows, timers and joins that were late for an operator behind, by reason.",
    { ...part, reason: ["own", "closed", "evicted"] },
  ),
  counter(
    "millrace_records_total",
    "Records that an operator has seen, by what it did with them.",
    { ...part, operator: "open", outcome: "open" },
  ),
  counter(
    "millrace_time_behind_total",
    "Records of committed batches that were behind the watermark in front of an operator: another run may take them otherwise.",
    { ...part, operator: "open" },
  ),
  gauge(
    "millrace_time_held_by",
    "Seconds behind the wall clock of the slowest partition that an operator waits for; of a topic between parts, its slowest writer.",
    { ...task, operator: "open" },
    "max",
  ),
  counter(
    "millrace_evicted_total",
    "Windows and records that an operator has let go ahead of their time, to stay within its bound.",
    { ...part, operator: "open" },
  ),
  counter("millrace_dead_letters_total", "Records sent to the dead-letter topic, by class.", {
    pipeline: "open",
    class: letterClasses,
  }),
  gauge(
    "millrace_lag_records",
    "Offsets from committed progress to the end for committed readers.",
    task,
    "max",
  ),
  gauge(
    "millrace_lag_seconds",
    "How long ago the oldest uncommitted record was appended to its topic; 0 when caught up.",
    task,
    "max",
  ),
  gauge(
    "millrace_lag_seconds_at_least",
    "1 while nothing tells when that record was appended: the seconds count since it was first seen.",
    task,
    "max",
  ),
  gauge(
    "millrace_last_commit_timestamp_seconds",
    "When progress of this partition last moved, in seconds since the epoch.",
    task,
    "max",
  ),
  gauge(
    "millrace_task_state",
    "1 for the state that the task is in, 0 for the others.",
    { ...task, state: taskStates },
    "max",
  ),
  gauge(
    "millrace_pipeline_gate",
    "1 for the state that the pipeline's gate is in, 0 for the others.",
    { pipeline: "open", state: ["open", "halted", "draining", "closed"] },
    "max",
  ),
  gauge(
    "millrace_unreadable_notes",
    "Notes of the pipeline that cannot be read: something else has written to its topic.",
    { pipeline: "open" },
    "max",
  ),
  counter(
    "millrace_redrives_superseded_total",
    "Letters on their way back that were passed over, as their records are read again.",
    part,
  ),
  counter(
    "millrace_redrives_unproven_total",
    "Records in the redrive topic that come from no letter of the pipeline; each is a dead letter.",
    part,
  ),
  counter(
    "millrace_breaker_halts_total",
    "Times that a task had too many dead letters and halted its pipeline.",
    part,
  ),
  histogram(
    "millrace_checkpoint_seconds",
    "Time of one commit, from its first to its last step.",
    { kind },
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  ),
  histogram(
    "millrace_checkpoint_records",
    "Source records in one commit.",
    { kind },
    [1, 10, 100, 1_000, 5_000, 10_000, 25_000, 50_000, 100_000],
  ),
  counter(
    "millrace_slow_records_total",
    "Records that have kept the event loop for longer than MILLRACE_SLOW_RECORD_MS, by operator.",
    { ...part, operator: "open" },
  ),
  counter(
    "millrace_schemas_forgotten_total",
    "Schemas of writers that were dropped for others, since memory for them is bounded.",
    {},
  ),
  counter("millrace_retries_total", "Attempts repeated because a dependency was away.", {
    dependency: ["kafka", "registry", "redis", "postgres"],
  }),
  counter("millrace_fenced_total", "Commits refused because another worker owns the task.", {
    kind,
  }),
  counter(
    "millrace_purged_offsets_total",
    "Offsets of internal topics below which nothing is left, since progress is behind them.",
    { topic: "open" },
  ),
  counter("millrace_rebalances_total", "Assignments received from a consumer group.", {
    group: "open",
  }),
  counter("millrace_rewinds_total", "Times that a task went back to committed progress.", part),
  counter(
    "millrace_pauses_total",
    "Times that a task began to wait because Kafka refused what it writes or reads, or its group.",
    { ...part, reason: pauseReasons },
  ),
  counter(
    "millrace_outputs_refused_total",
    "Outputs that a broker refused for what they are, each traced to its source record, by the broker's error.",
    { ...part, code: refusalCodes },
  ),
  counter(
    "millrace_state_reads_total",
    "Keys that a batch asked its store for, by where they were found.",
    { pipeline: "open", store: "open", from: ["cache", "copy"] },
  ),
  counter(
    "millrace_state_repairs_total",
    "Times that a copy of state was not where it was left and its changelog was read.",
    { pipeline: "open", store: "open" },
  ),
  counter(
    "millrace_state_copies_discarded_total",
    "Copies of state that could not be read: each is made anew from its changelog.",
    { pipeline: "open", store: "open" },
  ),
  counter(
    "millrace_state_entries_unreadable_total",
    "Entries of changelogs that cannot be read and are the state of no key: something else has written there.",
    { pipeline: "open", store: "open" },
  ),
  histogram(
    "millrace_call_seconds",
    "Time of one call of mapAsync, by how it ended.",
    { ...part, operator: "open", outcome: ["answered", "failed", "timeout"] },
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  ),
  counter("millrace_call_retries_total", "Calls of mapAsync made again after a failure.", {
    ...part,
    operator: "open",
  }),
  gauge(
    "millrace_parked_keys",
    "Keys that wait in state since a call for them failed.",
    { ...task, operator: "open" },
    "max",
  ),
  gauge("millrace_parked_records", "Records of parked keys.", { ...task, operator: "open" }, "max"),
  gauge("millrace_inbox_bytes", "Fetched bytes that wait to be processed.", {}, "sum"),
];
