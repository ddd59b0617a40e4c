// Due entries that fire during a run: ticks set timers, put off others and cancel some. Each is to fire once, when stream time has
// passed it, and those of a partition in the order of their dues and keys. The oracle of the timers says which.
import type { RawRecord } from "../../../src/engine/core/record.ts";
import { PARTITIONS, TIMERS_BY } from "../../support/apps/chaos.ts";
import { eventually } from "../../support/eventually.ts";
import { timersFired, timersSet, type Entry } from "../../support/simulation/oracle/timers.ts";
import { timerKey } from "../../support/simulation/timers.ts";
import type { Value } from "../../support/simulation/values.ts";
import type { World } from "../world/world.ts";
import type { Findings } from "./findings.ts";

const FIRED_MS = 180_000;

/** Waits until all that is due by the last tick has fired. */
export async function allFired(world: World): Promise<void> {
  const wanted = (await wantedOf(world)).flat().length;
  await eventually(
    `${String(wanted)} due entries have fired`,
    async () => ((await foundIn(world)).length >= wanted ? true : null),
    FIRED_MS,
  );
}

/** Compares what has fired with what should have; returns how many it was. */
export async function compareFired(world: World, to: Findings): Promise<number> {
  const found = await foundIn(world);
  const wanted = await wantedOf(world);
  to.compare(found.map(textOf), wanted.flat(), "due entry");
  for (const [partition, all] of wanted.entries()) {
    const own = found.filter(({ key }) => String(key) === timerKey(partition)).map(textOf);
    const at = all.findIndex((one, i) => own[i] !== one);
    if (at >= 0) to.fault(`due entry ${String(at)}: ${String(own[at])}, not ${String(all[at])}`);
  }
  return found.length;
}

const foundIn = ({ summing, app }: World): Promise<RawRecord[]> => summing.raw(app.fired.name);

const lineOf = (key: string, { i, n }: Value, dueMs: number): string =>
  `${key}: ${i} (${String(n)}) at ${String(dueMs)}`;

const textOf = ({ key, value, timestamp }: RawRecord): string =>
  lineOf(String(key), JSON.parse(String(value)) as Value, timestamp);

/** By partition, in order. */
async function wantedOf({ summing, app }: World): Promise<string[][]> {
  const store = new Map<string, Entry>();
  const streamTimes: number[] = Array.from({ length: PARTITIONS }, () => -1);
  for (const { partition, offset, key, value, timestamp } of await summing.raw(app.ticks.name)) {
    const now = Math.max(streamTimes[partition] ?? -1, timestamp);
    streamTimes[partition] = now;
    const tick = { ...(JSON.parse(String(value)) as Value), i: String(offset) };
    const changes = timersSet(store, { key: String(key), value: tick, now, by: TIMERS_BY });
    for (const [name, entry] of changes)
      if (entry === null) store.delete(name);
      else store.set(name, entry);
  }
  return streamTimes.map((now, partition) =>
    timersFired(store, partition, now).map(([, { value, dueMs = 0 }]) =>
      lineOf(timerKey(partition), value as Value, dueMs),
    ),
  );
}
