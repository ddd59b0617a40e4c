// The session of a controller with a run: takes the pipeline's lock, begins or goes on, has everything made, starts the
// workers, watches, and says how it ended. Dying anywhere in it leaves a run that the next session goes on with.
import { once } from "node:events";
import type { HeldLock } from "../../clients/postgres/pool.ts";
import { ConfigErrors, isRetriable, MillraceError } from "../../core/errors.ts";
import type { Plan } from "../../core/plan.ts";
import { watchRun, type RunReport } from "../control/controller.ts";
import type { ReprocessPorts } from "../words/ports.ts";
import { prepare, shadowOfRun, textOf, type Fill } from "./prepare.ts";
import type { Probe } from "../control/stall.ts";
import { readGate } from "../../notes/gate-note.ts";
import { openGate } from "../../operate/gate/gate.ts";
import { isActive, type RunRow } from "../words/run.ts";

export interface RunSession {
  readonly plan: Plan;
  readonly ports: ReprocessPorts;
  /** The run to work on, under the lock: a new one, or one to go on with. */
  begin(): Promise<RunRow>;
  fill(row: RunRow): Fill | null;
  /** Workers of the run, until they have ended; they end by themselves when the run is over. Returns their exit code. */
  work(row: RunRow, shadow: Plan, probed: Probed): Promise<number>;
  report(report: RunReport): void;
  say(line: string): void;
}

/** Takes how the workers are asked what they wait for. */
export type Probed = (probe: Probe) => void;

/** interrupted: the workers were asked to stop, and the run can be gone on with. */
export interface SessionEnd {
  readonly row: RunRow;
  readonly isInterrupted: boolean;
}

const lockName = ({ namespace, pipeline }: Plan): string => `millrace run ${namespace}${pipeline}`;

/** Throws MILL_RUN_ACTIVE while another controller is at work on the pipeline. */
export async function runSession(session: RunSession): Promise<SessionEnd> {
  const { plan, ports } = session;
  const lock = new KeptLock(await takeLock(plan, ports), plan, ports);
  try {
    const begun = await session.begin();
    const row = await prepared(begun, session);
    if (!isActive(row)) return { row, isInterrupted: false };
    return await worked(row, session, lock.lost);
  } finally {
    await lock.release();
  }
}

async function takeLock(plan: Plan, { pool, runs }: ReprocessPorts): Promise<HeldLock> {
  const lock = await pool.lock(lockName(plan));
  if (lock !== null) return lock;
  const active = await runs.active(plan.pipeline);
  const which = active === null ? "a run that is just beginning" : `run ${String(active.run)}`;
  const detail = `${which} of ${plan.pipeline} is at work in another process`;
  throw new MillraceError("MILL_RUN_ACTIVE", detail);
}

async function prepared(row: RunRow, session: RunSession): Promise<RunRow> {
  const { plan, ports } = session;
  if (row.state === "running" || row.state === "promoting") return row;
  try {
    return await prepare(plan, row, { ports, fill: session.fill(row) });
  } catch (error) {
    // A server that was away may be back when the run is resumed; any other error fails the run.
    const isWrong = error instanceof ConfigErrors || !isRetriable(error);
    if (isWrong)
      await ports.runs.update(row, { state: "failed", error: textOf(error) }, ["staging"]);
    throw error;
  }
}

async function worked(row: RunRow, session: RunSession, lost: AbortSignal): Promise<SessionEnd> {
  const { plan, ports, report } = session;
  const shadow = shadowOfRun(plan, row);
  const life = new AbortController();
  const leave = (): void => life.abort(new Error("the controller leaves the run"));
  lost.addEventListener("abort", leave, { once: true });
  let code: number | null = null;
  let ask: Probe | null = null;
  const probed = (given: Probe): void => void (ask = given);
  const probe: Probe = () => ask?.() ?? Promise.resolve(null);
  await opened(shadow, session);
  const workers = session.work(row, shadow, probed).then(
    (exit) => void (code = exit),
    (error: unknown) => {
      code = 1;
      session.say(textOf(error));
    },
  );
  // They are not to end before the run is over: whoever looks then sees it.
  void workers.finally(leave);
  const watching = {
    plan,
    shadow,
    ports,
    signal: life.signal,
    report,
    probe,
    waiting: session.say,
  };
  let end = await watchRun(row, watching);
  if (lost.aborted)
    throw new MillraceError("MILL_RUN_ACTIVE", "the lock was lost to another process");
  await workers;
  end = (await ports.runs.find(end.pipeline, end.run)) ?? end;
  if (end.state !== "running") return { row: end, isInterrupted: false };
  if (code === 0) return { row: end, isInterrupted: true };
  const error = `the workers have ended: exit ${String(code)}`;
  const failed = await ports.runs.update(end, { state: "failed", error }, ["running"]);
  return { row: failed ?? end, isInterrupted: false };
}

/** A run of 0.1.0 that too many letters have halted goes on: runs count their letters, and are not halted any more. */
async function opened(shadow: Plan, { ports, say }: RunSession): Promise<void> {
  const gate = await readGate(shadow, ports);
  if (gate?.by !== "breaker") return;
  await openGate(shadow, gate.owner, { ports });
  say(`the run was halted by its letters, and goes on: ${gate.message}`);
}

const AGAIN_MS = 1_000;

/** A lock that is taken again when its connection breaks, unless somebody else was faster. */
class KeptLock {
  readonly #lost = new AbortController();
  readonly #life = new AbortController();
  #lock: HeldLock;

  constructor(lock: HeldLock, plan: Plan, ports: ReprocessPorts) {
    this.#lock = lock;
    this.#keep(plan, ports).catch(() => this.#lost.abort(new Error("the lock was lost")));
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async release(): Promise<void> {
    this.#life.abort(new Error("the lock was released"));
    await this.#lock.release();
  }

  async #keep(plan: Plan, { pool, clock }: ReprocessPorts): Promise<void> {
    const { signal } = this.#life;
    while (!signal.aborted) {
      const either = AbortSignal.any([this.#lock.lost, signal]);
      if (!either.aborted) await once(either, "abort");
      if (signal.aborted) return;
      const lock = await pool.lock(lockName(plan)).catch((error: unknown) => {
        if (!isRetriable(error)) throw error;
        return "away" as const;
      });
      if (lock === null) throw new Error("somebody else has it");
      if (lock !== "away") this.#lock = lock;
      else await clock.sleep(AGAIN_MS, signal).catch(() => undefined);
    }
  }
}
