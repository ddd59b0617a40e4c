// The keys of a store that are due: those of the copy's index, with the changes in memory that the copy lacks.
import { MillraceError } from "../core/errors.ts";
import { isSooner, type DueKey, type DueRead, type DueStateKey } from "../core/state.ts";
import type { Cell } from "./cell.ts";

export interface DueLimits {
  readonly beforeMs: number;
  readonly keysMax: number;
}

/** What a store has in memory. */
export interface InMemory {
  readonly cells: ReadonlyMap<string, Cell>;
  /** Those with changes that the copy may lack, each once. */
  readonly lacked: Iterable<Cell>;
}

export interface MergedDue {
  readonly keys: readonly DueStateKey[];
  /** Nothing behind these keys is due before. */
  readonly nextMs: number;
}

/**
 * The first keys, in the order of due and key; null when the copy must be asked for more, since changes in memory put too
 * many of its keys off. The newest wins: a key of which the copy lacks a change is due by that change alone.
 */
export function mergeDue(
  { keys, nextMs }: Pick<DueRead, "keys" | "nextMs">,
  { cells, lacked }: InMemory,
  { beforeMs, keysMax }: DueLimits,
): MergedDue | null {
  // mistake: put off in vain
  const ofCopy = keys.map(keyOf).filter(({ id }) => (cells.get(id)?.dirty ?? 0) === 0);
  // What lies behind those that the copy gave is not known.
  const isMore = nextMs !== null && nextMs < beforeMs;
  if (isMore && ofCopy.length < keysMax) return null;
  const { due, laterMs } = split(lacked, beforeMs);
  // mistake: fired out of order
  const all = [...ofCopy, ...due].sort((a, b) => (isSooner(a, b) ? -1 : 1));
  const behindMs = all[keysMax]?.dueMs ?? Infinity;
  return { keys: all.slice(0, keysMax), nextMs: Math.min(nextMs ?? Infinity, laterMs, behindMs) };
}

/** Throws MILL_STATE_COPY where an entry is not due when the index says so. */
export function checkIndex(
  keys: readonly DueStateKey[],
  dueOf: (id: string) => number | null | undefined,
): void {
  // mistake: false index believed
  if (keys.every(({ id, dueMs }) => dueOf(id) === dueMs)) return;
  throw new MillraceError("MILL_STATE_COPY", "its index differs from its entries");
}

/** Changes that are due, and the least due of the others. */
function split(
  lacked: Iterable<Cell>,
  beforeMs: number,
): { readonly due: readonly DueStateKey[]; readonly laterMs: number } {
  const due: DueStateKey[] = [];
  let laterMs = Infinity;
  for (const { id, entry } of lacked) {
    const dueMs = entry?.dueMs ?? Infinity;
    if (dueMs < beforeMs) due.push({ id, bytes: Buffer.from(id, "latin1"), dueMs });
    else if (dueMs < laterMs) laterMs = dueMs;
  }
  return { due, laterMs };
}

const keyOf = ({ key, dueMs }: DueKey): DueStateKey => ({
  id: key.toString("latin1"),
  bytes: key,
  dueMs,
});
