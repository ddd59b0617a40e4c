// How commands show what a store has of a record's key, where that is more than one entry, or an entry of a form of its own.

/** An entry of a store, decoded. */
export interface ReadEntry {
  readonly key: Buffer;
  readonly value: unknown;
  /** Epoch ms. */
  readonly timestamp: number;
  /** The last ms at which it is not due; null: it never is. */
  readonly dueMs: number | null;
}

/** An item that a store has for a key, by the names that are shown. */
export type ShownPart = Readonly<Record<string, unknown>>;

/** A declaration of an operator. Its store is read whole for it, so it decides by the keys of entries first. */
export interface EntryReader {
  /** The things that its store has of a key: "window", "record", "timer". */
  readonly parts: string;
  /** Whether an entry of this key may belong to records of that key. */
  mayBeOf(entry: Buffer, key: Buffer): boolean;
  /** The parts that belong to records of the key, in the order of time. */
  show(entries: readonly ReadEntry[], key: Buffer): readonly ShownPart[];
}

/** The last milliseconds that a Date knows. */
const TIME_MAX = 8.64e15;

/** A time as commands show it: ISO 8601, or the number where it is none. */
export const shownTime = (epochMs: number): string =>
  Math.abs(epochMs) <= TIME_MAX ? new Date(epochMs).toISOString() : `${String(epochMs)} ms`;

/** The due of an entry, as it is shown beside its part. */
export const shownDue = (name: string, dueMs: number | null): ShownPart =>
  dueMs === null ? {} : { [name]: shownTime(dueMs + 1) };
