// The words of a run: what it reads, where it writes, how far it is. Data only; rows.ts keeps it in `millrace.runs`.
import { MillraceError } from "../../core/errors.ts";
import { NO_TIME } from "../../core/event-time.ts";
import type { Plan } from "../../core/plan.ts";
import type { TaskProgress } from "../../core/progress.ts";
import { decodeMetadata } from "../../core/task-inputs.ts";
import { taskKey, type TaskAt, type TopicName } from "../../core/record.ts";

/** Tables and topics of the run's own · the live tables, where rows are newer only by the run's values. */
export type RunTarget = "shadow" | "in-place";

/** The step of a run behind the pinned end of its range: records come in the order of their arrival again, as live. */
export const FOLLOWING = "following";
/** The step of a run that follows, and whose end is fixed for a while, for a comparison. The rows say "held". */
export const PAUSED = "held";

const finished = ["done", "failed", "cancelled", "promoted", "undone"] as const;
const unfinished = ["planned", "staging", "running", "promoting"] as const;
export const runStates: readonly RunState[] = [...unfinished, ...finished];
/**
 * planned: written down · staging: topics, tables and starts are being made, copies filled · running: workers read ·
 * promoting, promoted, undone: the run takes the place of the live pipeline, has taken it, has given it back.
 */
export type RunState = (typeof unfinished | typeof finished)[number];

export const isActive = ({ state }: Pick<RunRow, "state">): boolean =>
  !(finished as readonly RunState[]).includes(state);
/** Steps of a promotion until the run is where the live pipeline has stopped. */
const reading: readonly (string | null)[] = ["freezing", "draining", "closing", "catching-up"];
/** Whether workers read. */
export const isWorking = ({ state, step }: Pick<RunRow, "state" | "step">): boolean =>
  state === "running" || (state === "promoting" && reading.includes(step));

/** The range that one part of the run reads of one partition, under the run's own names. */
export interface RangePlace extends TaskAt {
  readonly from: bigint;
  /** The first offset that is not read any more. */
  readonly to: bigint;
  /** The time that the live pipeline has asserted there, since its source was quiet: the run closes what live has closed. */
  readonly assertedMs?: number;
}

type LiveProgress = Pick<TaskProgress, "part" | "topic" | "partition" | "nextOffset" | "metadata">;

/** Places whose ends move on to where the live pipeline is, with the time that it has there; none moves back. */
export function movedOn(
  places: readonly RangePlace[],
  live: readonly LiveProgress[],
): readonly RangePlace[] {
  const progress = new Map(live.map((at) => [taskKey(at), at]));
  return places.map((place) => {
    const at = progress.get(taskKey(place));
    const to = at?.nextOffset ?? -1n;
    if (at === undefined || to < place.to) return place;
    const { assertedMs: before = NO_TIME, ...rest } = place;
    const assertedMs = Math.max(to === place.to ? before : NO_TIME, assertedIn(at));
    return { ...rest, to, ...(Number.isFinite(assertedMs) ? { assertedMs } : {}) };
  });
}

const assertedIn = ({ metadata }: LiveProgress): number =>
  decodeMetadata(metadata ?? "")?.time?.asserted ?? NO_TIME;

export interface RunRange {
  /** The ranges of external topics, and of their copies. */
  readonly places: readonly RangePlace[];
  /** The ends of the run's own topics, once their writers are done. */
  readonly own: readonly RangePlace[];
  /** Ends of the live pipeline's topics, by partition, from before the range was pinned. */
  readonly pins: Readonly<Record<TopicName, readonly bigint[]>>;
  /** The time from which on it reads; left out where it begins with what is there, or at named offsets. */
  readonly fromMs?: number;
}

/** The source of the run's records. */
export type RunSource =
  | { readonly kind: "kafka" }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly topic: TopicName;
      readonly key: string | null;
    }
  | { readonly kind: "dead-letters" };

export type RangeEnd = "close" | "keep";

export interface RunOptions {
  readonly source: RunSource;
  /** Most records a second; null: none. */
  readonly rate: number | null;
  readonly lagLimitMs: number;
  readonly workers: number;
  /** Behind the pinned end it follows the live pipeline. */
  readonly follow: boolean;
  /**
   * At the end of its range time ends, so that every window closes; or windows that are open stay so, for a promotion. Left out
   * by releases that did not know it: they kept them.
   */
  readonly end?: RangeEnd;
  /** Fails above so many dead letters: a count, or a share of the records. */
  readonly lettersMax: { readonly count: number } | { readonly share: number } | null;
  /** External topics that are read from a copy. */
  readonly staged: readonly TopicName[];
}

/** Since when a run has decided nothing, and why. */
export interface Stall {
  readonly sinceMs: number;
  readonly why: string;
}

export interface RunCounts {
  /** Offsets of the range that are decided, of how many. */
  readonly done: number;
  readonly total: number;
  readonly letters: number;
  /** Seconds with workers at work. */
  readonly seconds: number;
  /** Left out by releases that did not know it. */
  readonly stall?: Stall | null;
}

export interface RunRow {
  readonly pipeline: string;
  readonly run: number;
  readonly state: RunState;
  /** The last step that was recorded, before it was done: pinned, topics, tables, staged, starts, range, following, … */
  readonly step: string | null;
  readonly target: RunTarget;
  readonly range: RunRange;
  readonly options: RunOptions;
  /** Records a second that the workers may read now; null: no limit, 0: they wait. */
  readonly rateLimit: number | null;
  readonly counts: RunCounts;
  /** For what comes after a run: its own keys. */
  readonly detail: Readonly<Record<string, unknown>>;
  readonly createdMs: number;
  readonly updatedMs: number;
  readonly finishedMs: number | null;
  readonly error: string | null;
}

/** A run, as far as its end depends on it. */
export interface EndOfRun {
  readonly options: Pick<RunOptions, "end">;
}

/** Whether time ends with the run's range: it is to close what is open, and has something that closes. */
export const endsTime = ({ parts }: Plan, { options }: EndOfRun): boolean =>
  options.end === "close" &&
  parts.some(({ nodes }) => nodes.some(({ facts }) => facts.closes === true));

export const runName = ({ pipeline, run }: Pick<RunRow, "pipeline" | "run">): string =>
  `run ${String(run)} of ${pipeline}`;

export const runStateError = (row: Pick<RunRow, "pipeline" | "run">, why: string): MillraceError =>
  new MillraceError("MILL_RUN_STATE", `${runName(row)} ${why}`);

export const noCounts: RunCounts = { done: 0, total: 0, letters: 0, seconds: 0 };
