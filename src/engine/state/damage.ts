// A copy whose content is none that Millrace writes. It is only a copy, so it is discarded and made anew from its changelog. What
// the changelog itself says is never discarded: it stops its task.
import { MillraceError } from "../core/errors.ts";
import type { Applied, StateCopy, StatePiece } from "../core/state.ts";

export const isDamaged = (error: unknown): error is MillraceError =>
  error instanceof MillraceError && error.code === "MILL_STATE_COPY";

/** The limit for one question: somebody who damages the copy faster than it is made anew must not keep the task busy for ever. */
const TRIES_MAX = 3;

/** The copies that one question has found damaged. */
export interface Damages {
  count: number;
}

/** Throws the error when it has come too often. */
export function countDamage(damages: Damages, error: MillraceError): void {
  if (damages.count++ === TRIES_MAX) throw error;
}

/** A damaged copy is elsewhere than it was. */
export async function appliedTo(copy: StateCopy, piece: StatePiece): Promise<Applied> {
  try {
    return await copy.apply(piece);
  } catch (error) {
    if (isDamaged(error)) return "refused";
    throw error;
  }
}
