// What the figures of state are taken from: a topic with one payment a key, workers of the pipeline "sum", and what they
// have committed. Workers log into a file each; a copy that was brought up is a line there.
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { type OutRecord, partitionOf } from "../../src/engine/core/record.ts";
import { startProgram, type Run, type Running } from "../contestant.ts";
import { millraceCommand } from "../millrace.ts";
import { PARTITIONS } from "../pipelines/payments.ts";
import type { World } from "../world.ts";

export const SESSION_MS = 10_000;
const SEND_RECORDS = 20_000;
const POLL_MS = 10;
const SILENCE_MS_MAX = 900_000;

/** One payment for each key from `from` on. */
export async function sendPayments(run: Run, from: number, to: number): Promise<void> {
  const { topic } = run.input;
  const producer = run.world.kafka.producer();
  let pending: OutRecord[] = [];
  for (let n = from; n < to; n++) {
    const key = Buffer.from(`k${String(n)}`);
    const partition = partitionOf(key, PARTITIONS, 0);
    const value = Buffer.from(JSON.stringify({ id: n, account: `k${String(n)}`, amount: 12.34 }));
    pending.push({ topic, partition, key, value, headers: [], timestamp: Date.now() });
    if (pending.length < SEND_RECORDS) continue;
    await producer.send(pending);
    pending = [];
  }
  await producer.send(pending);
  await producer.close();
}

export async function newStateRun(world: World, keys: number): Promise<Run> {
  const id = `keys${String(keys)}`;
  const [topic, output] = [`${id}-input`, `${id}-output`];
  const spec = { partitions: PARTITIONS, replicationFactor: -1, config: {} };
  await world.admin.createTopics([topic, output].map((name) => ({ topic: name, ...spec })));
  const input = { topic, records: keys, valueBytes: 0, sums: new Map<string, number>() };
  return { world, workload: "sum", input, id, output };
}

export interface StateRun extends Run {
  readonly nodeOptions: string;
}

let workers = 0;

/** One process, not a supervisor of some. */
export async function startWorker(run: StateRun): Promise<Running & { readonly log: string }> {
  const name = `worker${String(++workers)}`;
  const settings = {
    MILLRACE_SESSION_TIMEOUT_MS: String(SESSION_MS),
    NODE_OPTIONS: run.nodeOptions,
  };
  const command = await millraceCommand(run, { workers: 1, settings });
  const running = startProgram({ ...run, id: name }, command);
  return { ...running, log: `${run.world.dir}/${name}.log` };
}

export interface BroughtUp {
  readonly kind: "forward" | "rebuild";
  readonly changes: number;
  readonly ms: number;
  readonly endedMs: number;
}

/** Copies that this worker has brought up to the ends of their changelogs. */
export function broughtUp(log: string): BroughtUp[] {
  return readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => line.includes("a copy of state was brought up"))
    .map((line) => {
      const { kind, changes, ms, time } = JSON.parse(line) as BroughtUp & { time: string | number };
      return { kind, changes, ms, endedMs: new Date(time).getTime() };
    });
}

/** Committed offsets by partition. */
export async function committed(run: Run): Promise<number[]> {
  const { admin } = run.world;
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({
    topic: run.input.topic,
    partition,
  }));
  const progress = await admin.committed(groupOf(run), partitions, { stable: false });
  return Array.from({ length: PARTITIONS }, (_, partition) => {
    const own = progress.find((one) => one.partition === partition);
    return Number(own?.nextOffset ?? 0n);
  });
}

export const groupOf = ({ id, workload }: Run): string => `${id}-${workload}.main`;

/** Waits until it says so; an error names what it waited for. */
export async function until(what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
  const giveUp = performance.now() + SILENCE_MS_MAX;
  while (!(await isSo())) {
    if (performance.now() > giveUp) throw new Error(`waited in vain: ${what}`);
    await delay(POLL_MS);
  }
}
