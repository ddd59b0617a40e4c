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
  readonly cells: Pick<ReadonlyMap<string, Cell>, "get">;
  /** Those with changes that the copy may lack, each once. */
  readonly lacked: Iterable<Cell>;
}

/** Changes that the copy may lack. One that was changed again since it was sealed comes once. */
export function* lackedIn(
  sealed: readonly Cell[],
  dirty: ReadonlySet<Cell>,
  number: number,
): Iterable<Cell> {
  for (const cell of sealed) if (cell.dirty !== 0 && cell.dirty !== number) yield cell;
  // mistake: changes in memory not due
  for (const cell of dirty) if (cell.dirty === number) yield cell;
}

export interface MergedDue {
  readonly keys: readonly DueStateKey[];
  /** Nothing behind these keys is due before. */
  readonly nextMs: number;
  /** The least due of what the copy may lack, or less. */
  readonly lackedMs: number;
}

/** The first keys of the index of a copy at one of its positions, as far as they were asked for. */
class IndexHead {
  readonly position: bigint | null;
  readonly keys: DueStateKey[] = [];
  /** The due of the key behind them; Infinity where there is none, null before the first question. */
  nextMs: number | null = null;
  /** The keys before this one have changes that the copy lacks. */
  changed = 0;

  constructor(position: bigint | null) {
    this.position = position;
  }

  /** Takes the keys behind those that it has. */
  take({ keys, nextMs }: Pick<DueRead, "keys" | "nextMs">): void {
    for (const key of keys) this.keys.push(keyOf(key));
    this.nextMs = nextMs ?? Infinity;
  }

  /** The first keys that the copy has the newest change of, and the due of the next one; null where that must be read. */
  unchanged(
    cells: InMemory["cells"],
    { beforeMs, keysMax }: DueLimits,
  ): { readonly keys: readonly DueStateKey[]; readonly nextMs: number } | null {
    const keys: DueStateKey[] = [];
    for (let at = this.changed; at < this.keys.length; at++) {
      const key = this.keys[at] as DueStateKey;
      // mistake: put off in vain
      if (this.#isChanged(at, cells)) continue;
      if (key.dueMs >= beforeMs || keys.length >= keysMax) return { keys, nextMs: key.dueMs };
      keys.push(key);
    }
    // The copy has not said yet which keys lie behind those that it gave.
    const { nextMs } = this;
    const isMore = nextMs === null || (nextMs < beforeMs && keys.length < keysMax);
    return isMore ? null : { keys, nextMs };
  }

  #isChanged(at: number, cells: InMemory["cells"]): boolean {
    const isChanged = (cells.get((this.keys[at] as DueStateKey).id)?.dirty ?? 0) !== 0;
    if (isChanged && at === this.changed) this.changed++;
    return isChanged;
  }
}

/** What a store knows of the dues of its keys. */
export class DueKeys {
  /** A lower bound for the dues that no question has found yet. */
  nextMs: number = -Infinity;
  /** No change that the copy may lack is due before. */
  #lackedMs = Infinity;
  #head = new IndexHead(null);

  again(dueMs: number): void {
    this.nextMs = Math.min(this.nextMs, dueMs);
    this.#lackedMs = Math.min(this.#lackedMs, dueMs);
  }

  done(beforeMs: number): void {
    this.nextMs = Math.max(this.nextMs, beforeMs);
    this.#lackedMs = Math.max(this.#lackedMs, beforeMs);
  }

  /** A key of the index is read once at a position: only changes in memory move its due before the next one. */
  headAt(position: bigint): IndexHead {
    if (this.#head.position !== position) this.#head = new IndexHead(position);
    return this.#head;
  }

  /** A copy that was made anew has another index at the same position. */
  forget(): void {
    this.#head = new IndexHead(null);
  }

  /** Changes were taken back, or the copy has them now. */
  hasChanged(): void {
    this.#head.changed = 0;
  }

  /**
   * The first keys, in the order of due and key; null when the copy must be asked for more, since changes in memory put too
   * many of its keys off. The newest wins: a key of which the copy lacks a change is due by that change alone.
   */
  merged(position: bigint, { cells, lacked }: InMemory, limits: DueLimits): MergedDue | null {
    const ofCopy = this.headAt(position).unchanged(cells, limits);
    if (ofCopy === null) return null;
    const { keysMax } = limits;
    const { due, laterMs, lackedMs } = split(lacked, this.#lackedMs, limits.beforeMs);
    // mistake: fired out of order
    const all = [...ofCopy.keys, ...due].sort((a, b) => (isSooner(a, b) ? -1 : 1));
    const nextMs = Math.min(ofCopy.nextMs, laterMs, all[keysMax]?.dueMs ?? Infinity);
    return { keys: all.slice(0, keysMax), nextMs, lackedMs };
  }

  /** These are worked now. */
  found({ nextMs, lackedMs }: MergedDue): void {
    this.nextMs = nextMs;
    this.#lackedMs = lackedMs;
  }
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

interface Lacked {
  readonly due: readonly DueStateKey[];
  /** The least due of the others, or less. */
  readonly laterMs: number;
  /** The least of all, or less. */
  readonly lackedMs: number;
}

/** Changes that are due. Most questions come before any is. */
function split(lacked: Iterable<Cell>, ms: number, beforeMs: number): Lacked {
  const due: DueStateKey[] = [];
  if (ms >= beforeMs) return { due, laterMs: ms, lackedMs: ms };
  let [laterMs, lackedMs] = [Infinity, Infinity];
  for (const { id, entry } of lacked) {
    const dueMs = entry?.dueMs ?? Infinity;
    lackedMs = Math.min(lackedMs, dueMs);
    if (dueMs < beforeMs) due.push({ id, bytes: Buffer.from(id, "latin1"), dueMs });
    else if (dueMs < laterMs) laterMs = dueMs;
  }
  return { due, laterMs, lackedMs };
}

const keyOf = ({ key, dueMs }: DueKey): DueStateKey => ({
  id: key.toString("latin1"),
  bytes: key,
  dueMs,
});
