// The words of a promotion. Its step is in the run's row before it is done, so whoever comes after a crash begins with
// that step again, or gives the live pipeline back: each step may be done twice. Data only.
import type { LedgerCounts } from "../../core/ledger.ts";
import type { TaskAt } from "../../core/record.ts";
import type { RunRow } from "./run.ts";

/**
 * freezing: the run's end moves no more · draining: live takes nothing new · closing: live leaves its groups, and its
 * positions are written down · catching-up: the run reads to exactly there · correcting: keys that differ go to output topics ·
 * stopping: the run's workers leave · swapping: tables change places · swapped: stores and progress follow · opening: live
 * goes on. The first six can be given up; what is swapped goes forward.
 */
export const promoteSteps = [
  "freezing",
  "draining",
  "closing",
  "catching-up",
  "correcting",
  "stopping",
  "swapping",
  "swapped",
  "opening",
] as const;
export type PromoteStep = (typeof promoteSteps)[number];

/** The way back: the same barrier, the same swap, the other way round. */
export const undoSteps = [
  "undo-draining",
  "undo-closing",
  "undo-swapping",
  "undo-swapped",
  "undo-opening",
] as const;
export type UndoStep = (typeof undoSteps)[number];

/** The position of one task of the live pipeline when it was stopped. */
export interface LivePosition extends TaskAt {
  readonly nextOffset: bigint;
  /** It reads a topic that the pipeline does not write. */
  readonly isForeign: boolean;
  /** The metadata of a stream task, as committed beside the offset: owner, ledger and time. */
  readonly metadata: string | null;
  /** The ledger of a table task. */
  readonly ledger: LedgerCounts | null;
}

/** The details of a promotion in the run's row. */
export interface PromoteDetail {
  /** The gate stays closed at the end, until `millrace resume`. */
  readonly hold: boolean;
  readonly corrections: boolean;
  /** The run whose stores the live pipeline used before; null: its own. */
  readonly storesBefore: number | null;
  /** Null until live is stopped. */
  readonly positions: readonly LivePosition[] | null;
  /** Records that were appended to output topics. */
  readonly corrected: number;
}

/** The row calls positions `stands`, and their offsets are text. */
type StoredDetail = Omit<PromoteDetail, "positions"> & {
  readonly stands:
    readonly (Omit<LivePosition, "nextOffset"> & { readonly nextOffset: string })[] | null;
};

export function detailOf({ detail }: Pick<RunRow, "detail">): PromoteDetail | null {
  const stored = detail["promote"] as StoredDetail | undefined;
  if (stored === undefined) return null;
  const { stands: texts, ...known } = stored;
  const positions = texts?.map((at) => ({ ...at, nextOffset: BigInt(at.nextOffset) })) ?? null;
  return { ...known, positions };
}

/** The row's detail with this promotion in it. */
export function withDetail(
  { detail }: Pick<RunRow, "detail">,
  { positions, ...promote }: PromoteDetail,
): RunRow["detail"] {
  const texts = positions?.map((at) => ({ ...at, nextOffset: String(at.nextOffset) })) ?? null;
  return { ...detail, promote: { ...promote, stands: texts } };
}

const has = (steps: readonly string[], step: string | null): boolean =>
  step !== null && steps.includes(step);

export const isUndoStep = (step: string | null): step is UndoStep => has(undoSteps, step);

/** The table swap is not decided: live can still be given back as it was. */
export const canBeGivenUp = (step: string | null): boolean =>
  has(promoteSteps.slice(0, promoteSteps.indexOf("swapped")), step) ||
  has(undoSteps.slice(0, undoSteps.indexOf("undo-swapped")), step);
