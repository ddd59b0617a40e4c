// Keyed state. A store's truth is its changelog; a copy (Redis, or memory) follows it, and says how far it has come in the
// same answer as its values, so that a copy that is behind is never taken for the truth.
import type { MillraceError } from "./errors.ts";

/** A store on one partition: the unit that moves with a task. */
export interface StoreId {
  /** Namespace and pipeline. */
  readonly prefix: string;
  readonly store: string;
  readonly partition: number;
}

/** A copy reflects every change of the changelog below `nextOffset`. */
export interface CopyPosition {
  readonly nextOffset: bigint;
  /** Kafka's timestamp of the newest changelog record that it reflects, never of the write; epoch ms. */
  readonly timeMs: number;
}

/** A key's new value; null deletes. Bytes are those of the changelog. */
export interface StateChange {
  readonly key: Buffer;
  readonly value: Buffer | null;
  /** The due of the new value, by which the copy's index has the key; null: the index has it no longer. */
  readonly dueMs: number | null;
}

/**
 * Consecutive changes of a changelog, at most `PIECE_CHANGES_MAX` and about `PIECE_BYTES_MAX`, that take a copy from one
 * position to the next.
 */
export interface StatePiece {
  readonly expected: bigint;
  /** Beyond `expected`, also when no change is between (commit markers take offsets too). */
  readonly target: CopyPosition;
  /** At most one change of each key. */
  readonly changes: readonly StateChange[];
}

/** A limit, so that no call delays the copy's other readers for long. */
export const PIECE_CHANGES_MAX = 500;
/** Keys and values; one change may be larger alone. */
export const PIECE_BYTES_MAX = 4_000_000;

/**
 * applied: the copy was at `expected`, and is at the target now. already: it is at the target or beyond (the
 * reply to an earlier try was lost). refused: it is elsewhere, or nowhere, and unchanged.
 */
export type Applied = "applied" | "already" | "refused";

/** Values with the position at which they were all true; null when the copy has no position. */
export interface CheckedRead {
  readonly nextOffset: bigint | null;
  /** A value for each key, in order; null where there is none. */
  readonly values: readonly (Buffer | null)[];
}

export interface DueKey {
  readonly key: Buffer;
  readonly dueMs: number;
}

/** Keys of the due index with the position at which they were all due; null when the copy has no position. */
export interface DueRead {
  readonly nextOffset: bigint | null;
  /** In the order of their dues; of one due in the order of their bytes. */
  readonly keys: readonly DueKey[];
  /** The due of the next key of the index; null where there is none. */
  readonly nextMs: number | null;
}

/** The greatest due with the position at which it was that. */
export interface LastDue {
  readonly nextOffset: bigint | null;
  /** Null where nothing is due. */
  readonly dueMs: number | null;
}

export interface ScannedEntry {
  readonly key: Buffer;
  readonly value: Buffer;
  /** By the index. */
  readonly dueMs: number | null;
}

export interface StateScan {
  readonly nextOffset: bigint | null;
  readonly entries: readonly ScannedEntry[];
  /** Hand it to the next call; null after the last. */
  readonly cursor: string | null;
}

/**
 * A copy of one store on one partition: its entries, and an index of those that are due, which moves with them. Every method
 * throws with disposition "retry" while the copy cannot be asked, MILL_STATE_COPY when its content is none that Millrace
 * writes (it is then to be made anew), and MILL_STATE_FORMAT for one of a version that is not known.
 */
export interface StateCopy {
  /** Null when there is no copy, or none with a position, or when its index is not whole. */
  position(): Promise<CopyPosition | null>;
  read(keys: readonly Buffer[]): Promise<CheckedRead>;
  /** The first keys of the index, behind so many, whose due lies before `beforeMs`; `keysMax` of them at most. */
  due(beforeMs: number, keysMax: number, behind: number): Promise<DueRead>;
  /** The greatest due of the index. */
  lastDue(): Promise<LastDue>;
  apply(piece: StatePiece): Promise<Applied>;
  /** A new copy beside the old one, which is replaced when the new one is finished, at once and whole. */
  rebuild(): Promise<Rebuild>;
  /**
   * Some entries at a time, each at least once while it is there (also when a rebuild comes between); `entriesMax` is a
   * hint. Begin with null.
   */
  scan(cursor: string | null, entriesMax: number): Promise<StateScan>;
  /** Removes the copy. */
  remove(): Promise<void>;
}

/**
 * Calls come one after another. A call that failed with "retry" is made again with the same arguments (a lost reply
 * does no harm), or the rebuild is discarded. MILL_STATE_REBUILD_LOST: put changes are lost, all or some; begin anew.
 */
export interface Rebuild {
  /** In the order of the changelog, any number; a later change of a key replaces an earlier one. */
  put(changes: readonly StateChange[]): Promise<void>;
  /** Also where there was no copy, or one of another version: the only way to a store's first copy. */
  finish(position: CopyPosition): Promise<void>;
  /** Gives up; the old copy stays. */
  discard(): Promise<void>;
}

/** The copies of a worker. */
export interface StateCopies {
  copy(id: StoreId): StateCopy;
  /** Reasons why it is unfit for state: an eviction policy, a version too old. Empty when it is fit. */
  problems(): Promise<readonly MillraceError[]>;
  close(): Promise<void>;
}

/** A key as an operator names it: its bytes, and the same as a text (latin1) for maps. */
export interface StateKey {
  readonly id: string;
  readonly bytes: Buffer;
  /** No entry of this key is due before, epoch ms: the time of the window that it is of. Left out: nobody knows. */
  readonly startMs?: number;
}

/** A value with its event time, as a store keeps it. */
export interface StateEntry {
  /** Null: the key was deleted, and its time alone is kept. */
  readonly value: unknown;
  /** Epoch ms. */
  readonly timestamp: number;
  /**
   * The last ms at which the entry is not due yet, by the clock of its operator (the watermark in front of it, or the wall
   * clock), epoch ms; null: it is never due.
   */
  readonly dueMs: number | null;
}

/** An entry that was written without a due. */
export interface UndatedEntry {
  readonly timestamp: number;
  readonly isDeleted: boolean;
  /** Decodes the value, which must need no schema. */
  value(): unknown;
}

/**
 * The due of an entry that 0.1.0 has written, which knew none; null: none. A declaration of its operator, so that old entries
 * become due as new ones do.
 */
export type DueOfUndated = (key: Buffer, entry: UndatedEntry) => number | null;

/**
 * The fault of a value whose form the engine itself has made, or null. A declaration of its operator, since whoever may write
 * the changelog may write anything that its format takes.
 */
export type WrongValue = (key: Buffer, value: unknown) => string | null;

/** A key that is due, as `KeyedStore.due` finds it. */
export interface DueStateKey extends StateKey {
  readonly dueMs: number;
}

/** The order in which entries are worked: by due, of one due by the bytes of the keys (latin1 has their order). */
export const isSooner = (
  a: Pick<DueStateKey, "id" | "dueMs">,
  b: Pick<DueStateKey, "id" | "dueMs">,
): boolean => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.id < b.id);

/**
 * For how long the time of a deleted key is kept, in ms of stream time: as long, what comes late for it cannot send its
 * results back in time.
 */
export const DELETED_KEPT_MS: number = 7 * 24 * 3_600_000;

/** An operator's view of a store while it runs. Only keys that were loaded for the run may be asked for. */
export interface StoreView {
  /** Null when there is none. */
  get(key: StateKey): StateEntry | null;
  /** A key that is not in the store, as another entry says: it needs no load. */
  add(key: StateKey): void;
  set(key: StateKey, entry: StateEntry | null): void;
}

/** Every store of a task, by its name in the plan. */
export interface TaskStores {
  view(store: string): StoreView;
  /** Resolves when the keys are in memory. */
  load(store: string, keys: ReadonlyMap<string, StateKey>): Promise<void>;
  /** A place in the journal of the run. */
  mark(): number;
  /** Takes back every change of the run since `mark`; 0 for all. */
  rollback(mark: number): void;
  /** A lower bound for the dues of the store that no call of `due` has found yet. */
  nextDueMs(store: string): number;
  /**
   * The first keys of the store whose due lies before `beforeMs`, so many at most, in the order of `isSooner`. They are in
   * memory then.
   */
  due(store: string, beforeMs: number, keysMax: number): Promise<readonly DueStateKey[]>;
  /** A key that `due` has found was not worked. */
  dueAgain(store: string, dueMs: number): void;
  /** Every key whose due lies before was worked. */
  dueDone(store: string, beforeMs: number): void;
  /** Keys of the store that the run has changed since `mark`, and whose due lies before `beforeMs`. */
  dueSince(mark: number, store: string, beforeMs: number): readonly DueStateKey[];
}

export const byId = <Key extends StateKey>(places: readonly Key[]): Map<string, Key> =>
  new Map(places.map((place) => [place.id, place]));
