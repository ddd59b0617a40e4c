// Event times in values, and what is no use among them: what a case has of them, and what becomes of a record by its time.
import type { Draw, FlowSpec, SourceRecord, Stage } from "./case.ts";

export interface TimesSpec {
  readonly invalid: "dead-letter" | "kafka-timestamp";
}

const HOUR_MS = 3_600_000;
const SHARE = 0.25;

/** The case again, some of them with times in their values. Avro's schema has no field for what is no time. */
export function withTimes(
  draw: Draw,
  drawn: { readonly flow: FlowSpec; readonly stages: readonly Stage[] },
): { flow: FlowSpec; stages: readonly Stage[] } {
  if (drawn.flow.format === "avro" || !draw.chance(SHARE)) return drawn;
  const invalid = draw.pick(["dead-letter", "kafka-timestamp"] as const);
  const stages = drawn.stages.map((stage) => ({
    ...stage,
    records: stage.records.map((record) => timed(draw, record)),
  }));
  return { flow: { ...drawn.flow, times: { invalid } }, stages };
}

function timed(draw: Draw, record: SourceRecord): SourceRecord {
  const { value, timestamp } = record;
  if (value === null || record.isPoison === true) return record;
  return { ...record, value: { ...value, t: timeOf(draw, timestamp) } };
}

function timeOf(draw: Draw, kafkaMs: number): unknown {
  if (draw.chance(0.15))
    return draw.pick([
      ...[null, undefined, "", "x", String(kafkaMs), [], {}, true, false, -1, 0, 1],
      ...[kafkaMs / 1_000, kafkaMs * 1_000, kafkaMs + HOUR_MS + 1, kafkaMs + 48 * HOUR_MS],
    ]);
  if (draw.chance(0.05)) return kafkaMs + draw.below(HOUR_MS + 1);
  return kafkaMs - draw.below(2_000) + (draw.chance(0.1) ? 0.5 : 0);
}

/** The time of a record, and whether it moves that of its task; null makes it a letter. */
export function judged(
  { times }: FlowSpec,
  { value, timestamp }: SourceRecord,
): { readonly ms: number; readonly isTold: boolean } | null {
  if (times === undefined) return { ms: timestamp, isTold: true };
  if (value === null) return { ms: timestamp, isTold: false };
  const { t } = value;
  const isTime = typeof t === "number" && t >= 100_000_000_000 && t <= timestamp + HOUR_MS;
  if (isTime) return { ms: Math.floor(t), isTold: true };
  return times.invalid === "dead-letter" ? null : { ms: timestamp, isTold: false };
}
