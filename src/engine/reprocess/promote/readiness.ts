// The checks before a promotion: nothing forbids it, and the run is close behind live. Changes nothing in the
// live pipeline; a run that was done follows live from now on.
import { MillraceError } from "../../core/errors.ts";
import { withReaders } from "../../core/pieces.ts";
import type { Plan } from "../../core/plan.ts";
import { readPositions } from "../../core/progress.ts";
import { taskKey } from "../../core/record.ts";
import { gateIsShut, readGate, storesNote } from "../../notes/gate-note.ts";
import { readNotes } from "../../notes/notes.ts";
import { shadowOfRun } from "../run/prepare.ts";
import { changeRun } from "../words/rows.ts";
import { endsTime, FOLLOWING, runStateError, type RunRow } from "../words/run.ts";
import { checkOf, type PromotePorts } from "./ports.ts";
import { livePositions } from "../barrier/barrier.ts";
import { withDetail, type PromoteDetail } from "../words/steps.ts";
import { refuse } from "../swap/swap.ts";
import { turnsOf } from "../swap/turns.ts";

export interface PromoteWish extends Pick<PromoteDetail, "hold" | "corrections"> {
  /** The longest time that the run may be behind live. */
  readonly lagMaxMs: number;
}

/** Everything that forbids the promotion now. */
export async function checkPromotable(row: RunRow, plan: Plan, ports: PromotePorts): Promise<void> {
  const unfit = unfitness(row, plan);
  if (unfit !== null) throw runStateError(row, unfit);
  refuse(await ports.tables.obstacles(turnsOf(plan, row.run)));
  const gate = await readGate(plan, ports);
  if (gate !== null) throw gateIsShut(plan, gate);
  if ((await livePositions(plan, ports)).includes(null)) {
    const detail = `${plan.pipeline} has tasks that have never run: there is no place to take over`;
    throw new MillraceError("MILL_RUN_STATE", detail);
  }
}

const KEEP =
  "live would close them again. Begin a run with --end keep, or with --follow, which leaves them open";

function unfitness(row: RunRow, plan: Plan): string | null {
  const { state, target, options } = row;
  if (target !== "shadow") return "has written in place: there is nothing to promote";
  if (options.staged.length > 0) return "has read copies, which end: it cannot go on behind live";
  if (endsTime(plan, row)) return "has closed every window at the end of its range: " + KEEP;
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
  await closeBehind(row, { plan, lagMaxMs: wish.lagMaxMs }, ports);
  const storesBefore = storesNote(plan, await readNotes(ports, plan.meta));
  const { hold, corrections } = wish;
  const promotion = { hold, corrections, storesBefore, positions: null, corrected: 0 };
  const detail = withDetail(row, promotion);
  const changes = { state: "promoting", step: "freezing", detail, rateLimit: null } as const;
  return changeRun(ports.runs, row, changes, ["running"]);
}

async function setFollowing(row: RunRow, { runs }: PromotePorts): Promise<RunRow> {
  if (row.state === "running" && row.options.follow) return row;
  const options = { ...row.options, follow: true };
  const changes =
    row.state === "done" ? ({ options, state: "running", step: FOLLOWING } as const) : { options };
  return changeRun(runs, row, changes, [row.state]);
}

const LOOK_MS = 500;

/** Until everything that live had decided at some moment has been decided by the run within the limit. */
async function closeBehind(
  row: RunRow,
  { plan, lagMaxMs }: { readonly plan: Plan; readonly lagMaxMs: number },
  ports: PromotePorts,
): Promise<void> {
  const check = checkOf(await ports.follow(row));
  const shadow = shadowOfRun(plan, row);
  const { clock } = ports;
  for (;;) {
    const aim = await readPositions(plan, ports);
    const startMs = clock.monotonic();
    let behind: number;
    do {
      const places = withReaders(shadow, row.range.places);
      behind = offsetsBehind(places, aim, await readPositions(shadow, ports));
      if (behind === 0) return;
      check();
      await clock.sleep(LOOK_MS);
    } while (clock.monotonic() - startMs < lagMaxMs);
    ports.say(`the run is ${String(behind)} records behind live`);
  }
}

type TaskPositions = ReadonlyMap<string, bigint>;

const offsetsBehind = (
  places: RunRow["range"]["places"],
  aim: TaskPositions,
  own: TaskPositions,
): number =>
  places.reduce((sum, place) => {
    const key = taskKey(place);
    const left = (aim.get(key) ?? 0n) - (own.get(key) ?? 0n);
    return sum + (left > 0n ? Number(left) : 0);
  }, 0);
