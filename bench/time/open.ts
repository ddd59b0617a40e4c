// Windows that close beside many that stay open: what it costs by windows closed, and the memory of the process. Copies are filled
// as a rebuild fills them; then time moves on twice, once past a few windows and once past one of every key.
import { Redis } from "ioredis";
import { hours, json, pipeline, string, topic, tumbling } from "#engine";
import { redisCopies } from "../../src/engine/clients/redis/copies.ts";
import type { StateCopies } from "../../src/engine/core/state.ts";
import { systemRandom } from "../../src/engine/runtime/host/system.ts";
import { memoryCopies } from "../../src/engine/state/memory-copy.ts";
import { openWorld } from "../world.ts";
import { BenchTask, INPUT } from "./task.ts";

export interface OpenFigures {
  readonly copy: "Redis" | "memory";
  readonly keys: number;
  readonly windows: number;
  /** Closed first, while the others stay open. */
  readonly few: Closed;
  /** Then one of every key. */
  readonly many: Closed;
  readonly megabytes: number;
  readonly redisMegabytes: number | null;
}

interface Closed {
  readonly windows: number;
  readonly ms: number;
  /** The CPU of this process for each window. */
  readonly cpuMicrosEach: number;
}

const OPEN = 24;
const FEW = 10_000;
const HOUR_MS = 3_600_000;
const START_MS = 1_750_003_200_000;
const CACHE_BYTES = 64_000_000;
/** A copy in memory lies in this process: more keys belong into Redis. */
const KEYS_IN_MEMORY_MAX = 100_000;

const views = topic(INPUT, { key: string, value: json<number>(), partitions: 1, owner: "bench" });
const rows = topic("out", { key: string, value: json<number>(), partitions: 1, owner: "bench" });
const flow = pipeline("open", ({ from }) => {
  from(views)
    .groupByKey()
    .windowedBy(tumbling({ size: hours(1), grace: hours(OPEN) }))
    .count("views", { emit: "close" })
    .toStream("row", (n) => n)
    .to(rows);
});

export async function benchOpen(
  keys: readonly number[],
  say: (line: string) => void,
): Promise<OpenFigures[]> {
  const world = await openWorld(say);
  const redis = new Redis(world.redisUrl);
  const copies = redisCopies({ url: world.redisUrl, random: systemRandom });
  try {
    const figures: OpenFigures[] = [];
    for (const n of keys) {
      if (n <= KEYS_IN_MEMORY_MAX)
        figures.push({
          ...(await closing(memoryCopies(), n)),
          copy: "memory",
          redisMegabytes: null,
        });
      await redis.flushall();
      const before = await usedBytes(redis);
      const task = await filled(copies, n);
      const redisMegabytes = ((await usedBytes(redis)) - before) / 1e6;
      figures.push({ ...(await closed(task, n)), copy: "Redis", redisMegabytes });
      say(`${n.toLocaleString("en")} keys: done`);
    }
    return figures;
  } finally {
    redis.disconnect();
    await copies.close();
    await world.close();
  }
}

const usedBytes = async (redis: Redis): Promise<number> =>
  Number(/used_memory:(\d+)/.exec(await redis.info("memory"))?.[1] ?? NaN);

type Figures = Omit<OpenFigures, "copy" | "redisMegabytes">;

const closing = async (copies: StateCopies, keys: number): Promise<Figures> =>
  closed(await filled(copies, keys), keys);

/** The first hour has a few keys, each of the next so many hours all of them. */
async function filled(copies: StateCopies, keys: number): Promise<BenchTask> {
  const task = await BenchTask.open(flow, copies, CACHE_BYTES);
  await task.fill("views", entries(keys));
  return task;
}

function* entries(keys: number) {
  for (let hour = 0; hour <= OPEN; hour++)
    for (let n = 0; n < (hour === 0 ? Math.min(FEW, keys) : keys); n++) {
      const startMs = START_MS + hour * HOUR_MS;
      const key = Buffer.alloc(8 + 12);
      key.writeBigUInt64BE(BigInt(startMs));
      key.write(`key-${String(n).padStart(8, "0")}`, 8);
      const dueMs = startMs + (1 + OPEN) * HOUR_MS - 1;
      yield { key, entry: { value: 1 + (n % 9), timestamp: startMs, dueMs } };
    }
}

async function closed(task: BenchTask, keys: number): Promise<Figures> {
  let most = 0;
  const look = (): void => void (most = Math.max(most, process.memoryUsage().rss));
  const watching = setInterval(look, 100);
  const closeHour = async (hour: number, windows: number): Promise<Closed> => {
    const [startedMs, cpuBefore, before] = [
      performance.now(),
      process.cpuUsage(),
      task.counts.emitted,
    ];
    await task.moveTo(START_MS + (hour + 1 + OPEN) * HOUR_MS);
    await task.checkpoint();
    const [ms, cpu] = [performance.now() - startedMs, process.cpuUsage(cpuBefore)];
    if (task.counts.emitted - before !== windows)
      throw new Error(
        `${String(task.counts.emitted - before)} windows closed, not ${String(windows)}`,
      );
    return { windows, ms, cpuMicrosEach: (cpu.user + cpu.system) / windows };
  };
  // The first question for what is due finds the copy as it was filled.
  await task.moveTo(START_MS);
  const few = await closeHour(0, Math.min(FEW, keys));
  const many = await closeHour(1, keys);
  look();
  clearInterval(watching);
  return { keys, windows: keys * OPEN, few, many, megabytes: most / 1e6 };
}
