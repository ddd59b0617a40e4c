// Windows that close during a run: ticks are added up by their own key, and by one that all partitions share. Each window is to
// be there once, when every partition that it could take a record of has gone on. A tick that is too late for its window is in none.
import {
  DIGITS,
  GRACE_MS,
  PARTITIONS,
  WINDOW_S,
  type WindowRow,
} from "../../support/apps/chaos.ts";
import { eventually } from "../../support/eventually.ts";
import type { Value } from "../../support/simulation/values.ts";
import type { World } from "../world/world.ts";
import type { Findings } from "./findings.ts";

const CLOSED_MS = 180_000;
const SIZE_MS = WINDOW_S * 1_000;

/** Waits until every window has closed that the last ticks have passed. */
export async function allClosed(world: World): Promise<void> {
  const wanted = (await wantedOf(world)).length;
  await eventually(
    `${String(wanted)} windows have closed`,
    async () => ((await foundIn(world)).length >= wanted ? true : null),
    CLOSED_MS,
  );
}

/** Returns how many have closed. */
export async function compareWindows(world: World, to: Findings): Promise<number> {
  const found = await foundIn(world);
  to.compare(found, await wantedOf(world), "window");
  return found.length;
}

/** The time of its partition, with the tick, has passed the end of its window by the grace. */
export const isLateForWindow = (timestamp: number, originMs: number): boolean =>
  originMs >= timestamp - (timestamp % SIZE_MS) + SIZE_MS + GRACE_MS;

const lineOf = ({ of, start, sum }: WindowRow): string =>
  `${of} from ${String(start)}: ${String(sum)}`;

async function foundIn({ summing, app }: World): Promise<string[]> {
  const rows = await summing.raw(app.windows.name);
  return rows.map(({ value }) => lineOf(JSON.parse(String(value)) as WindowRow));
}

async function wantedOf({ summing, app }: World): Promise<string[]> {
  const times: number[] = Array.from({ length: PARTITIONS }, () => -Infinity);
  const sums = new Map<string, WindowRow & { readonly partition: number | null }>();
  const add = (of: string, partition: number | null, timestamp: number, n: number): void => {
    const start = timestamp - (timestamp % SIZE_MS);
    const name = `${of} ${String(start)}`;
    const sum = (sums.get(name)?.sum ?? 0) + n;
    sums.set(name, { of, start, sum, partition });
  };
  for (const { partition, key, value, timestamp } of await summing.raw(app.ticks.name)) {
    const { n } = JSON.parse(String(value)) as Value;
    const originMs = Math.max(times[partition] ?? -Infinity, timestamp);
    times[partition] = originMs;
    if (isLateForWindow(timestamp, originMs)) continue;
    add(String(key), partition, timestamp, n);
    add(`digit${String(n % DIGITS)}`, null, timestamp, n);
  }
  const slowest = Math.min(...times);
  return [...sums.values()]
    .filter(({ start, partition }) => {
      const watermark = partition === null ? slowest : (times[partition] ?? -Infinity);
      return start + SIZE_MS + GRACE_MS <= watermark;
    })
    .map(lineOf);
}
