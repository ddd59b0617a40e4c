// Figures of state by number of keys: what a worker holds in memory, how soon the partitions of a killed worker go on, and
// how fast a lost copy is made again from its changelog.
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import type { Running } from "../contestant.ts";
import { PARTITIONS } from "../pipelines/payments.ts";
import { openWorld, type World } from "../world.ts";
import {
  broughtUp,
  committed,
  newStateRun,
  SESSION_MS,
  sendPayments,
  startWorker,
  until,
  type StateRun,
  type BroughtUp,
} from "./world.ts";

export interface StateFigures {
  readonly keys: number;
  /** The most that the one worker that made them all has held, from the operating system. */
  readonly peakMegabytes: number;
  readonly redisMegabytes: number;
  /** From the SIGKILL of one of two workers to commits on every partition that it had. */
  readonly takeoverMs: number;
  readonly sessionMs: number;
  /** Changes that the one who took over had to read. */
  readonly takeoverChanges: number;
  /** From FLUSHALL and a start of a worker to the last copy. */
  readonly rebuildMs: number;
  readonly rebuiltChanges: number;
  /** The most that the worker has held that made the copies again. */
  readonly rebuildMegabytes: number;
}

export interface StateOptions {
  readonly keys: readonly number[];
  /** NODE_OPTIONS of the workers. */
  readonly nodeOptions: string;
}

export async function benchState(
  { keys: numbers, nodeOptions }: StateOptions,
  say: (line: string) => void,
): Promise<StateFigures[]> {
  const world = await openWorld(say);
  try {
    const figures: StateFigures[] = [];
    for (const keys of numbers) figures.push(await figuresOf(world, keys, nodeOptions));
    return figures;
  } finally {
    await world.close();
  }
}

async function figuresOf(world: World, keys: number, nodeOptions: string): Promise<StateFigures> {
  const run = { ...(await newStateRun(world, keys)), nodeOptions };
  await sendPayments(run, 0, keys);
  world.say(`${keys.toLocaleString("en")} keys are sent`);
  const first = await startWorker(run);
  await caughtUp(run, keys);
  const peakMegabytes = peakOf(first);
  const redisMegabytes = await inRedis(world, async (redis) => {
    const found = /used_memory:(\d+)/.exec(await redis.info("memory"));
    return Number(found?.[1]) / 1e6;
  });
  world.say(`made by one worker, at most ${peakMegabytes.toFixed(0)} MB`);
  const takeover = await takenOver(run, first, keys);
  world.say(`taken over in ${takeover.takeoverMs.toFixed(0)} ms`);
  await inRedis(world, (redis) => redis.flushall());
  const rebuild = await rebuilt(run);
  world.say(`made again in ${rebuild.rebuildMs.toFixed(0)} ms`);
  await inRedis(world, (redis) => redis.flushall());
  return { keys, peakMegabytes, redisMegabytes, sessionMs: SESSION_MS, ...takeover, ...rebuild };
}

const caughtUp = (run: StateRun, records: number): Promise<void> =>
  until("all payments are committed", async () => {
    const offsets = await committed(run);
    return offsets.reduce((sum, offset) => sum + offset, 0) >= records;
  });

function peakOf({ pid, story }: Running): number {
  const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${String(pid)}/status`, "utf8"));
  if (found === null) throw new Error(`the worker is gone: ${story()}`);
  return Number(found[1]) / 1_000;
}

async function inRedis<T>({ redisUrl }: World, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(redisUrl);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}

type Takeover = Pick<StateFigures, "takeoverMs" | "takeoverChanges">;

/** A second worker joins and gets half; then the first is killed, and payments go on coming. */
async function takenOver(run: StateRun, first: Running, keys: number): Promise<Takeover> {
  const second = await startWorker(run);
  try {
    await until("the second has its half", () => broughtUp(second.log).length === PARTITIONS / 2);
    const before = broughtUp(second.log).length;
    await sendPayments(run, keys, keys + 1_000);
    await caughtUp(run, keys + 1_000);
    const killedMs = performance.now();
    process.kill(first.pid, "SIGKILL");
    await first.stop();
    await delay(100);
    const old = await committed(run);
    await sendPayments(run, keys + 1_000, keys + 2_000);
    await until("every partition goes on", async () =>
      (await committed(run)).every((offset, partition) => offset > (old[partition] ?? 0)),
    );
    const takeoverMs = performance.now() - killedMs;
    const later = broughtUp(second.log).slice(before);
    return { takeoverMs, takeoverChanges: changesOf(later) };
  } finally {
    await second.stop();
  }
}

type Rebuild = Pick<StateFigures, "rebuildMs" | "rebuiltChanges" | "rebuildMegabytes">;

async function rebuilt(run: StateRun): Promise<Rebuild> {
  const worker = await startWorker(run);
  try {
    const copies = (): BroughtUp[] => broughtUp(worker.log);
    await until("every copy is there", () => {
      if (!worker.isAlive()) throw new Error(`the worker has ended: ${worker.story()}`);
      return copies().length === PARTITIONS;
    });
    const startedMs = Math.min(...copies().map(({ endedMs, ms }) => endedMs - ms));
    const endedMs = Math.max(...copies().map((copy) => copy.endedMs));
    const rebuildMs = endedMs - startedMs;
    return { rebuildMs, rebuiltChanges: changesOf(copies()), rebuildMegabytes: peakOf(worker) };
  } finally {
    await worker.stop();
  }
}

const changesOf = (copies: readonly BroughtUp[]): number =>
  copies.reduce((sum, { changes }) => sum + changes, 0);
