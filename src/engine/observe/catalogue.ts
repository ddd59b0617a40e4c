// Every metric there is, in one table: a name or label that is not here is refused by the meter, so dashboards,
// alerts and code cannot drift apart (tests compare them). Labels are addresses and closed words, never keys or values.
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

export const catalogue: readonly MetricSpec[] = [
  {
    name: "millrace_up",
    type: "gauge",
    help: "Worker processes that answer.",
    labels: {},
    together: "sum",
  },
  {
    name: "millrace_build_info",
    type: "gauge",
    help: "Always 1; the labels say what runs.",
    labels: { version: "open", node: "open" },
    together: "max",
  },
  {
    name: "millrace_worker_restarts_total",
    type: "counter",
    help: "Worker processes that died and were started again.",
    labels: {},
    together: "sum",
  },
  {
    name: "millrace_consumed_records_total",
    type: "counter",
    help: "Records of committed batches; equals the sum of millrace_ledger_records_total over outcomes.",
    labels: part,
    together: "sum",
  },
  {
    name: "millrace_ledger_records_total",
    type: "counter",
    help: "Records of committed batches by their one outcome.",
    labels: { ...part, outcome: ledgerOutcomes },
    together: "sum",
  },
  {
    name: "millrace_records_total",
    type: "counter",
    help: "Records that an operator has seen, by what it did with them.",
    labels: { ...part, operator: "open", outcome: "open" },
    together: "sum",
  },
  {
    name: "millrace_dead_letters_total",
    type: "counter",
    help: "Records sent to the dead-letter topic, by class.",
    labels: { pipeline: "open", class: letterClasses },
    together: "sum",
  },
  {
    name: "millrace_lag_records",
    type: "gauge",
    help: "Readable records behind committed progress.",
    labels: task,
    together: "max",
  },
  {
    name: "millrace_lag_seconds",
    type: "gauge",
    help: "Age of the oldest uncommitted record; 0 when caught up.",
    labels: task,
    together: "max",
  },
  {
    name: "millrace_last_commit_timestamp_seconds",
    type: "gauge",
    help: "When progress of this partition last moved, in seconds since the epoch.",
    labels: task,
    together: "max",
  },
  {
    name: "millrace_task_state",
    type: "gauge",
    help: "1 for the state that the task is in, 0 for the others.",
    labels: { ...task, state: taskStates },
    together: "max",
  },
  {
    name: "millrace_pipeline_gate",
    type: "gauge",
    help: "1 for the state that the pipeline's gate is in, 0 for the others.",
    labels: { pipeline: "open", state: ["open", "halted", "draining", "closed"] },
    together: "max",
  },
  {
    name: "millrace_breaker_halts_total",
    type: "counter",
    help: "Times that a task had too many dead letters and halted its pipeline.",
    labels: part,
    together: "sum",
  },
  {
    name: "millrace_checkpoint_seconds",
    type: "histogram",
    help: "Time of one commit, from its first to its last step.",
    labels: { kind },
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    together: "sum",
  },
  {
    name: "millrace_checkpoint_records",
    type: "histogram",
    help: "Source records in one commit.",
    labels: { kind },
    buckets: [1, 10, 100, 1_000, 5_000, 10_000, 25_000, 50_000, 100_000],
    together: "sum",
  },
  {
    name: "millrace_retries_total",
    type: "counter",
    help: "Attempts repeated because a dependency was away.",
    labels: { dependency: ["kafka", "registry", "redis", "postgres"] },
    together: "sum",
  },
  {
    name: "millrace_fenced_total",
    type: "counter",
    help: "Commits refused because another worker owns the task.",
    labels: { kind },
    together: "sum",
  },
  {
    name: "millrace_rebalances_total",
    type: "counter",
    help: "Assignments received from a consumer group.",
    labels: { group: "open" },
    together: "sum",
  },
  {
    name: "millrace_rewinds_total",
    type: "counter",
    help: "Times that a task went back to committed progress.",
    labels: part,
    together: "sum",
  },
  {
    name: "millrace_pauses_total",
    type: "counter",
    help: "Times that a task began to wait because Kafka refused what it writes or reads, or its group.",
    labels: { ...part, reason: pauseReasons },
    together: "sum",
  },
  {
    name: "millrace_outputs_refused_total",
    type: "counter",
    help: "Outputs that a broker refused for what they are, each traced to its source record, by the broker's error.",
    labels: { ...part, code: refusalCodes },
    together: "sum",
  },
  {
    name: "millrace_state_reads_total",
    type: "counter",
    help: "Keys that a batch asked its store for, by where they were found.",
    labels: { pipeline: "open", store: "open", from: ["cache", "copy"] },
    together: "sum",
  },
  {
    name: "millrace_state_repairs_total",
    type: "counter",
    help: "Times that a copy of state was not where it was left and its changelog was read.",
    labels: { pipeline: "open", store: "open" },
    together: "sum",
  },
  {
    name: "millrace_call_seconds",
    type: "histogram",
    help: "Time of one call of mapAsync, by how it ended.",
    labels: { ...part, operator: "open", outcome: ["answered", "failed", "timeout"] },
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    together: "sum",
  },
  {
    name: "millrace_call_retries_total",
    type: "counter",
    help: "Calls of mapAsync made again after a failure.",
    labels: { ...part, operator: "open" },
    together: "sum",
  },
  {
    name: "millrace_parked_keys",
    type: "gauge",
    help: "Keys that wait in state since a call for them failed.",
    labels: { ...task, operator: "open" },
    together: "max",
  },
  {
    name: "millrace_parked_records",
    type: "gauge",
    help: "Records of parked keys.",
    labels: { ...task, operator: "open" },
    together: "max",
  },
  {
    name: "millrace_inbox_bytes",
    type: "gauge",
    help: "Fetched bytes that wait to be processed.",
    labels: {},
    together: "sum",
  },
];
