// The controller of a run while its workers read: looks every second how far they are, slows them down for the live
// pipeline, moves the end along when the run follows, and ends the run. Its caller has the run's lock, so there is only one.
import { isRetriable, messageOf, MillraceError } from "../../core/errors.ts";
import { withReaders } from "../../core/pieces.ts";
import type { Plan } from "../../core/plan.ts";
import { readProgress } from "../../core/progress.ts";
import { addressOf } from "../../core/record.ts";
import { stoppedTasks } from "../../operate/resume/stopped-tasks.ts";
import { NoteTail, type Notes } from "../../notes/notes.ts";
import type { ReprocessPorts } from "../words/ports.ts";
import type { RunChanges } from "../words/rows.ts";
import {
  FOLLOWING,
  PAUSED,
  isActive,
  movedOn,
  runName,
  type RunRow,
  type Stall,
} from "../words/run.ts";
import { LagWatch } from "./live-lag.ts";
import { RateMeter } from "./rate-meter.ts";
import { isSettled, progressOfRun, type RunProgress } from "./run-progress.ts";
import { StallWatch, whyShut, whyStalled, type Probe } from "./stall.ts";
import { nextRate } from "./throttle.ts";

/** The result of one look at the run, for whoever watches. */
export interface RunReport {
  readonly row: RunRow;
  /** Records a second now; null: not known yet. */
  readonly perSecond: number | null;
  /** The lag of the live pipeline; null: nobody is live. */
  readonly liveLagMs: number | null;
  /** Offsets that a following run is behind the live pipeline. */
  readonly behind: number | null;
  /** The range is read; tables and topics behind it are not at their ends yet. */
  readonly isDraining: boolean;
  /** Null: it goes on. */
  readonly stall: Stall | null;
}

export interface Watching {
  readonly plan: Plan;
  readonly shadow: Plan;
  readonly ports: ReprocessPorts;
  /** Aborts when the caller wants to leave: the run stays as it is. */
  readonly signal: AbortSignal;
  report(report: RunReport): void;
  /** Asks the workers what they wait for; left out where nobody can. */
  readonly probe?: Probe;
  /** A line for people: why a look failed; the next one may not. */
  waiting(why: string): void;
}

const LOOK_MS = 1_000;
const SHARE_RECORDS_MIN = 1_000;

/** Until the run is active no more or the signal aborts; returns the row as it is then. */
export async function watchRun(row: RunRow, watching: Watching): Promise<RunRow> {
  const controller = new Controller(row, watching);
  let now = row;
  while (isActive(now) && !watching.signal.aborted) {
    now = await controller.look().catch((error: unknown) => {
      if (!isRetriable(error)) throw error;
      watching.waiting(messageOf(error));
      return now;
    });
    if (!isActive(now)) break;
    await watching.ports.clock.sleep(LOOK_MS, watching.signal).catch(() => undefined);
  }
  return now;
}

class Controller {
  readonly #watching: Watching;
  readonly #lag: LagWatch;
  readonly #rates: RateMeter;
  readonly #notes: NoteTail;
  readonly #startMs: number;
  readonly #still: StallWatch;
  #row: RunRow;

  constructor(row: RunRow, watching: Watching) {
    const { plan, shadow, ports } = watching;
    this.#watching = watching;
    this.#notes = new NoteTail(ports, shadow.meta);
    this.#startMs = ports.clock.now();
    this.#still = new StallWatch(ports.clock);
    this.#row = row;
    this.#lag = new LagWatch(plan, ports.admin, ports.clock);
    this.#rates = new RateMeter(ports.clock, row.counts.seconds);
  }

  async look(): Promise<RunRow> {
    const { ports, shadow } = this.#watching;
    const found = await ports.runs.find(this.#row.pipeline, this.#row.run);
    if (found === null) throw new MillraceError("MILL_NOT_FOUND", runName(this.#row));
    this.#row = found;
    // Whoever promotes moves the ends and decides what is done; the workers go on.
    if (found.state !== "running") return found;
    const progress = await progressOfRun(shadow, found, ports);
    const perSecond = this.#rates.note(progress.done);
    const notes = await this.#notes.look();
    const failure = this.#stop(notes) ?? whyShut(shadow, notes) ?? this.#tooManyLetters(progress);
    if (failure !== null) return this.#change({ state: "failed", error: failure });
    const liveLagMs = await this.#lag.measure();
    const stall = await this.#stall(progress, this.#behind(progress));
    await this.#advance(progress, { perSecond, liveLagMs, stall });
    const behind = this.#behind(progress);
    const isDraining = progress.done === progress.total && behind === null;
    this.#watching.report({ row: this.#row, perSecond, liveLagMs, behind, isDraining, stall });
    return this.#row;
  }

  /** Null while anything is decided, and where nothing is left to do. */
  async #stall({ progress }: RunProgress, behind: number | null): Promise<Stall | null> {
    // Every part counts: a run that has read its range may still be at work behind it.
    const decided = progress.reduce((sum, { nextOffset }) => sum + Number(nextOffset ?? 0n), 0);
    const sinceMs = this.#still.note(decided);
    if (sinceMs === null || behind === 0) return null;
    return { sinceMs, why: await this.#why() };
  }

  #behind({ total, done }: RunProgress): number | null {
    return this.#row.step === FOLLOWING ? total - done : null;
  }

  #why(): Promise<string> {
    const { ports, shadow, probe = () => Promise.resolve(null) } = this.#watching;
    return whyStalled(this.#row, shadow, ports, probe);
  }

  async #change(changes: RunChanges): Promise<RunRow> {
    // A run that was cancelled or promoted meanwhile stays so.
    const changed = await this.#watching.ports.runs.update(this.#row, changes, ["running"]);
    this.#row = changed ?? this.#row;
    return this.#row;
  }

  async #advance(
    progress: RunProgress,
    { perSecond, liveLagMs, stall }: Pick<RunReport, "perSecond" | "liveLagMs" | "stall">,
  ): Promise<void> {
    const { options, range, rateLimit } = this.#row;
    const { done, total, letters } = progress;
    const counts = { done, total, letters, seconds: this.#rates.seconds, stall };
    const { lagLimitMs, rate: max } = options;
    const facts = { lagMs: liveLagMs, lagLimitMs, measured: perSecond ?? 0, max };
    const rate = nextRate({ ...facts, current: rateLimit });
    const changes = { counts, rateLimit: rate };
    if (this.#row.step === PAUSED) return void (await this.#change(this.#release(changes)));
    if (progress.isDone && !options.follow) await this.#end(changes);
    else if (progress.isDone && this.#row.step !== FOLLOWING)
      await this.#change({ ...changes, step: FOLLOWING, range: { ...range, own: [] } });
    else if (this.#row.step === FOLLOWING) await this.#follow(changes);
    else await this.#change({ ...changes, range: { ...range, own: progress.own } });
  }

  /** The next look is in a second while keys are queued. */
  async #end(changes: RunChanges): Promise<void> {
    const { shadow, ports } = this.#watching;
    const isDone = await isSettled(shadow, this.#row, ports);
    await this.#change(isDone ? { ...changes, state: "done" } : changes);
  }

  /** Whoever compares may have died at it. */
  #release(changes: RunChanges): RunChanges {
    const { untilMs = 0 } = (this.#row.detail["held"] ?? {}) as { untilMs?: number };
    return this.#watching.ports.clock.now() < untilMs ? changes : { ...changes, step: FOLLOWING };
  }

  /** Never beyond what the live pipeline has decided, and never back. */
  async #follow(changes: RunChanges): Promise<void> {
    const { range } = this.#row;
    const { plan, ports } = this.#watching;
    const live = await readProgress(plan, ports);
    const places = movedOn(withReaders(plan, range.places), live);
    await this.#change({ ...changes, range: { ...range, places } });
  }

  /** The stop that keeps a task of the run from going on, as text; null: none. */
  #stop(notes: Notes): string | null {
    const { shadow } = this.#watching;
    const all = stoppedTasks(shadow, notes, { part: null, topic: null, partition: null });
    // A stop that an earlier controller saw does not count: its task was started again since.
    const stop = all.find(({ atMs }) => atMs >= this.#startMs);
    if (stop === undefined) return null;
    return `${stop.part} has stopped at ${addressOf(stop)}: ${stop.code} ${stop.message}`;
  }

  #tooManyLetters({ letters, done, total }: RunProgress): string | null {
    const { lettersMax } = this.#row.options;
    if (lettersMax === null) return null;
    // A letter among the first ten records says nothing yet.
    const records = Math.max(done, Math.min(total, SHARE_RECORDS_MIN));
    const most = "count" in lettersMax ? lettersMax.count : lettersMax.share * records;
    if (letters <= most) return null;
    const { shadow, plan } = this.#watching;
    const command = `npx millrace reprocess run ${plan.pipeline} --run ${String(this.#row.run)} --fail-on-letters 100%`;
    return `${String(letters)} dead letters in ${shadow.deadLetters}, allowed are ${String(Math.floor(most))}. To go on whatever letters come: ${command}`;
  }
}
