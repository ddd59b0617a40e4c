// Ties a worker to its run: looks at the row once a second, hands bounds and rate on, and ends the worker when the run is
// at work no more. A database that is away leaves everything as it is.
import { isRetriable, MillraceError } from "../../core/errors.ts";
import type { Plan } from "../../core/plan.ts";
import type { Clock } from "../../core/ports.ts";
import type { Attach } from "../../runtime/live.ts";
import { RunBounds, RunPace } from "./bounds.ts";
import { Runs } from "../words/rows.ts";
import { isWorking, type RunRow } from "../words/run.ts";

const LOOK_MS = 1_000;

/** The plan is the run's own. */
export const attachTo =
  (plan: Plan, row: RunRow): Attach =>
  ({ pool, clock }) => {
    const runs = new Runs(pool, clock);
    const bounds = new RunBounds(plan, row);
    const pace = new RunPace(clock);
    const set = (now: RunRow): void => {
      bounds.set(now);
      pace.set(shareOf(now));
    };
    set(row);
    const look = (): Promise<RunRow | null> => runs.find(row.pipeline, row.run);
    return Promise.resolve({
      ports: { bounds, pace },
      watch(worker) {
        const life = new AbortController();
        const over = (): void => life.abort(new Error("the worker has ended"));
        worker.ended.then(over, over);
        // A run that cannot be read is nobody's: whatever ends the look ends the worker.
        const end = (): Promise<void> => worker.stop();
        // `ended` reports what goes wrong there.
        follow(look, set, clock, life.signal)
          .then(end, end)
          .catch(() => undefined);
      },
    });
  };

const shareOf = ({ rateLimit, options }: RunRow): number | null =>
  rateLimit === null ? null : rateLimit / options.workers;

/** Resolves when the run is at work no more. */
async function follow(
  look: () => Promise<RunRow | null>,
  set: (row: RunRow) => void,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await clock.sleep(LOOK_MS, signal);
    const row = await look().catch((error: unknown) => {
      if (isRetriable(error)) return "away" as const;
      throw error instanceof MillraceError ? error : new Error("the run cannot be read");
    });
    if (row === "away") continue;
    if (row === null || !isWorking(row)) return;
    set(row);
  }
}
