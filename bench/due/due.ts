// Figures of the due index, on a Redis of the stack and in memory: bytes of an entry, the cost of a change, and how fast
// entries that are due are read and deleted, a page at a time.
import { randomBytes } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Redis } from "ioredis";
import { redisCopies } from "../../src/engine/clients/redis/copies.ts";
import { copyKey } from "../../src/engine/clients/redis/layout.ts";
import {
  PIECE_CHANGES_MAX,
  type StateChange,
  type StateCopy,
} from "../../src/engine/core/state.ts";
import { systemRandom } from "../../src/engine/runtime/host/system.ts";
import { memoryCopies } from "../../src/engine/state/memory-copy.ts";
import { openWorld } from "../world.ts";

export interface DueFigures {
  readonly copy: "Redis" | "memory";
  readonly index: boolean;
  readonly entries: number;
  readonly bytesPerEntry: number;
  /** Changes of entries that are there: each moves its due. */
  readonly changesPerSecond: number;
  /** Entries that were read as due and deleted; null where none is due. */
  readonly firedPerSecond: number | null;
}

const PAGE = 500;
const CHANGED = 200_000;
const START_MS = 1_700_000_000_000;

export async function benchDue(
  entries: number,
  say: (line: string) => void,
): Promise<DueFigures[]> {
  const world = await openWorld(say);
  const redis = new Redis(world.redisUrl);
  const copies = redisCopies({ url: world.redisUrl, random: systemRandom });
  try {
    const figures: DueFigures[] = [];
    for (const index of [false, true]) {
      const id = { prefix: `bench-${randomBytes(4).toString("hex")}`, store: "due", partition: 0 };
      const bytes = async (): Promise<number> => {
        const key = copyKey(id);
        const sizes = [key, `${key}:due`].map((one) => redis.memory("USAGE", one, "SAMPLES", 0));
        return (await Promise.all(sizes)).reduce<number>((sum, size) => sum + (size ?? 0), 0);
      };
      const inRedis = { copy: copies.copy(id), bytes, index, entries };
      figures.push({ ...(await figuresOf(inRedis)), copy: "Redis", index, entries });
      await inRedis.copy.remove();
      const inMemory = { copy: memoryCopies().copy(id), bytes: heapBytes, index, entries };
      figures.push({ ...(await figuresOf(inMemory)), copy: "memory", index, entries });
      say(`${index ? "with" : "without"} an index: done`);
    }
    return figures;
  } finally {
    redis.disconnect();
    await copies.close();
    await world.close();
  }
}

function heapBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return Promise.resolve(heapUsed + arrayBuffers);
}

interface Measured {
  readonly copy: StateCopy;
  readonly bytes: () => Promise<number>;
  readonly index: boolean;
  readonly entries: number;
}

type Figures = Pick<DueFigures, "bytesPerEntry" | "changesPerSecond" | "firedPerSecond">;

async function figuresOf(measured: Measured): Promise<Figures> {
  const { copy, bytes, entries, index } = measured;
  const before = await bytes();
  const rebuild = await copy.rebuild();
  for (let from = 0; from < entries; from += 10_000)
    await rebuild.put(changesFrom(measured, from, Math.min(entries, from + 10_000), 0));
  await rebuild.finish({ nextOffset: 0n, timeMs: 0 });
  const bytesPerEntry = ((await bytes()) - before) / entries;
  const changed = Math.min(CHANGED, entries);
  const changedMs = await timed(() => change(measured, changed));
  const firedMs = index ? await timed(() => fire(copy, entries)) : null;
  return {
    bytesPerEntry,
    changesPerSecond: (changed / changedMs) * 1_000,
    firedPerSecond: firedMs === null ? null : (entries / firedMs) * 1_000,
  };
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

/** Keys of 20 bytes, values of 60; dues over an hour. */
const changesFrom = (
  { index }: Pick<Measured, "index">,
  from: number,
  to: number,
  laterMs: number,
): StateChange[] =>
  Array.from({ length: to - from }, (_, i) => {
    const n = from + i;
    const dueMs = index ? START_MS + ((n * 7_919) % 3_600_000) + laterMs : null;
    return { key: Buffer.from(`key-${String(n).padStart(16, "0")}`), value: VALUE, dueMs };
  });

const VALUE = Buffer.alloc(60, "v");

/** Each copy's position is the number of its changes so far. */
const positions = new WeakMap<StateCopy, bigint>();

async function applied(copy: StateCopy, changes: readonly StateChange[]): Promise<void> {
  const expected = positions.get(copy) ?? 0n;
  const target = { nextOffset: expected + BigInt(changes.length), timeMs: 0 };
  const word = await copy.apply({ expected, target, changes });
  if (word !== "applied") throw new Error(`a piece was ${word}`);
  positions.set(copy, target.nextOffset);
}

async function change(measured: Measured, many: number): Promise<void> {
  for (let from = 0; from < many; from += PIECE_CHANGES_MAX)
    await applied(
      measured.copy,
      changesFrom(measured, from, Math.min(many, from + PIECE_CHANGES_MAX), 250),
    );
}

async function fire(copy: StateCopy, entries: number): Promise<void> {
  let fired = 0;
  for (;;) {
    const { keys } = await copy.due(Infinity, PAGE, 0);
    if (keys.length === 0) break;
    fired += keys.length;
    await applied(
      copy,
      keys.map(({ key }) => ({ key, value: null, dueMs: null })),
    );
  }
  if (fired !== entries) throw new Error(`${String(fired)} of ${String(entries)} were due`);
}
