// planRun(): what a run would read, make and leave out. Changes nothing; throws what forbids it.
import { MillraceError } from "../../core/errors.ts";
import type { Plan } from "../../core/plan.ts";
import { readProgress } from "../../core/progress.ts";
import { taskKey } from "../../core/record.ts";
import type { ReprocessPorts } from "../words/ports.ts";
import {
  movedOn,
  noCounts,
  type RangePlace,
  type RunOptions,
  type RunRow,
  type RunSource,
  type RunTarget,
} from "../words/run.ts";
import { pinRange, referencesOf, type RangeRequest } from "./pin.ts";
import { topicsOfRun, shadowOf, tableLabel } from "./shadow.ts";

export interface RunRequest {
  readonly target: RunTarget;
  readonly range: RangeRequest;
  readonly options: Omit<RunOptions, "staged">;
}

export interface PlannedRun {
  readonly row: Pick<RunRow, "pipeline" | "run" | "target" | "range" | "options" | "counts">;
  readonly shadow: Plan;
  /** To be made. */
  readonly topics: readonly string[];
  readonly tables: readonly string[];
  readonly warnings: readonly string[];
  /** Seconds, by the last finished run of this pipeline; null: there is none to judge by. */
  readonly seconds: number | null;
}

export async function planRun(
  plan: Plan,
  request: RunRequest,
  ports: ReprocessPorts,
): Promise<PlannedRun> {
  const { target } = request;
  const staged = stagedTopics(plan, request.options.source);
  const pinned = await pinRange(plan, { request: request.range, staged }, ports);
  const { warnings } = pinned;
  const range = { ...pinned.range, places: await besideLive(pinned.range.places, plan, ports) };
  const total = range.places.reduce((sum, { from, to }) => sum + Number(to - from), 0);
  const options = { ...request.options, staged };
  const isWhole = staged.length === 0 && !warnings.some((text) => text.includes("from nothing"));
  if (target === "in-place") checkInPlace(plan, isWhole);
  const pins = new Map(Object.entries(range.pins));
  const all = await ports.runs.list(plan.pipeline);
  for (let run = (all[0]?.run ?? 0) + 1; ; run++) {
    const shadow = shadowOf(plan, { run, target, staged, pins });
    const topics = topicsOfRun(plan, shadow);
    if (await isTaken(shadow, topics, ports)) continue;
    return {
      row: { pipeline: plan.pipeline, run, target, range, options, counts: { ...noCounts, total } },
      shadow,
      topics: topics.filter((name) => !shadow.topics.late.includes(name)),
      tables: target === "shadow" ? shadow.tables.map(tableLabel) : [],
      warnings: [...warnings, ...inPlaceWarnings(request)],
      seconds: secondsFor(all, total),
    };
  }
}

/** Where the range ends at the place of the live pipeline, with the time that this has there. */
async function besideLive(
  places: readonly RangePlace[],
  plan: Plan,
  ports: ReprocessPorts,
): Promise<readonly RangePlace[]> {
  const ends = new Map(places.map((place) => [taskKey(place), place.to]));
  const live = await readProgress(plan, ports);
  return movedOn(
    places,
    live.filter((at) => at.nextOffset === ends.get(taskKey(at))),
  );
}

function stagedTopics(plan: Plan, source: RunSource): readonly string[] {
  const known = plan.topics.input.map(({ name }) => name);
  if (source.kind === "kafka") return [];
  // Reference topics are read whole, their letters with them.
  if (source.kind === "dead-letters") return known.filter((name) => !referencesOf(plan).has(name));
  if (known.includes(source.topic)) return [source.topic];
  const detail = `${plan.pipeline} does not read ${source.topic} from outside; there are: ${known.join(", ")}`;
  throw new MillraceError("MILL_NOT_FOUND", detail);
}

/** A number that something else has left names for is passed over. */
async function isTaken(
  shadow: Plan,
  topics: readonly string[],
  { admin, tableExists }: ReprocessPorts,
): Promise<boolean> {
  const there = new Set(await admin.listTopics());
  if (topics.some((topic) => there.has(topic))) return true;
  const tables = shadow.tables.filter(({ corrects }) => corrects === undefined);
  return (await Promise.all(tables.map((table) => tableExists(table)))).includes(true);
}

/** Sums that begin from nothing would replace whole ones. */
function checkInPlace(plan: Plan, isWhole: boolean): void {
  const sums = plan.parts.flatMap(({ nodes }) => nodes).filter(({ facts }) => facts.folds);
  if (isWhole || sums.length === 0) return;
  const names = sums.map(({ name }) => name).join(", ");
  const detail = `in place, ${names} would begin from nothing and replace what was summed up before: take --from earliest, or --target shadow`;
  throw new MillraceError("MILL_RUN_RANGE", detail);
}

function inPlaceWarnings({ target, range }: RunRequest): string[] {
  const isCut = range.to.kind !== "latest" || range.toOffsets.length > 0;
  if (target !== "in-place" || !isCut) return [];
  return [
    "in place with an end before the latest: of two records of one version, of which only the first lies in the range, the first is written again",
  ];
}

function secondsFor(runs: readonly RunRow[], total: number): number | null {
  const last = runs.find(({ counts }) => counts.seconds > 0 && counts.done > 0);
  return last === undefined ? null : (total * last.counts.seconds) / last.counts.done;
}
