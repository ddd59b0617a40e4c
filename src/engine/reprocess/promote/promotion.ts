// promote(): the run takes the place of the live pipeline. A state machine whose step is in the run's row before it is
// done; what fails before the tables have changed places gives the live pipeline back as it was, what dies is gone on with
// by the next promote. One at a time for a pipeline, by the lock that its caller holds.
import { messageOf, MillraceError } from "../../core/errors.ts";
import type { Plan } from "../../core/plan.ts";
import { addressOf } from "../../core/record.ts";
import { ownTopics, isEmpty } from "../../operate/gate/drained.ts";
import { sendOwed } from "../../operate/gate/owed.ts";
import { standingOf } from "../control/standing.ts";
import { shadowOfRun } from "../run/prepare.ts";
import type { RunChanges } from "../words/rows.ts";
import type { RunRow } from "../words/run.ts";
import { close, drain, reopen, type Barrier } from "../barrier/barrier.ts";
import { emitCorrections } from "./corrections.ts";
import { giveBack } from "./giving-up.ts";
import { takeOverLetters } from "./letters.ts";
import { pointToRun } from "../barrier/pointing.ts";
import type { PromotePorts } from "./ports.ts";
import { liveProgress } from "./readiness.ts";
import { standKey } from "../barrier/stands.ts";
import {
  canBeGivenUp,
  detailOf,
  isPromoteStep,
  withDetail,
  type PromoteDetail,
  type PromoteStep,
  type Stand,
} from "../words/steps.ts";
import { turnsOf, type ProgressMove } from "../swap/turns.ts";
import { ifSo, waitFor } from "../words/waiting.ts";

export interface Promoting {
  /** As declared. */
  readonly plan: Plan;
  /** How long live, the run's workers or readers of the tables may hold a step up. */
  readonly limitMs: number;
}

/** The row is promoting. Returns it promoted. */
export async function promote(
  row: RunRow,
  promoting: Promoting,
  ports: PromotePorts,
): Promise<RunRow> {
  const promotion = new Promotion(row, promoting, ports);
  try {
    return await promotion.run();
  } catch (error) {
    const { step } = promotion.row;
    if (!canBeGivenUp(step)) throw error;
    ports.say(`given up at ${String(step)}: ${messageOf(error)}`);
    await giveBack(promotion.row, promoting, ports).catch((again: unknown) =>
      ports.say(`live is not given back yet: ${messageOf(again)}`),
    );
    throw error;
  }
}

/** The next step with what changes beside it; null: all is done. */
type Next = { readonly step: PromoteStep; readonly changes?: RunChanges } | null;

/** Something may come between two looks; not for ever. */
const ROUNDS_MAX = 10;

class Promotion {
  row: RunRow;
  readonly #plan: Plan;
  readonly #shadow: Plan;
  readonly #ports: PromotePorts;
  readonly #barrier: Barrier;
  #rounds = 0;

  constructor(row: RunRow, { plan, limitMs }: Promoting, ports: PromotePorts) {
    this.row = row;
    this.#plan = plan;
    this.#shadow = shadowOfRun(plan, row);
    this.#ports = ports;
    this.#barrier = { plan, row, ports, limitMs, why: "promote" };
  }

  async run(): Promise<RunRow> {
    for (;;) {
      const { step } = this.row;
      if (!isPromoteStep(step)) throw this.#gone();
      const next = await this.#work[step]();
      if (next === null) break;
      await this.#record({ ...next.changes, step: next.step });
    }
    await this.#record({ state: "promoted", step: "promoted", error: null });
    return this.row;
  }

  readonly #work: Readonly<Record<PromoteStep, () => Promise<Next>>> = {
    freezing: () => this.#freeze(),
    draining: async () => {
      await drain(this.#barrier);
      return { step: "closing" };
    },
    closing: () => this.#close(),
    "catching-up": () => this.#catchUp(),
    correcting: () => this.#correct(),
    stopping: () => this.#stop(),
    swapping: () => this.#swap(),
    swapped: () => this.#point(),
    opening: async () => {
      await reopen(this.#barrier, this.#detail.hold);
      return null;
    },
  };

  get #detail(): PromoteDetail {
    const detail = detailOf(this.row);
    if (detail === null) throw this.#gone();
    return detail;
  }

  get #stands(): readonly Stand[] {
    return this.#detail.stands ?? [];
  }

  /** The end that was pinned last is one that live has passed. */
  async #freeze(): Promise<Next> {
    const { places } = this.row.range;
    const look = async (): Promise<true | null> => {
      const live = await liveProgress(this.#plan, this.#ports);
      return ifSo(places.every((place) => (live.get(standKey(place)) ?? -1n) >= place.to));
    };
    await this.#wait("the live pipeline to pass the end of the run", look);
    return { step: "draining" };
  }

  async #close(): Promise<Next> {
    const stands = await close(this.#barrier);
    if (stands === null) {
      if (++this.#rounds < ROUNDS_MAX) return { step: "draining" };
      throw new MillraceError(
        "MILL_PROMOTE_STUCK",
        "live has something in its own topics again and again",
      );
    }
    const at = new Map(stands.map((stand) => [standKey(stand), stand.nextOffset]));
    const places = this.row.range.places.map((place) => ({
      ...place,
      to: at.get(standKey(place)) ?? place.to,
    }));
    const detail = withDetail(this.row, { ...this.#detail, stands });
    const range = { ...this.row.range, places, own: [] };
    return { step: "catching-up", changes: { detail, range } };
  }

  async #catchUp(): Promise<Next> {
    const follower = await this.#ports.follow(this.row);
    let ending: string | null = null;
    void follower.ended.then((why) => (ending = why));
    this.#ports.say("the run reads to where live stands");
    const look = async (): Promise<true | null> => {
      const { isDone } = await standingOf(this.#shadow, this.row.range, this.#ports);
      return ifSo(isDone);
    };
    await this.#wait("the run to reach where live stands", look, () => {
      const why = ending as string | null;
      if (why !== null)
        throw new MillraceError("MILL_RUN_FAILED", `its workers have ended (${why})`);
    });
    return { step: this.#detail.corrections ? "correcting" : "stopping" };
  }

  async #correct(): Promise<Next> {
    const at = { plan: this.#plan, shadow: this.#shadow, row: this.row };
    const { sent, left } = await emitCorrections(at, this.#ports);
    this.#ports.say(`corrections in output topics: ${String(sent)}`);
    if (left > 0)
      this.#ports.say(
        `${String(left)} keys are in output topics alone and were left: the run did not begin at offset 0`,
      );
    const corrected = this.#detail.corrected + sent;
    return {
      step: "stopping",
      changes: { detail: withDetail(this.row, { ...this.#detail, corrected }) },
    };
  }

  async #stop(): Promise<Next> {
    const look = async (): Promise<true | null> => ifSo(await isEmpty(this.#shadow, this.#ports));
    await this.#wait("the workers of the run to leave their groups", look);
    // Nobody else sends what they have left: the run is over.
    await sendOwed(this.#shadow, this.#shadow.parts, this.#ports);
    return { step: "swapping" };
  }

  /** Decides. */
  async #swap(): Promise<Next> {
    const ends = await this.#ends();
    const moves = this.#stands
      .filter(({ ledger }) => ledger !== null)
      .map((stand): ProgressMove => {
        const { part, topic, partition } = stand;
        const task = { pipeline: this.#plan.pipeline, part, topic, partition };
        return { task, nextOffset: ends.get(standKey(stand)) ?? stand.nextOffset, ledger: null };
      });
    const turns = turnsOf(this.#plan, this.row.run);
    this.#ports.say("tables change places");
    const { row } = this;
    await this.#ports.tables.swap({ row, turns, moves, from: "swapping", to: "swapped" });
    this.row = (await this.#ports.runs.find(row.pipeline, row.run)) ?? row;
    return { step: "swapped" };
  }

  async #point(): Promise<Next> {
    const { run } = this.row;
    const { places } = this.row.range;
    const at = { plan: this.#plan, shadow: this.#shadow, run, places };
    await pointToRun(at, { stands: this.#stands, ends: await this.#ends() }, this.#ports);
    const { over, refused } = await takeOverLetters(at, this.#ports);
    if (over + refused > 0)
      this.#ports.say(`letters: ${String(over)} over, ${String(refused)} that the run refused`);
    return { step: "opening" };
  }

  /** Corrections in topics of the pipeline's own are not to be read by it. */
  async #ends(): Promise<ReadonlyMap<string, bigint>> {
    if (!this.#detail.corrections) return new Map();
    const own = ownTopics(this.#plan);
    const marks = await Promise.all([...own].map((topic) => this.#ports.admin.watermarks(topic)));
    const high = new Map(marks.flat().map((mark) => [addressOf(mark), mark.high]));
    return new Map(
      this.#stands.flatMap((stand) => {
        const end = stand.isForeign ? undefined : high.get(addressOf(stand));
        return end === undefined ? [] : [[standKey(stand), end] as const];
      }),
    );
  }

  #wait(what: string, look: () => Promise<true | null>, check?: () => void): Promise<true> {
    const { clock } = this.#ports;
    const { limitMs } = this.#barrier;
    return waitFor(what, look, { clock, limitMs, ...(check === undefined ? {} : { check }) });
  }

  async #record(changes: RunChanges): Promise<void> {
    const changed = await this.#ports.runs.update(this.row, changes, ["promoting"]);
    if (changed === null) throw this.#gone();
    this.row = changed;
  }

  #gone(): MillraceError {
    const { run, pipeline } = this.row;
    return new MillraceError(
      "MILL_RUN_STATE",
      `run ${String(run)} of ${pipeline} has gone on meanwhile`,
    );
  }
}
