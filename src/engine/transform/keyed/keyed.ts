// Shared by operators with state: under which key a record's state lies, and the newest time that a key has had.
import {
  DELETED_KEPT_MS,
  type StateEntry,
  type StateKey,
  type StoreView,
} from "../../core/state.ts";
import { drop, type Operator, type Wiring } from "../operator.ts";
import type { Item } from "../cursor.ts";

export const stateKey = (bytes: Buffer): StateKey => ({ id: bytes.toString("latin1"), bytes });

/** Records lie under their own keys. A tombstone has one here only where the operator takes it. */
export const ownKeys =
  (store: string, takesTombstones: boolean): Operator["keys"] =>
  (item, want) => {
    const { key } = item.record.raw;
    if (key === null || (item.value === undefined && !takesTombstones)) return;
    item.key = stateKey(key);
    want(store, item.key);
  };

/** Drops a record without a key, and a tombstone that the operator does not take. */
export function dropUnkeyed({ value, trail }: Item, takesTombstones: boolean, own: Wiring): void {
  if (value !== undefined || takesTombstones) trail.nullKey = true;
  drop(own);
}

/** Of a key that has no entry. */
export const NEVER: StateEntry = { value: null, timestamp: -Infinity };

/**
 * A key's value, null for none, and the highest time it has had. That of a deleted key is forgotten after a while, by
 * stream time, so that whether the store has forgotten it already makes no difference.
 */
export function storedOf(view: StoreView, key: StateKey, now: number): StateEntry {
  const entry = view.get(key);
  if (entry === null) return NEVER;
  // mistake: deleted time forgotten
  const isOver = entry.value === null && entry.timestamp < now - DELETED_KEPT_MS;
  return isOver ? NEVER : entry;
}
