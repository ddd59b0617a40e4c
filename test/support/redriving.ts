// A pipeline with a rule that can be wrong for a while, and an operator beside its workers: what the rule refused is
// redriven when it is mended. What must come of it is what a run with the right rule from the start makes.
import assert from "node:assert/strict";
import {
  avro,
  json,
  pipeline,
  postgresTable,
  string,
  topic,
  type Pipeline,
  type PostgresTable,
  type Topic,
} from "#engine";
import type { KafkaPort } from "../../src/engine/core/kafka.ts";
import type { Plan } from "../../src/engine/core/plan.ts";
import type { OutRecord, RawRecord } from "../../src/engine/core/record.ts";
import { lastStates, type LetterState } from "../../src/engine/core/redrive.ts";
import type { OperatePorts } from "../../src/engine/operate/choice.ts";
import {
  redrive,
  REDRIVES_MAX,
  type RedriveRequest,
  type RedriveResult,
} from "../../src/engine/letters/commands/redrive.ts";
import { workerClock, WorkerSwitch } from "../../src/engine/testing/doubles/worker-switch.ts";
import { Fleet, type FleetMember } from "./fleet.ts";
import { things, type Thing } from "./plans.ts";

/** What is refused now; nothing when the rule is right. */
export const rule: { refuses: (thing: Thing) => boolean } = { refuses: () => false };
export const right = (): boolean => false;
export const everyFifth = ({ n }: Thing): boolean => n % 5 === 0;

export const input: Topic<string, Thing> = things("in", 2);
export const output: Topic<string, Thing> = things("out", 2);
export const sums: Topic<string, number> = topic("sums", {
  key: string,
  value: json<number>(),
  partitions: 2,
  owner: "tests",
});
export const rows: PostgresTable<Thing> = postgresTable<Thing>("rows", {
  row: avro<Thing>({
    type: "record",
    name: "Row",
    fields: [
      { name: "id", type: "string" },
      { name: "n", type: "int" },
    ],
  }),
  key: ["id"],
});

export const flow: Pipeline = pipeline("flow", { haltWhen: "never" }, ({ from }) => {
  const clean = from(input).expect("fits", (thing) => !rule.refuses(thing), {
    otherwise: "dead-letter",
  });
  clean.to(output);
  clean
    .groupByKey()
    .sum("total", ({ n }) => n)
    .to(sums);
  from(output).upsertInto(rows);
});

/** A table at which the rule stands inside the sink's own part. */
export const table: Pipeline = pipeline("table", { haltWhen: "never" }, ({ from }) => {
  from(input)
    .expect("fits", (thing) => !rule.refuses(thing), { otherwise: "dead-letter" })
    .upsertInto(rows);
});

const KEYS = 7;
export const keyOf = (n: number): string => `k${String(n % KEYS)}`;

/** Numbers from..to-1, each with a time of its own; a key lies in one partition. */
export const numbers = (from: number, to: number): OutRecord[] =>
  Array.from({ length: to - from }, (_, i): OutRecord => {
    const n = from + i;
    const value: Thing = { id: keyOf(n), n };
    return {
      topic: input.name,
      partition: (n % KEYS) % 2,
      key: Buffer.from(value.id),
      value: Buffer.from(JSON.stringify(value)),
      headers: [["trace", Buffer.from(String(n))]],
      timestamp: 1_000 + n,
    };
  });

/** Somebody at a command line, on the fleet's servers. */
export interface Operator {
  readonly port: KafkaPort;
  readonly life: WorkerSwitch;
  readonly ports: OperatePorts;
}

export function operatorOf(fleet: Fleet): Operator {
  const life = new WorkerSwitch();
  const port = fleet.kafka.port(life);
  const ports: OperatePorts = {
    kafka: port,
    admin: port.admin(),
    clock: workerClock(fleet.clock, life),
    tableStore: ({ declaration }) =>
      fleet.tables.store(declaration as PostgresTable<unknown>, life),
    stateCopies: () => fleet.copies,
  };
  return { port, life, ports };
}

let jobs = 0;

/** Everything that is open and not parked, unless it is said otherwise. */
export function redriveBy(
  { ports }: Operator,
  fleet: Fleet,
  request: Partial<RedriveRequest> = {},
): Promise<RedriveResult> {
  const [plan] = fleet.plans;
  assert.ok(plan !== undefined);
  return redrive(
    plan,
    {
      job: `job-${String(++jobs)}`,
      isChosen: ({ isParked }) => !isParked,
      redrivesMax: REDRIVES_MAX,
      ratePerS: null,
      ...request,
    },
    ports,
  );
}

export const redriveAll = (
  fleet: Fleet,
  request: Partial<RedriveRequest> = {},
): Promise<RedriveResult> => fleet.during(redriveBy(operatorOf(fleet), fleet, request));

/** What is noted of each letter now, by id. */
export function statesOf(fleet: Fleet): Map<string, LetterState> {
  const notes = new Map<string, string>();
  const topic = fleet.plans[0]?.letterStates ?? "";
  for (const { key, value } of lateRecords(fleet, topic)) notes.set(String(key), String(value));
  return lastStates(notes);
}

/** How many letters are in each state. */
export function stateCounts(fleet: Fleet): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { state } of statesOf(fleet).values()) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

/** What the flow must come to for these numbers when its rule is right, by a second, naive program. */
export function expectedOf(ns: readonly number[]) {
  const totals: Record<string, number> = {};
  const last: Record<string, number> = {};
  for (const n of ns) {
    totals[keyOf(n)] = (totals[keyOf(n)] ?? 0) + n;
    last[keyOf(n)] = n;
  }
  return { out: [...ns].sort((a, b) => a - b), totals, last };
}

/** The number in each row. */
export function rowsOf(fleet: Fleet): Record<string, number> {
  const all = fleet.tables.rows(rows) as unknown as readonly Thing[];
  return Object.fromEntries(all.map(({ id, n }) => [id, n]));
}

/** What it has come to. */
export function madeBy(fleet: Fleet): ReturnType<typeof expectedOf> {
  const totals: Record<string, number> = {};
  for (const { key, value } of fleet.kafka.records(sums.name, { committed: true }))
    totals[String(key)] = Number(value);
  return {
    out: fleet
      .values(output)
      .map(({ n }) => n)
      .sort((a, b) => a - b),
    totals,
    last: rowsOf(fleet),
  };
}

export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
export const planOf = (fleet: Fleet): Plan => fleet.plans[0] ?? assert.fail("no plan");

/** So many numbers have gone through while the rule refused every fifth; then it was mended. */
export async function refused(
  count = 100,
  use = flow,
): Promise<{ fleet: Fleet; member: FleetMember }> {
  rule.refuses = everyFifth;
  const fleet = new Fleet([use]);
  const member = await fleet.join();
  await fleet.sendRecords(numbers(0, count));
  await fleet.drained();
  rule.refuses = right;
  return { fleet, member };
}

export const redriveRecords = (fleet: Fleet): readonly RawRecord[] =>
  lateRecords(fleet, planOf(fleet).redrive);

/** None while the topic does not exist. */
const lateRecords = (fleet: Fleet, topic: string): readonly RawRecord[] =>
  fleet.kafka.hasTopic(topic) ? fleet.kafka.records(topic, { committed: true }) : [];
