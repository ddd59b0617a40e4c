// Cuts a list into pieces that one statement can carry.

interface ChunkLimits {
  readonly itemsMax: number;
  /** Bound of the sum of sizes; a single larger item is a piece of its own. */
  readonly sizeMax: number;
}

export function chunks<T>(
  items: readonly T[],
  sizeOf: (item: T) => number,
  { itemsMax, sizeMax }: ChunkLimits,
): T[][] {
  const pieces: T[][] = [];
  let piece: T[] = [];
  let size = 0;
  for (const item of items) {
    const own = sizeOf(item);
    if (piece.length > 0 && (piece.length >= itemsMax || size + own > sizeMax)) {
      pieces.push(piece);
      piece = [];
      size = 0;
    }
    piece.push(item);
    size += own;
  }
  if (piece.length > 0) pieces.push(piece);
  return pieces;
}
