// simulate(): the real engine over topics, tables and time in memory. No server, the same code as live: operators,
// codecs, commit, takeover.
import { ledgerTotals } from "../core/ledger.ts";
import type { Plan } from "../core/plan.ts";
import { headerText, type Headers, type RawRecord } from "../core/record.ts";
import { lastStates } from "../core/redrive.ts";
import { compileCodec } from "../decode/codec.ts";
import type { Pipeline } from "../define/pipeline.ts";
import type { PostgresTable } from "../define/table.ts";
import type { Topic } from "../define/topic.ts";
import { ledgerOfPart } from "../core/progress.ts";
import type { SchemaCache } from "../runtime/task/schema-cache.ts";
import type { RecordingLog } from "./doubles/recording-log.ts";
import type { RecordingMeter } from "./doubles/recording-meter.ts";
import { startOf, type SimulatedStep } from "./steps.ts";
import type { SimulateOptions } from "./options.ts";
import { World } from "./world.ts";

/** A record as a reader of the topic gets it. */
export interface ReadRecord<K, V> {
  readonly key: K;
  readonly value: V | null;
  readonly timestamp: number;
  readonly partition: number;
  readonly headers: Headers;
}

/** A dead letter, by its headers. */
export interface SimulatedLetter {
  readonly pipeline: string;
  readonly class: string | null;
  readonly step: string | null;
  readonly rule: string | null;
  readonly code: string | null;
  readonly record: RawRecord;
}

/** A task that will not go on by itself. */
export interface Stopped {
  readonly pipeline: string;
  readonly part: string;
  readonly topic: string;
  readonly partition: number;
  readonly code: string;
  readonly message: string;
}

export interface Simulated {
  records<K, V>(topic: Topic<K, V>): ReadRecord<K, V>[];
  rows<R>(table: PostgresTable<R>): R[];
  readonly deadLetters: readonly SimulatedLetter[];
  /** The number of redriven letters in each state; letters that were never redriven are not counted. */
  readonly letterStates: Readonly<Record<string, number>>;
  /** Totals of one part over its tasks, zeros left out; `pipeline` where several run. */
  ledger(part: string, pipeline?: string): Record<string, number>;
  /** Tasks that had stopped at the end: none, unless `stops: "expected"` was said. */
  readonly stops: readonly Stopped[];
  readonly log: RecordingLog;
  readonly meter: RecordingMeter;
}

/**
 * Runs the steps, lets everything drain, and returns what came of it. Throws what has stopped a task, unless the options say
 * that the test expects it, and MILL_PIPELINE_HALTED when too many dead letters have halted a pipeline: neither has seen all
 * that was sent.
 * @example
 * const { records } = await simulate(cleaned, [send(orders, "o-1", anOrder())]);
 */
export async function simulate(
  pipelines: Pipeline | readonly Pipeline[],
  steps: readonly SimulatedStep[],
  options: SimulateOptions = {},
): Promise<Simulated> {
  const { topicPartitions } = options;
  const plans = [pipelines].flat().map((pipeline) => pipeline.plan("", topicPartitions));
  const world = new World(plans, startOf(steps), options);
  await world.open();
  for (const step of steps) await world.play(step);
  await world.end();
  return resultOf(world);
}

async function resultOf(world: World): Promise<Simulated> {
  const progress = await world.drain();
  const schemas = await world.readers();
  return {
    records: (topic) => readAll(world, topic, schemas),
    rows: <R>(table: PostgresTable<R>) =>
      [...world.tables.rows(table as PostgresTable<unknown>)] as R[],
    deadLetters: world.plans.flatMap((plan) => lettersOf(world, plan)),
    letterStates: statesOf(world),
    ledger: (part, pipeline) => {
      const own = progress.filter((task) => (pipeline ?? task.pipeline) === task.pipeline);
      return ledgerTotals(ledgerOfPart(own, part));
    },
    stops: world.stops.map(({ pipeline, part, topic, partition, code, message }) => ({
      ...{ pipeline, part, topic, partition, code, message },
    })),
    log: world.log,
    meter: world.meter,
  };
}

function lettersOf(world: World, plan: Plan): SimulatedLetter[] {
  return world.cluster.records(plan.deadLetters, { committed: true }).map((record) => {
    const say = (name: string): string | null => headerText(record.headers, `dlq.${name}`);
    return {
      pipeline: plan.pipeline,
      class: say("class"),
      step: say("step"),
      rule: say("rule"),
      code: say("code"),
      record,
    };
  });
}

function statesOf(world: World): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { letterStates } of world.plans) {
    if (!world.cluster.hasTopic(letterStates)) continue;
    const records = world.cluster.records(letterStates, { committed: true });
    const notes = new Map(records.map(({ key, value }) => [String(key), String(value)]));
    for (const { state } of lastStates(notes).values()) counts[state] = (counts[state] ?? 0) + 1;
  }
  return counts;
}

function readAll<K, V>(world: World, topic: Topic<K, V>, schemas: SchemaCache): ReadRecord<K, V>[] {
  const options = { schemas, writerId: null };
  const key = compileCodec(topic.key.format, options);
  const value = compileCodec(topic.value.format, options);
  return world.cluster.records(topic.name, { committed: true }).map((record) => ({
    key: key.decode(record.key) as K,
    value: record.value === null ? null : (value.decode(record.value) as V),
    timestamp: record.timestamp,
    partition: record.partition,
    headers: record.headers,
  }));
}
