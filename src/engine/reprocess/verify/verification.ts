// verifyRun(): are the tables of a run what the live ones are? Waits until both have done the same records, then compares
// them at one moment. Changes by live since the run's end was taken are no difference.
import { MillraceError } from "../../core/errors.ts";
import { withReaders } from "../../core/pieces.ts";
import type { Plan } from "../../core/plan.ts";
import { readPositions, readProgress, type TaskProgress } from "../../core/progress.ts";
import { watermarksOf } from "../../core/read-range.ts";
import { taskKey } from "../../core/record.ts";
import type { TableSpec } from "../../core/table-layout.ts";
import { topicsBetweenParts } from "../../operate/gate/drained.ts";
import { progressOfRun } from "../control/run-progress.ts";
import { close, drain, reopen } from "../barrier/barrier.ts";
import { waitUntil } from "../words/waiting.ts";
import { runTable, tableLabel } from "../plan/shadow.ts";
import { pinsOf } from "../plan/pin.ts";
import { changeRun } from "../words/rows.ts";
import type { ReprocessPorts } from "../words/ports.ts";
import { shadowOfRun } from "../run/prepare.ts";
import {
  FOLLOWING,
  movedOn,
  PAUSED,
  runStateError,
  type RunRange,
  type RunRow,
} from "../words/run.ts";
import {
  compareTables,
  type ComparisonRequest,
  type RowDifference,
  type TableComparison,
} from "./comparison.ts";
import type { Pin } from "./comparison-statements.ts";
import { RowReach } from "./reach.ts";

export interface Verifying {
  readonly plan: Plan;
  readonly samplesMax: number;
  readonly showPersonal: boolean;
  /** The longest time that each side may take to reach the other. */
  readonly limitMs: number;
  /** Rows of before are not compared; null: as far as the run's range and the reach of the rows say. */
  readonly sinceMs: number | null;
  /** Stops live for a moment, so that nothing in it is newer. The run must follow. */
  readonly atBarrier: boolean;
  onDifference(table: string, difference: RowDifference): void;
  say(line: string): void;
}

export async function verifyRun(
  found: RunRow,
  verifying: Verifying,
  ports: ReprocessPorts,
): Promise<readonly TableComparison[]> {
  const isFollowing = checkState(found);
  const { plan, limitMs, atBarrier } = verifying;
  if (!isFollowing && atBarrier)
    throw new MillraceError(
      "MILL_RUN_STATE",
      "a run that does not follow live is not at its barrier",
    );
  if (!isFollowing) return verifyStill(found, verifying, ports);
  if (atBarrier) return verifyStopped(found, verifying, ports);
  const row = await pauseRun(found, plan, 10 * limitMs, ports);
  return verifyStill(row, verifying, ports).finally(() => release(row, ports));
}

/** 1 live stops · 2 the run reads to the same offsets · 3 the moment is taken, and live goes on. */
async function verifyStopped(
  found: RunRow,
  verifying: Verifying,
  ports: ReprocessPorts,
): Promise<readonly TableComparison[]> {
  const { plan, limitMs, say, onDifference } = verifying;
  const barrier = { plan, row: found, ports: { ...ports, say }, limitMs, why: "verify" } as const;
  let row: RunRow | null = null;
  let isOver = false;
  const goOn = async (): Promise<void> => {
    if (isOver) return;
    isOver = true;
    await reopen(barrier, false);
    if (row !== null) await release(row, ports);
  };
  try {
    // 1
    do await drain(barrier);
    while ((await close(barrier)) === null);
    // 2
    row = await pauseRun(found, plan, 10 * limitMs, ports);
    await reachedEnd(row, verifying, ports);
    // 3
    const requests = requestsOf(row, verifying).map((request) => ({ ...request, pins: [] }));
    return await compareTables(ports.pool, requests, { onDifference, onMoment: goOn });
  } finally {
    await goOn();
  }
}

/** Whether the run follows live. */
function checkState(row: RunRow): boolean {
  const { state, step, target, options } = row;
  const refuse = (why: string): MillraceError => runStateError(row, why);
  if (target !== "shadow") throw refuse("has written in place: there is nothing to compare");
  if (options.staged.length > 0) throw refuse("has read copies, which live has not read");
  if (state === "done") return false;
  if (state === "running" && (step === FOLLOWING || step === PAUSED)) return true;
  throw refuse(state === "running" ? "still reads its range" : `is ${state}`);
}

async function verifyStill(
  row: RunRow,
  verifying: Verifying,
  ports: ReprocessPorts,
): Promise<readonly TableComparison[]> {
  await reachedEnd(row, verifying, ports);
  await passed(row, verifying, ports);
  return compareTables(ports.pool, requestsOf(row, verifying), verifying);
}

async function reachedEnd(
  row: RunRow,
  { plan, limitMs }: Verifying,
  ports: ReprocessPorts,
): Promise<void> {
  const shadow = shadowOfRun(plan, row);
  const isSo = async (): Promise<boolean> => (await progressOfRun(shadow, row, ports)).isDone;
  await waitUntil("the run to reach its end", isSo, ports.clock, limitMs);
}

/** Until live has done everything that the run has: in as many rounds as a record can go through topics of its own. */
async function passed(
  { range }: RunRow,
  { plan, limitMs }: Verifying,
  ports: ReprocessPorts,
): Promise<void> {
  const { clock } = ports;
  const reached = async (ends: ReadonlyMap<string, bigint>): Promise<boolean> => {
    const live = await readPositions(plan, ports);
    return [...ends].every(([key, end]) => (live.get(key) ?? 0n) >= end);
  };
  const places = withReaders(plan, range.places);
  const ends = new Map(places.map((place) => [taskKey(place), place.to]));
  await waitUntil("live to pass the end of the run", () => reached(ends), clock, limitMs);
  for (let round = 0; round < plan.parts.length; round++) {
    const own = await ownEnds(plan, ports);
    await waitUntil("live to work off its own topics", () => reached(own), clock, limitMs);
  }
}

/** The present ends of live's own topics, for every task that reads them. */
async function ownEnds(
  plan: Plan,
  { admin }: ReprocessPorts,
): Promise<ReadonlyMap<string, bigint>> {
  const marks = await watermarksOf(admin, topicsBetweenParts(plan));
  return new Map(
    plan.parts.flatMap(({ name: part, sources }) =>
      [...marks.values()]
        .filter(({ topic }) => sources.some(({ name }) => name === topic))
        .map((mark) => [taskKey({ part, ...mark }), mark.high] as const),
    ),
  );
}

function requestsOf(
  row: RunRow,
  { plan, samplesMax, showPersonal, sinceMs }: Verifying,
): readonly ComparisonRequest[] {
  const byTable = new Map<string, { table: TableSpec; pins: Pin[]; reachMs: number }>();
  const reach = new RowReach(plan);
  for (const part of plan.parts) {
    const { name, table, sources } = part;
    if (table === null) continue;
    const label = tableLabel(table);
    const fresh = { table: table.declaration as TableSpec, pins: [], reachMs: 0 };
    const entry = byTable.get(label) ?? fresh;
    entry.pins.push(...sources.map((source) => pinOf(row, name, source.name)));
    byTable.set(label, { ...entry, reachMs: Math.max(entry.reachMs, reach.of(part)) });
  }
  return [...byTable.values()].map(({ table, pins, reachMs }) => {
    const shadow = runTable(table.name, row.run);
    const from = comparedFrom(row.range, reachMs, sinceMs);
    return { table, shadow, pins, ...from, samplesMax, showPersonal };
  });
}

/** Rows that reach below the start of the range are not compared (B2). */
function comparedFrom(
  { fromMs }: RunRange,
  reachMs: number,
  sinceMs: number | null,
): Pick<ComparisonRequest, "sinceMs" | "isOpen"> {
  if (sinceMs !== null || fromMs === undefined) return { sinceMs, isOpen: false };
  const isOpen = reachMs === Infinity;
  return { sinceMs: fromMs + (isOpen ? 0 : reachMs), isOpen };
}

/** The end of the run's range in a topic that it reads itself; in others, live's end when the run was pinned. */
function pinOf({ range }: RunRow, part: string, topic: string): Pin {
  const places = range.places.filter((place) => place.part === part && place.topic === topic);
  if (places.length === 0) return { topic, offsets: range.pins[topic] ?? [] };
  const sorted = places.toSorted((a, b) => a.partition - b.partition);
  return { topic, offsets: sorted.map(({ to }) => to) };
}

/** The controller looks once a second: its last change from before the pause is written by then. */
const SETTLE_MS = 3_000;

/**
 * Pauses a following run for a comparison: its end stays at the offsets that live had reached at the start, while live goes
 * on. The run is released in any case; if the process that compares dies, the pause ends after a while. Returns the row of the
 * paused run, with the ends of live topics from before its own end was taken.
 */
async function pauseRun(
  row: RunRow,
  plan: Plan,
  pauseMs: number,
  ports: ReprocessPorts,
): Promise<RunRow> {
  const { runs, clock } = ports;
  const pins = await pinsOf(topicsBetweenParts(plan), ports);
  const aim = await readProgress(plan, ports);
  const detail = { ...row.detail, held: { untilMs: clock.now() + pauseMs } };
  const paused = { step: PAUSED, detail, range: raised(row.range, aim, pins) };
  await changeRun(runs, row, paused, ["running"]);
  await clock.sleep(SETTLE_MS);
  const found = (await runs.find(row.pipeline, row.run)) ?? row;
  return changeRun(runs, found, { range: raised(found.range, aim, pins) }, ["running"]);
}

async function release(row: RunRow, { runs }: ReprocessPorts): Promise<void> {
  const detail = { ...row.detail, held: undefined };
  await runs.update(row, { step: FOLLOWING, detail }, ["running"]);
}

const raised = (
  range: RunRange,
  aim: readonly TaskProgress[],
  pins: RunRange["pins"],
): RunRange => ({
  ...range,
  pins: { ...range.pins, ...pins },
  places: movedOn(range.places, aim),
});
