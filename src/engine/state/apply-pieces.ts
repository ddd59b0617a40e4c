// Changes of a checkpoint on their way to a copy.
import type { StateChange, StateCopy } from "../core/state.ts";
import { inPieces } from "../core/state-pieces.ts";
import { appliedTo } from "./damage.ts";

export interface DecidedChanges {
  readonly changes: readonly StateChange[];
  /** Their offsets in the changelog. */
  readonly offsets: readonly bigint[];
  readonly timeMs: number;
}

/**
 * Applies changes in pieces, in the order of the changelog, each from the end of the one before; all on their way at
 * once. Pieces that a repair has brought to the copy meanwhile are left out. Returns the position behind them; null when one
 * was refused.
 */
export async function applyPieces(
  copy: StateCopy,
  position: bigint,
  { changes, offsets, timeMs }: DecidedChanges,
): Promise<bigint | null> {
  let expected = position;
  const pieces: Promise<string>[] = [];
  let taken = 0;
  for (const piece of inPieces(changes)) {
    taken += piece.length;
    const target = { nextOffset: (offsets[taken - 1] as bigint) + 1n, timeMs };
    if (target.nextOffset <= expected) continue;
    pieces.push(appliedTo(copy, { expected, target, changes: piece }));
    expected = target.nextOffset;
  }
  const settled = await Promise.allSettled(pieces);
  for (const piece of settled) if (piece.status === "rejected") throw piece.reason;
  const isRefused = settled.some(
    (piece) => piece.status === "fulfilled" && piece.value === "refused",
  );
  return isRefused ? null : expected;
}
