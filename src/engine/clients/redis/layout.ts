// The keys of a copy in Redis. Other programs read it (docs/state.md): this layout changes only together with the
// format version.
import { assert } from "../../core/errors.ts";
import type { StoreId } from "../../core/state.ts";

/** The braces are a hash tag: everything of a store on a partition is in one slot, so one script may touch it. */
export function copyKey({ prefix, store, partition }: StoreId): string {
  const tag = `${prefix}:${store}:${String(partition)}`;
  assert(!/[{}]/.test(tag), "a brace in a store's name would move its key to another slot");
  return `{${tag}}`;
}

export const rebuildKey = (copy: string, token: string): string => `${copy}:rebuild:${token}`;

/** The sorted set of the copy's fields that are due, by their dues, beside the hash of a copy or of a rebuild. */
export const indexKey = (hash: string): string => `${hash}:due`;

export const FORMAT = "2";
/** A copy of 0.1.0, which has no index: it is made anew from its changelog. */
export const FORMAT_WITHOUT_INDEX = "1";

// Reserved fields begin with a zero byte.
const ZERO = 0x00;
const ESCAPE = Buffer.from("\0k");
export const FORMAT_FIELD = "\0v";
export const POSITION_FIELD = "\0p";

/** The field of a key: its bytes, except that one which looks like a reserved field is marked. */
export const fieldOf = (key: Buffer): Buffer =>
  key[0] === ZERO ? Buffer.concat([ESCAPE, key]) : key;

/** The key of a field; null for a reserved one. */
export function keyOfField(field: Buffer): Buffer | null {
  if (field[0] !== ZERO) return field;
  return field[1] === ESCAPE[1] ? field.subarray(ESCAPE.length) : null;
}
