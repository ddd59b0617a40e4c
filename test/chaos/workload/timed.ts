// Ticks and tocks that are joined, ticks that are too late, and handlers that wait for a pause: what must come of the topics as they
// lie there, by a naive program over sets of records and the times of their partitions.
import type { RawRecord } from "../../../src/engine/core/record.ts";
import {
  cancelsPause,
  GRACE_MS,
  ONCE_MS,
  PARTITIONS,
  PAUSE_MS,
  TOCK_AFTER_MS,
  TOCK_BEFORE_MS,
  type LateRow,
  type PairRow,
  type PauseRow,
} from "../../support/apps/chaos.ts";
import { eventually } from "../../support/eventually.ts";
import type { Value } from "../../support/simulation/values.ts";
import type { World } from "../world/world.ts";
import type { Findings } from "./findings.ts";
import { isLateForWindow } from "./windows.ts";

const DONE_MS = 180_000;
const SPAN_MS = TOCK_BEFORE_MS + TOCK_AFTER_MS;

/** How many of each there were. */
export interface TimedCounts {
  readonly pairs: number;
  readonly pauses: number;
  readonly late: number;
}

interface Rows {
  readonly pairs: readonly string[];
  readonly pauses: readonly string[];
  readonly late: readonly string[];
}
const kinds = ["pairs", "pauses", "late"] as const;

/** Waits until there is as much of each as there must be. */
export async function allTimed(world: World): Promise<void> {
  const wanted = await wantedOf(world);
  await eventually(
    `${kinds.map((kind) => `${String(wanted[kind].length)} ${kind}`).join(", ")}`,
    async () => {
      const found = await foundIn(world);
      return kinds.every((kind) => found[kind].length >= wanted[kind].length) ? true : null;
    },
    DONE_MS,
  );
}

export async function compareTimed(world: World, to: Findings): Promise<TimedCounts> {
  const [found, wanted] = [await foundIn(world), await wantedOf(world)];
  to.compare(found.pairs, wanted.pairs, "pair");
  to.compare(found.pauses, wanted.pauses, "pause");
  to.compare(found.late, wanted.late, "late record");
  return { pairs: found.pairs.length, pauses: found.pauses.length, late: found.late.length };
}

/** The part that adds ticks up by a key that all partitions share has them all, and counts those that are late. */
export async function compareTickLedger({ summing, app }: World, to: Findings): Promise<void> {
  const ticks = entriesOf(await summing.raw(app.ticks.name));
  const late = ticks.filter(({ at, originMs }) => isLateForWindow(at, originMs)).length;
  const { consumed, late: counted } = await summing.ledger("by-digit");
  to.same(
    [consumed, counted],
    [ticks.length, late === 0 ? {} : { own: late }],
    "ledger of by-digit",
  );
}

const pairText = ({ tick, tock }: PairRow): string => `${tick}&${tock}`;
const pauseText = ({ of, due, ticks }: PauseRow): string =>
  `${of} at ${String(due)}: ${String(ticks)}`;
const lateText = ({ of, i }: LateRow): string => `${of} ${i}`;

async function foundIn({ summing, app }: World): Promise<Rows> {
  const rowsOf = async <Row>(topic: string, textOf: (row: Row) => string): Promise<string[]> =>
    (await summing.raw(topic)).map(({ value }) => textOf(JSON.parse(String(value)) as Row));
  // Offsets are those of a partition, so a key's partition goes with them.
  const keyed = async <Row>(topic: string, textOf: (row: Row) => string): Promise<string[]> =>
    (await summing.raw(topic)).map(
      ({ key, value }) => `${String(key)} ${textOf(JSON.parse(String(value)) as Row)}`,
    );
  return {
    pairs: await keyed(app.pairs.name, pairText),
    pauses: await rowsOf(app.pauses.name, pauseText),
    late: await keyed(app.late.name, lateText),
  };
}

async function wantedOf({ summing, app }: World): Promise<Rows> {
  const ticks = entriesOf(await summing.raw(app.ticks.name));
  const tocks = entriesOf(await summing.raw(app.tocks.name));
  const lateFor = (of: LateRow["of"], entries: readonly Entry[], isLate: (of: Entry) => boolean) =>
    entries.filter(isLate).map(({ key, i }) => `${key} ${lateText({ of, i })}`);
  return {
    pairs: pairsOf(ticks, tocks),
    pauses: [...Map.groupBy(ticks, ({ partition }) => partition).values()].flatMap(pausesOf),
    late: [
      ...lateFor("window", ticks, ({ at, originMs }) => isLateForWindow(at, originMs)),
      ...lateFor("tick", ticks, isTooOld),
      ...lateFor("tock", tocks, isTooOld),
    ],
  };
}

interface Entry {
  readonly i: string;
  readonly n: number;
  readonly key: string;
  readonly partition: number;
  readonly at: number;
  /** The greatest time of its partition, up to this record. */
  readonly originMs: number;
}

function entriesOf(records: readonly RawRecord[]): Entry[] {
  const times: number[] = [];
  return records.map(({ partition, offset, key, value, timestamp: at }) => {
    const { n } = JSON.parse(String(value)) as Value;
    const originMs = Math.max(times[partition] ?? -Infinity, at);
    times[partition] = originMs;
    return { i: String(offset), n, key: String(key), partition, at, originMs };
  });
}

const isTooOld = ({ at, originMs }: Entry): boolean => at < originMs - GRACE_MS;

function timesOf(entries: readonly Entry[]): number[] {
  const times = Array.from({ length: PARTITIONS }, () => -Infinity);
  for (const { partition, originMs } of entries) times[partition] = originMs;
  return times;
}

/** Tocks lie by key and span of time, so that a long run is no matter of hours. */
function pairsOf(allTicks: readonly Entry[], allTocks: readonly Entry[]): string[] {
  const [tickTimes, tockTimes] = [timesOf(allTicks), timesOf(allTocks)];
  const watermarkOf = ({ partition }: Entry): number =>
    Math.min(tickTimes[partition] ?? -Infinity, tockTimes[partition] ?? -Infinity);
  const isOver = (entry: Entry, spanMs: number): boolean =>
    watermarkOf(entry) > entry.at + spanMs + GRACE_MS;
  const [ticks, tocks] = [allTicks, allTocks].map((all) => all.filter((one) => !isTooOld(one)));
  const bucketOf = (key: string, at: number): string =>
    `${key} ${String(Math.floor(at / SPAN_MS))}`;
  const buckets = Map.groupBy(tocks ?? [], ({ key, at }) => bucketOf(key, at));
  const paired = new Set<Entry>();
  const rows = (ticks ?? []).flatMap((tick) => {
    const near = [-SPAN_MS, 0, SPAN_MS].flatMap(
      (by) => buckets.get(bucketOf(tick.key, tick.at + by)) ?? [],
    );
    const own = near.filter(
      ({ at }) => at >= tick.at - TOCK_BEFORE_MS && at <= tick.at + TOCK_AFTER_MS,
    );
    for (const tock of own) paired.add(tock);
    if (own.length > 0) return own.map((tock) => rowOf(tick.key, tick, tock));
    return isOver(tick, TOCK_AFTER_MS) ? [rowOf(tick.key, tick, null)] : [];
  });
  const alone = (tocks ?? []).filter((tock) => !paired.has(tock) && isOver(tock, TOCK_BEFORE_MS));
  return [...rows, ...alone.map((tock) => rowOf(tock.key, null, tock))];
}

const rowOf = (key: string, tick: Entry | null, tock: Entry | null): string =>
  `${key} ${pairText({ tick: tick?.i ?? "", tock: tock?.i ?? "" })}`;

/** Of one partition: a timer fires before the tick that moves the time to its due, or behind the one that sets it too late. */
function pausesOf(ticks: readonly Entry[]): string[] {
  const seen = new Map<string, number>();
  const dues = new Map<string, number>();
  const counts = new Map<string, number>();
  const rows: string[] = [];
  const fire = (nowMs: number): void => {
    for (const [of, due] of dues) {
      if (due > nowMs) continue;
      dues.delete(of);
      rows.push(pauseText({ of, due, ticks: counts.get(of) ?? 0 }));
      counts.delete(of);
    }
  };
  for (const { key, n, at, originMs } of ticks) {
    fire(originMs);
    const name = `${key} ${String(n)}`;
    const first = seen.get(name) ?? -Infinity;
    if (at + ONCE_MS < originMs || originMs - first <= ONCE_MS) continue;
    seen.set(name, originMs);
    counts.set(key, (counts.get(key) ?? 0) + 1);
    if (cancelsPause({ n })) dues.delete(key);
    else dues.set(key, at + PAUSE_MS);
    fire(originMs);
  }
  return rows;
}
