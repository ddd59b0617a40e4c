// What comes before a promotion: that nothing forbids it, and that the run is close behind live. Changes nothing in the
// live pipeline; a run that had come to its end goes on behind live.
import { MillraceError } from "../../core/errors.ts";
import type { Plan } from "../../core/plan.ts";
import { readProgress, type ProgressPorts } from "../../core/progress.ts";
import { heldBy, readGate, storesNote } from "../../notes/gate-note.ts";
import { readNotes } from "../../notes/notes.ts";
import { shadowOfRun } from "../run/prepare.ts";
import { FOLLOWING, type RunRow } from "../words/run.ts";
import type { Follower, PromotePorts } from "./ports.ts";
import { standKey, standsOf } from "../barrier/stands.ts";
import { withDetail, type PromoteDetail } from "../words/steps.ts";
import { turnsOf } from "../swap/turns.ts";

export interface PromoteWish extends Pick<PromoteDetail, "hold" | "corrections"> {
  /** How far behind live the run may be. */
  readonly lagMaxMs: number;
}

/** Everything that forbids the promotion now. */
export async function checkPromotable(row: RunRow, plan: Plan, ports: PromotePorts): Promise<void> {
  const name = `run ${String(row.run)} of ${row.pipeline}`;
  const unfit = unfitness(row);
  if (unfit !== null) throw new MillraceError("MILL_RUN_STATE", `${name} ${unfit}`);
  const obstacles = await ports.tables.obstacles(turnsOf(plan, row.run));
  if (obstacles.length > 0) throw new MillraceError("MILL_SWAP_REFUSED", obstacles.join("; "));
  const gate = await readGate(plan, ports);
  if (gate !== null) throw heldBy(plan, gate);
  if ((await standsOf(plan, ports)).includes(null)) {
    const detail = `${plan.pipeline} has tasks that have never run: there is no place to take over`;
    throw new MillraceError("MILL_RUN_STATE", detail);
  }
}

function unfitness({ state, target, options }: RunRow): string | null {
  if (target !== "shadow") return "has written in place: there is nothing to promote";
  if (options.staged.length > 0) return "has read copies, which end: it cannot go on behind live";
  return state === "done" || state === "running" ? null : `is ${state}`;
}

/** Waits until the run is close behind live, and writes down that the promotion has begun. */
export async function beginPromotion(
  found: RunRow,
  { plan, wish }: { readonly plan: Plan; readonly wish: PromoteWish },
  ports: PromotePorts,
): Promise<RunRow> {
  await checkPromotable(found, plan, ports);
  const row = await setFollowing(found, ports);
  const follower = await ports.follow(row);
  await closeBehind(row, { plan, lagMaxMs: wish.lagMaxMs, follower }, ports);
  const storesBefore = storesNote(await readNotes(ports, plan.meta));
  const { hold, corrections } = wish;
  const promotion = { hold, corrections, storesBefore, stands: null, corrected: 0 };
  const detail = withDetail(row, promotion);
  const changes = { state: "promoting", step: "freezing", detail, rateLimit: null } as const;
  const begun = await ports.runs.update(row, changes, ["running"]);
  if (begun === null) throw new MillraceError("MILL_RUN_STATE", "the run has ended meanwhile");
  return begun;
}

async function setFollowing(row: RunRow, { runs }: PromotePorts): Promise<RunRow> {
  if (row.state === "running" && row.options.follow) return row;
  const options = { ...row.options, follow: true };
  const changes =
    row.state === "done" ? ({ options, state: "running", step: FOLLOWING } as const) : { options };
  const changed = await runs.update(row, changes, [row.state]);
  if (changed === null) throw new MillraceError("MILL_RUN_STATE", "the run has gone on meanwhile");
  return changed;
}

/** By the live part and address. */
export async function liveProgress(
  plan: Plan,
  ports: ProgressPorts,
): Promise<ReadonlyMap<string, bigint>> {
  const progress = await readProgress(plan, ports);
  return new Map(
    progress.flatMap((task) =>
      task.nextOffset === null ? [] : [[standKey(task), task.nextOffset] as const],
    ),
  );
}

interface Behind {
  readonly plan: Plan;
  readonly lagMaxMs: number;
  readonly follower: Follower;
}

const LOOK_MS = 500;

/** Until everything that live had decided at some moment has been decided by the run within the limit. */
async function closeBehind(
  row: RunRow,
  { plan, lagMaxMs, follower }: Behind,
  ports: PromotePorts,
): Promise<void> {
  let ending: string | null = null;
  void follower.ended.then((why) => (ending = why));
  const shadow = shadowOfRun(plan, row);
  const { clock } = ports;
  for (;;) {
    const aim = await liveProgress(plan, ports);
    const startMs = clock.now();
    let behind: number;
    do {
      behind = await offsetsBehind(row, { shadow, aim }, ports);
      if (behind === 0) return;
      const why = ending as string | null;
      if (why !== null)
        throw new MillraceError("MILL_RUN_FAILED", `its workers have ended (${why})`);
      await clock.sleep(LOOK_MS);
    } while (clock.now() - startMs < lagMaxMs);
    ports.say(`the run is ${String(behind)} records behind live`);
  }
}

async function offsetsBehind(
  { range }: RunRow,
  { shadow, aim }: { readonly shadow: Plan; readonly aim: ReadonlyMap<string, bigint> },
  ports: PromotePorts,
): Promise<number> {
  const own = await liveProgress(shadow, ports);
  return range.places.reduce((sum, place) => {
    const key = standKey(place);
    const left = (aim.get(key) ?? 0n) - (own.get(key) ?? 0n);
    return sum + (left > 0n ? Number(left) : 0);
  }, 0);
}
