// undo(): the live pipeline gets back its tables and stores of before a promotion, and reads on from where it was stopped
// then, as long as the old table is there. The same barrier, the same swap, the other way round, step by step in the row.
import { MillraceError } from "../../core/errors.ts";
import type { Plan } from "../../core/plan.ts";
import { withStores } from "../../core/plan-stores.ts";
import { gateIsShut, readGate } from "../../notes/gate-note.ts";
import { close, drain, ownerOf, reopen } from "../barrier/barrier.ts";
import { pointBack } from "../barrier/pointing.ts";
import { refuse } from "../swap/swap.ts";
import { turnsBack, turnsOf } from "../swap/turns.ts";
import { changeRun } from "../words/rows.ts";
import { runStateError, type RunRow } from "../words/run.ts";
import { detailOf, withDetail, type UndoStep } from "../words/steps.ts";
import { changelogsOf } from "./drop.ts";
import { giveBackLetters } from "./letters.ts";
import type { PromotePorts } from "./ports.ts";
import { StepRun, type Promoting, type StepWork } from "./step-run.ts";

/** Writes down that the undo has begun. Throws what forbids it. */
export async function beginUndo(
  row: RunRow,
  { plan, hold }: { readonly plan: Plan; readonly hold: boolean },
  ports: PromotePorts,
): Promise<RunRow> {
  await checkUndoable(row, plan, ports);
  const detail = detailOf(row);
  if (detail === null) throw notPromoted(row);
  const changes = {
    state: "promoting",
    step: "undo-draining",
    detail: withDetail(row, { ...detail, hold }),
  } as const;
  return changeRun(ports.runs, row, changes, ["promoted"]);
}

const notPromoted = (row: RunRow): MillraceError =>
  runStateError(row, `is ${row.state}, not promoted`);

/** Everything that forbids an undo now. */
export async function checkUndoable(row: RunRow, plan: Plan, ports: PromotePorts): Promise<void> {
  if (row.state !== "promoted") throw notPromoted(row);
  const later = (await ports.runs.list(row.pipeline)).find(
    ({ state, finishedMs }) => state === "promoted" && (finishedMs ?? 0) > (row.finishedMs ?? 0),
  );
  if (later !== undefined) {
    const detail = `run ${String(later.run)} was promoted after run ${String(row.run)}: undo that one first`;
    throw new MillraceError("MILL_RUN_STATE", detail);
  }
  const missing = await missingChangelogs(row, plan, ports);
  const obstacles = await ports.tables.obstacles(turnsBack(turnsOf(plan, row.run)));
  refuse([...obstacles, ...missing.map((topic) => `${topic}, of the old stores, is gone`)]);
  const gate = await readGate(plan, ports);
  // A promotion with --hold can be undone before the pipeline has gone on.
  if (gate !== null && gate.owner !== ownerOf(row)) throw gateIsShut(plan, gate);
}

async function missingChangelogs(
  row: RunRow,
  plan: Plan,
  { admin }: PromotePorts,
): Promise<readonly string[]> {
  const before = withStores(plan, detailOf(row)?.storesBefore ?? null);
  const topics = changelogsOf(before);
  const found = await admin.describeTopics(topics);
  return topics.filter((topic) => (found.get(topic) ?? null) === null);
}

/** The row is promoting, at a step of an undo. Returns it undone. */
export const undo = (row: RunRow, promoting: Promoting, ports: PromotePorts): Promise<RunRow> =>
  new StepRun(row, promoting, ports).work(undoWork, "undone");

const undoWork: StepWork<UndoStep> = {
  "undo-draining": async ({ barrier }) => {
    await drain(barrier);
    return { step: "undo-closing" };
  },
  "undo-closing": async ({ barrier }) => ({
    step: (await close(barrier)) === null ? "undo-draining" : "undo-swapping",
  }),
  /** A table that reads a topic of others has rows up to where it was stopped; one of ours has read on to the end. */
  "undo-swapping": async (at) => {
    const turns = turnsBack(turnsOf(at.plan, at.row.run));
    await at.swap(turns, "undo-swapped", ({ isForeign, nextOffset, ledger }) =>
      isForeign ? { nextOffset, ledger } : { nextOffset: null, ledger: null },
    );
    return { step: "undo-swapped" };
  },
  "undo-swapped": async ({ plan, ports, positions, detail: { storesBefore }, row: { run } }) => {
    await pointBack(plan, storesBefore, positions, ports);
    await giveBackLetters({ plan, run, positions }, ports);
    return { step: "undo-opening" };
  },
  "undo-opening": async ({ barrier, detail }) => {
    await reopen(barrier, detail.hold);
    return null;
  },
};
