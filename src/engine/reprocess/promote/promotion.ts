// promote(): the run takes the place of the live pipeline. A state machine whose step is in the run's row before it is
// done; a failure before the tables have changed places gives the live pipeline back as it was, and after a crash the next
// promote goes on. A pipeline has one promotion at a time, by the lock that its caller has.
import { MillraceError } from "../../core/errors.ts";
import type { Plan } from "../../core/plan.ts";
import { readPositions } from "../../core/progress.ts";
import { watermarksOf } from "../../core/read-range.ts";
import { addressOf, taskKey } from "../../core/record.ts";
import { topicsBetweenParts } from "../../operate/gate/drained.ts";
import { sendLetters } from "../../operate/gate/send-letters.ts";
import { close, drain, reopen } from "../barrier/barrier.ts";
import { pointToRun } from "../barrier/pointing.ts";
import { progressOfRun } from "../control/run-progress.ts";
import { shadowOfRun } from "../run/prepare.ts";
import { turnsOf } from "../swap/turns.ts";
import type { RunChanges } from "../words/rows.ts";
import { movedOn, type RunRow } from "../words/run.ts";
import { withDetail, type PromoteStep } from "../words/steps.ts";
import { waitUntil, waitUntilEmpty } from "../words/waiting.ts";
import { emitCorrections } from "./corrections.ts";
import { takeOverLetters } from "./letters.ts";
import { checkOf, type PromotePorts } from "./ports.ts";
import { StepRun, type Promoting, type StepWork } from "./step-run.ts";

/** The row is promoting. Returns it promoted. */
export function promote(row: RunRow, promoting: Promoting, ports: PromotePorts): Promise<RunRow> {
  let rounds = 0;
  const work: StepWork<PromoteStep> = {
    freezing,
    draining: async ({ barrier }) => {
      await drain(barrier);
      return { step: "closing" };
    },
    closing: async (at) => {
      const changes = await closing(at);
      if (changes !== null) return { step: "catching-up", changes };
      if (++rounds < ROUNDS_MAX) return { step: "draining" };
      const detail = "live has something in its own topics again and again";
      throw new MillraceError("MILL_PROMOTE_STUCK", detail);
    },
    "catching-up": catchingUp,
    correcting,
    stopping,
    swapping,
    swapped: pointing,
    opening: async (at) => {
      await reopen(at.barrier, at.detail.hold);
      return null;
    },
  };
  return new StepRun(row, promoting, ports).work(work, "promoted");
}

/** Something may come between two looks; not for ever. */
const ROUNDS_MAX = 10;

type NextStep = ReturnType<StepWork<PromoteStep>[PromoteStep]>;

const shadowOf = ({ plan, row }: StepRun): Plan => shadowOfRun(plan, row);

const wait = (
  { ports: { clock }, barrier: { limitMs } }: StepRun,
  what: string,
  isSo: () => Promise<boolean>,
): Promise<void> => waitUntil(what, isSo, clock, limitMs);

/** The end that was pinned last is one that live has passed. */
async function freezing(at: StepRun): NextStep {
  const { places } = at;
  await wait(at, "the live pipeline to pass the end of the run", async () => {
    const live = await readPositions(at.plan, at.ports);
    return places.every((place) => (live.get(taskKey(place)) ?? -1n) >= place.to);
  });
  return { step: "draining" };
}

/** Null: live has something to do again. */
async function closing({
  row,
  places: read,
  detail,
  barrier,
}: StepRun): Promise<RunChanges | null> {
  const positions = await close(barrier);
  if (positions === null) return null;
  const places = movedOn(read, positions);
  return {
    detail: withDetail(row, { ...detail, positions }),
    range: { ...row.range, places, own: [] },
  };
}

async function catchingUp(at: StepRun): NextStep {
  const { row, ports } = at;
  const check = checkOf(await ports.follow(row));
  ports.say("the run reads to where live has stopped");
  await wait(at, "the run to reach where live has stopped", async () => {
    const { isDone } = await progressOfRun(shadowOf(at), row, ports);
    if (!isDone) check();
    return isDone;
  });
  return { step: at.detail.corrections ? "correcting" : "stopping" };
}

async function correcting(at: StepRun): NextStep {
  const { plan, row, ports, detail } = at;
  const { sent, left } = await emitCorrections({ plan, shadow: shadowOf(at), row }, ports);
  ports.say(`corrections in output topics: ${String(sent)}`);
  if (left > 0)
    ports.say(
      `${String(left)} keys are in output topics alone and were left: the run did not begin at offset 0`,
    );
  const corrected = detail.corrected + sent;
  return { step: "stopping", changes: { detail: withDetail(row, { ...detail, corrected }) } };
}

async function stopping(at: StepRun): NextStep {
  const shadow = shadowOf(at);
  const { limitMs } = at.barrier;
  await waitUntilEmpty("the workers of the run", shadow, { ...at.ports, limitMs });
  // Nobody else sends the letters that they have left: the run is over.
  await sendLetters(shadow, shadow.parts, at.ports);
  return { step: "swapping" };
}

async function swapping(at: StepRun): NextStep {
  const ends = await correctedEnds(at);
  at.ports.say("tables change places");
  await at.swap(turnsOf(at.plan, at.row.run), "swapped", (live) => ({
    nextOffset: ends.get(taskKey(live)) ?? live.nextOffset,
    ledger: null,
  }));
  return { step: "swapped" };
}

async function pointing(at: StepRun): NextStep {
  const { plan, ports, positions } = at;
  const { run } = at.row;
  const succession = { plan, shadow: shadowOf(at), run, places: at.places, positions };
  await pointToRun(succession, positions, await correctedEnds(at), ports);
  const { over, refused } = await takeOverLetters(succession, ports);
  if (over + refused > 0)
    ports.say(`letters: ${String(over)} over, ${String(refused)} that the run refused`);
  return { step: "opening" };
}

/** Corrections in topics of the pipeline's own are not to be read by it. */
async function correctedEnds(at: StepRun): Promise<ReadonlyMap<string, bigint>> {
  if (!at.detail.corrections) return new Map();
  const marks = await watermarksOf(at.ports.admin, topicsBetweenParts(at.plan));
  return new Map(
    at.positions.flatMap((live) => {
      const end = live.isForeign ? undefined : marks.get(addressOf(live))?.high;
      return end === undefined ? [] : [[taskKey(live), end] as const];
    }),
  );
}
