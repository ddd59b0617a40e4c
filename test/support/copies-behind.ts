// What happens to copies of state behind a worker's back: wiped, put back as they were earlier, their log cut short.
import { readdirSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import type { Redis } from "ioredis";
import type { Plan } from "../../src/engine/core/plan.ts";

const TIME_FIELD = "\0t";

/** The keys of a store's copies by partition, written out here a second time: other programs rely on them. */
export function copyKeys({ namespace, pipeline, parts }: Plan, store: string): string[] {
  const part = parts.find(({ stores }) => stores.some(({ name }) => name === store));
  return Array.from(
    { length: part?.partitions ?? 0 },
    (_, partition) => `{${namespace}${pipeline}:${store}:${String(partition)}}`,
  );
}

const asideOf = (key: string): string => `${key}:aside`;
const indexOf = (key: string): string => `${key}:due`;

/** Lays a copy of each copy and its index aside, all of one moment; `ageMs` makes them look older than they are. */
export async function layAside(redis: Redis, keys: readonly string[], ageMs = 0): Promise<void> {
  const all = redis.multi();
  for (const key of keys.flatMap((one) => [one, indexOf(one)]))
    all.unlink(asideOf(key)).copy(key, asideOf(key));
  await all.exec();
  for (const key of keys) {
    const time = Number(await redis.hget(asideOf(key), TIME_FIELD));
    await redis.hset(asideOf(key), TIME_FIELD, String(time - ageMs));
  }
}

/** As a restored snapshot does: all at once they are what they were. */
export async function putBack(redis: Redis, keys: readonly string[]): Promise<void> {
  const all = redis.multi();
  // Without an index then, there is none now: a rename of what is not there changes nothing.
  for (const key of keys.flatMap((one) => [one, indexOf(one)]))
    all.unlink(key).rename(asideOf(key), key);
  await all.exec();
}

/** Bytes in the append-only log. */
export const logSize = (home: string): number => statSync(logOf(home)).size;

/** Cuts the last bytes off the append-only log of a Redis that is down. */
export const cutLog = (home: string, bytes: number): void =>
  truncateSync(logOf(home), logSize(home) - bytes);

/** One file up to 6.2; a folder from 7 on, in which the newest increment is last. */
function logOf(home: string): string {
  const folder = readdirSync(home).includes("appendonlydir") ? join(home, "appendonlydir") : home;
  const parts = readdirSync(folder).filter((name) => /\.aof$/.test(name) && !/\.base\./.test(name));
  return join(folder, parts.sort().at(-1) ?? "");
}
