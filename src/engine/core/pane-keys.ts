// The keys of hopping windows that are put together of panes: one of a record's key with its panes, and one of each pane. A window
// of another kind begins its keys with its start, and so with 0.
import { orderedText } from "./ordered-text.ts";
import type { StateKey } from "./state.ts";

// First bytes.
const OF_PANE = 0xfe;
const OF_KEY = 0xff;
const PANE_BYTES = 9;
const PANE = String.fromCharCode(OF_PANE);

/** The entry of a key with its panes. */
export function headKey(key: Buffer): StateKey {
  const bytes = Buffer.allocUnsafe(1 + key.length);
  bytes[0] = OF_KEY;
  key.copy(bytes, 1);
  return { id: bytes.toString("latin1"), bytes };
}

/** The entry of a pane. A window asks for many of them when it closes, of which few are read from the copy. */
export class PaneKey implements StateKey {
  readonly id: string;

  constructor(head: StateKey, paneMs: number) {
    this.id = PANE + orderedText(paneMs) + head.id.slice(1);
  }

  get bytes(): Buffer {
    return Buffer.from(this.id, "latin1");
  }
}

export const isHead = (entry: Buffer): boolean => entry[0] === OF_KEY;
export const isPane = (entry: Buffer): boolean =>
  entry[0] === OF_PANE && entry.length >= PANE_BYTES;

/** The start of the pane that an entry is of. */
export const paneIn = (entry: Buffer): number => Number(entry.readBigUInt64BE(1));

/** Whether an entry is that of a record's key with its panes, or of one of these. */
export const isPaneOrHeadOf = (entry: Buffer, key: Buffer): boolean =>
  (isHead(entry) && entry.subarray(1).equals(key)) ||
  (isPane(entry) && entry.subarray(PANE_BYTES).equals(key));
