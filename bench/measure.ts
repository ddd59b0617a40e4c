// One run: from the first committed progress to the committed end of the input, by the offsets of the contestant's group,
// which are the same measure for every contestant. Start-up (processes, joining, an empty state) is left out.
import { setTimeout as delay } from "node:timers/promises";
import { cpuSecondsOf } from "./cpu.ts";
import type { Run, Running } from "./contestant.ts";
import { PARTITIONS } from "./pipelines/payments.ts";

/** Monotonic, and the same for all processes. */
const now = (): number => Number(process.hrtime.bigint()) / 1e6;

const POLL_MS = 20;
const SILENCE_MS_MAX = 120_000;

/** Of the records between the first progress that was seen and the end. */
export interface Measurement {
  readonly records: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly brokerCpuSeconds: number;
  readonly redisCpuSeconds: number;
  /** From the start of the process, start-up and all. */
  readonly cpuSecondsInAll: number;
  /** When it began and ended, by the machine's monotonic clock. */
  readonly spanMs: readonly [from: number, to: number];
}

interface Moment {
  readonly committed: number;
  readonly at: number;
  readonly cpu: number;
  readonly broker: number;
  readonly redis: number;
}

/** Returns when all of the input is decided; the process goes on. */
export async function measure(run: Run, running: Running): Promise<Measurement> {
  const first = await reached(run, running, 1);
  const last = await reached(run, running, run.input.records);
  return {
    records: last.committed - first.committed,
    seconds: (last.at - first.at) / 1_000,
    cpuSeconds: last.cpu - first.cpu,
    brokerCpuSeconds: last.broker - first.broker,
    redisCpuSeconds: last.redis - first.redis,
    cpuSecondsInAll: last.cpu,
    spanMs: [first.at, last.at],
  };
}

/** The first moment at which so many records are committed. */
async function reached(run: Run, running: Running, records: number): Promise<Moment> {
  let [before, changedAt] = [0, now()];
  for (;;) {
    const committed = await committedOf(run, running.group);
    const at = now();
    if (committed >= records) {
      const { kafka, redis } = run.world.pids;
      const [broker, cpu] = [cpuSecondsOf(kafka), cpuSecondsOf(running.pid)];
      return { committed, at, cpu, broker, redis: cpuSecondsOf(redis) };
    }
    if (committed > before) [before, changedAt] = [committed, at];
    const isStuck = !running.isAlive() || at - changedAt > SILENCE_MS_MAX;
    if (isStuck) throw new Error(`stuck behind ${String(committed)} records: ${running.story()}`);
    await delay(POLL_MS);
  }
}

/** The input has no control records and begins at 0: offsets are records. */
async function committedOf({ world, input }: Run, group: string): Promise<number> {
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({
    topic: input.topic,
    partition,
  }));
  const progress = await world.admin.committed(group, partitions, { stable: false });
  return progress.reduce((sum, { nextOffset }) => sum + Math.max(0, Number(nextOffset ?? 0n)), 0);
}
