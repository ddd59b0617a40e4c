// The progress of a run, and whether it is done. Progress is read before the ends it is compared with.
import { sumLedgers } from "../../core/ledger.ts";
import type { OperatePorts } from "../../operate/choice.ts";
import { withReaders } from "../../core/pieces.ts";
import { PartFlow } from "../../core/part-flow.ts";
import { queuesKeys, type Plan } from "../../core/plan.ts";
import type { TopicName } from "../../core/record.ts";
import { queuedKeysIn } from "../../runtime/calls/left-behind.ts";
import { readProgress, type TaskProgress } from "../../core/progress.ts";
import { watermarksOf } from "../../core/read-range.ts";
import {
  endsTime,
  type EndOfRun,
  type RangePlace,
  type RunRange,
  type RunRow,
} from "../words/run.ts";

export interface RunProgress {
  readonly isDone: boolean;
  /** Offsets of the range that are decided. */
  readonly done: number;
  readonly total: number;
  readonly letters: number;
  /** Ends of the run's own topics that are known by now. */
  readonly own: readonly RangePlace[];
  readonly progress: readonly TaskProgress[];
}

/** A run, as far as its progress is compared with it. */
type RangedRun = Pick<RunRow, "range"> & EndOfRun;

/** The plan is the run's own. */
export async function progressOfRun(
  plan: Plan,
  row: RangedRun,
  ports: Pick<OperatePorts, "admin" | "tableStore">,
): Promise<RunProgress> {
  const range = { ...row.range, places: withReaders(plan, row.range.places) };
  const progress = await readProgress(plan, ports);
  const ends = await watermarksOf(ports.admin, topicsOf(plan, range));
  const flow = new PartFlow(plan.parts, range.places, {
    ...{ progress, ends, endsTime: endsTime(plan, row) },
  });
  const steps = range.places.map((place) => ({
    total: Number(place.to - place.from),
    done: Number(within(place, flow.positionOf(place))),
  }));
  const sum = (of: "total" | "done"): number => steps.reduce((all, step) => all + step[of], 0);
  const letters = sumLedgers(progress.flatMap(({ ledger }) => ledger ?? []))["dead-lettered"];
  return {
    isDone: flow.isDone,
    done: sum("done"),
    total: sum("total"),
    letters: Object.values(letters).reduce((all, count) => all + count, 0),
    own: flow.ended,
    progress,
  };
}

/**
 * Whether a run that seems done is done: queued keys still have outputs to come. None is queued any more at the first look,
 * and the second look sees that their outputs were read to the end; no key is queued behind the ends.
 */
export async function isSettled(plan: Plan, row: RangedRun, ports: OperatePorts): Promise<boolean> {
  const calls = plan.parts
    .flatMap(({ nodes }) => nodes)
    .flatMap((node) => (queuesKeys(node) && node.operation.store) || []);
  for (const { changelog } of calls)
    if ((await queuedKeysIn(changelog.name, ports)) > 0) return false;
  return calls.length === 0 || (await progressOfRun(plan, row, ports)).isDone;
}

const within = ({ from, to }: RangePlace, position: bigint): bigint =>
  (position > to ? to : position < from ? from : position) - from;

/** Topics of the run's own that it reads. */
function topicsOf({ parts }: Plan, { places }: RunRange): readonly TopicName[] {
  const bounded = new Set(places.map(({ topic }) => topic));
  const names = parts.flatMap(({ sources }) => sources.map(({ name }) => name));
  return names.filter((name) => !bounded.has(name));
}
