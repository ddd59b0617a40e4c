// Changes in pieces that a copy takes in one call: bounded in number and, but for a single large change, in bytes.
import { PIECE_BYTES_MAX, PIECE_CHANGES_MAX } from "./state.ts";

interface Sized {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

/** In order; at least one piece, perhaps an empty one. */
export function* inPieces<T extends Sized>(changes: readonly T[]): Iterable<T[]> {
  let piece: T[] = [];
  let bytes = 0;
  for (const change of changes) {
    const size = (change.key?.length ?? 0) + (change.value?.length ?? 0);
    const isFull = piece.length === PIECE_CHANGES_MAX || bytes + size > PIECE_BYTES_MAX;
    if (isFull && piece.length > 0) {
      yield piece;
      piece = [];
      bytes = 0;
    }
    piece.push(change);
    bytes += size;
  }
  yield piece;
}

/** The newest change of each key. */
export const newestOf = <T extends Sized>(piece: readonly T[]): T[] => [
  ...new Map(piece.map((change) => [change.key?.toString("latin1"), change])).values(),
];
