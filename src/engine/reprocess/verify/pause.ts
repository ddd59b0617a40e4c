// Pauses a following run for a comparison: its end stays at the offsets that live had reached at the start, while live goes
// on. The run is released in any case; if the process that compares dies, the pause ends after a while.
import { topicsBetweenParts } from "../../operate/gate/drained.ts";
import type { Plan } from "../../core/plan.ts";
import { readPositions } from "../../core/progress.ts";
import { taskKey } from "../../core/record.ts";
import type { ReprocessPorts } from "../words/ports.ts";
import { changeRun } from "../words/rows.ts";
import { FOLLOWING, PAUSED, type RunRange, type RunRow } from "../words/run.ts";

/** The controller looks once a second: its last change from before the pause is written by then. */
const SETTLE_MS = 3_000;

/** The row of the paused run, with the ends of live topics from before its own end was taken. */
export async function pauseRun(
  row: RunRow,
  { plan, pauseMs }: { readonly plan: Plan; readonly pauseMs: number },
  ports: ReprocessPorts,
): Promise<RunRow> {
  const { runs, clock } = ports;
  const pins = await endsOf(plan, ports);
  const aim = await readPositions(plan, ports);
  const detail = { ...row.detail, held: { untilMs: clock.now() + pauseMs } };
  const paused = { step: PAUSED, detail, range: raised(row.range, aim, pins) };
  await changeRun(runs, row, paused, ["running"]);
  await clock.sleep(SETTLE_MS);
  const found = (await runs.find(row.pipeline, row.run)) ?? row;
  return changeRun(runs, found, { range: raised(found.range, aim, pins) }, ["running"]);
}

export async function release(row: RunRow, { runs }: ReprocessPorts): Promise<void> {
  const detail = { ...row.detail, held: undefined };
  await runs.update(row, { step: FOLLOWING, detail }, ["running"]);
}

const raised = (
  range: RunRange,
  aim: ReadonlyMap<string, bigint>,
  pins: RunRange["pins"],
): RunRange => ({
  ...range,
  pins: { ...range.pins, ...pins },
  places: range.places.map((place) => {
    const to = aim.get(taskKey(place)) ?? place.to;
    return to > place.to ? { ...place, to } : place;
  }),
});

async function endsOf(plan: Plan, { admin }: ReprocessPorts): Promise<RunRange["pins"]> {
  const pins: Record<string, bigint[]> = {};
  for (const topic of topicsBetweenParts(plan))
    pins[topic] = (await admin.watermarks(topic))
      .toSorted((a, b) => a.partition - b.partition)
      .map(({ high }) => high);
  return pins;
}
