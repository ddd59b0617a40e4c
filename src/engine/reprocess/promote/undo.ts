// undo(): the live pipeline gets back its tables and stores of before a promotion, and reads on from where it was stopped
// then, as long as the old table is there. The same barrier, the same swap, the other way round, step by step in the row.
import { messageOf, MillraceError } from "../../core/errors.ts";
import type { Plan } from "../../core/plan.ts";
import { withStores } from "../../core/plan-stores.ts";
import { heldBy, readGate } from "../../notes/gate-note.ts";
import { readAgain } from "../../letters/commands/read-again.ts";
import type { RunChanges } from "../words/rows.ts";
import type { RunRow } from "../words/run.ts";
import { close, drain, ownerOf, reopen, type Barrier } from "../barrier/barrier.ts";
import { giveBack } from "./giving-up.ts";
import { giveBackLetters } from "./letters.ts";
import { pointBack } from "../barrier/pointing.ts";
import type { PromotePorts } from "./ports.ts";
import type { Promoting } from "./promotion.ts";
import {
  canBeGivenUp,
  detailOf,
  isUndoStep,
  withDetail,
  type PromoteDetail,
  type Stand,
  type UndoStep,
} from "../words/steps.ts";
import { turnsBack, turnsOf, type ProgressMove } from "../swap/turns.ts";

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
  const begun = await ports.runs.update(row, changes, ["promoted"]);
  if (begun === null) throw notPromoted(row);
  return begun;
}

const notPromoted = ({ run, pipeline, state }: RunRow): MillraceError =>
  new MillraceError(
    "MILL_RUN_STATE",
    `run ${String(run)} of ${pipeline} is ${state}, not promoted`,
  );

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
  const all = [...obstacles, ...missing.map((topic) => `${topic}, of the old stores, is gone`)];
  if (all.length > 0) throw new MillraceError("MILL_SWAP_REFUSED", all.join("; "));
  const gate = await readGate(plan, ports);
  // A promotion that holds is undone before anybody has gone on.
  if (gate !== null && gate.owner !== ownerOf(row)) throw heldBy(plan, gate);
}

async function missingChangelogs(
  row: RunRow,
  plan: Plan,
  { admin }: PromotePorts,
): Promise<readonly string[]> {
  const before = withStores(plan, detailOf(row)?.storesBefore ?? null);
  const topics = before.parts.flatMap(({ stores }) =>
    stores.map(({ changelog }) => changelog.name),
  );
  const found = await admin.describeTopics(topics);
  return topics.filter((topic) => (found.get(topic) ?? null) === null);
}

/** The row is promoting, at a step of an undo. Returns it undone. */
export async function undo(
  row: RunRow,
  promoting: Promoting,
  ports: PromotePorts,
): Promise<RunRow> {
  const undoing = new Undoing(row, promoting, ports);
  try {
    return await undoing.run();
  } catch (error) {
    if (canBeGivenUp(undoing.row.step))
      await giveBack(undoing.row, promoting, ports).catch((again: unknown) =>
        ports.say(`live is not given back yet: ${messageOf(again)}`),
      );
    throw error;
  }
}

class Undoing {
  row: RunRow;
  readonly #plan: Plan;
  readonly #ports: PromotePorts;
  readonly #barrier: Barrier;

  constructor(row: RunRow, { plan, limitMs }: Promoting, ports: PromotePorts) {
    this.row = row;
    this.#plan = plan;
    this.#ports = ports;
    this.#barrier = { plan, row, ports, limitMs, why: "promote" };
  }

  async run(): Promise<RunRow> {
    for (;;) {
      const { step } = this.row;
      if (!isUndoStep(step)) throw notPromoted(this.row);
      const next = await this.#work[step]();
      if (next === null) break;
      await this.#record({ step: next });
    }
    await this.#record({ state: "undone", step: "undone" });
    return this.row;
  }

  readonly #work: Readonly<Record<UndoStep, () => Promise<UndoStep | null>>> = {
    "undo-draining": async () => {
      await drain(this.#barrier);
      return "undo-closing";
    },
    "undo-closing": async () =>
      (await close(this.#barrier)) === null ? "undo-draining" : "undo-swapping",
    "undo-swapping": () => this.#swap(),
    "undo-swapped": async () => {
      const { storesBefore, stands } = this.#detail;
      await pointBack({ plan: this.#plan, storesBefore }, stands ?? [], this.#ports);
      await this.#letters(stands ?? []);
      return "undo-opening";
    },
    "undo-opening": async () => {
      await reopen(this.#barrier, this.#detail.hold);
      return null;
    },
  };

  /** What has failed since is read again, and fails again or not. */
  async #letters(stands: readonly Stand[]): Promise<void> {
    const { run } = this.row;
    const stretches = stands.map(({ nextOffset: from, ...at }) => ({ ...at, from }));
    const reason = `undo of run ${String(run)}: its record is read again`;
    const marks = await this.#ports.admin.watermarks(this.#plan.deadLetters);
    await readAgain(this.#plan, { stretches, skips: [], reason, marks }, this.#ports);
    await giveBackLetters(this.#plan, run, this.#ports);
  }

  get #detail(): PromoteDetail {
    const detail = detailOf(this.row);
    if (detail === null) throw notPromoted(this.row);
    return detail;
  }

  /** A table that reads a topic of others has rows up to where it was stopped; one of ours has read on to the end. */
  async #swap(): Promise<UndoStep> {
    const moves = (this.#detail.stands ?? [])
      .filter(({ ledger }) => ledger !== null)
      .map(({ part, topic, partition, ...stand }): ProgressMove => {
        const task = { pipeline: this.#plan.pipeline, part, topic, partition };
        if (!stand.isForeign) return { task, nextOffset: null, ledger: null };
        return { task, nextOffset: stand.nextOffset, ledger: stand.ledger };
      });
    const turns = turnsBack(turnsOf(this.#plan, this.row.run));
    const { row } = this;
    const names = { from: "undo-swapping", to: "undo-swapped" };
    await this.#ports.tables.swap({ row, turns, moves, ...names });
    this.row = (await this.#ports.runs.find(row.pipeline, row.run)) ?? row;
    return "undo-swapped";
  }

  async #record(changes: RunChanges): Promise<void> {
    const changed = await this.#ports.runs.update(this.row, changes, ["promoting"]);
    if (changed === null) throw notPromoted(this.row);
    this.row = changed;
  }
}
