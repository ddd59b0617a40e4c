// Values on their way through the oracle, and where they are.
import type { Node, SourceRecord } from "../case.ts";
import type { Row, Value } from "../values.ts";

/** A value on its way; undefined is a tombstone. */
export interface Item {
  readonly key: string | null;
  readonly value: Value | undefined;
  readonly timeMs: number;
  /** The greatest time of its source partition when it was read there. */
  readonly originMs: number;
  /** The time of its source partition then, which a record without a time of its own does not move. */
  readonly movedMs: number;
  /** A tombstone of a topic whose times are in its values. */
  readonly isTimeless: boolean;
  /** Source topic and partition that it comes from, and its place there. */
  readonly origin: string;
  readonly partition: number;
}

export interface Trail {
  emitted: number;
  isRepeat: boolean;
  isLate: boolean;
  isNullKey: boolean;
  readonly undo: (() => void)[];
  readonly writes: (() => void)[];
}
export interface Place {
  readonly isFree: boolean;
  readonly isHeld: boolean;
  readonly isTold: boolean;
}
/** Records that a table's own part reads. */
export interface SinkPart {
  readonly node: Node;
  readonly isLoose: boolean;
  readonly isMixed: boolean;
  readonly items: (Item & { readonly row: Row | null })[];
}
/** Records that one part reads. */
export interface Group {
  readonly node: Node;
  readonly place: Place;
  readonly items: Item[];
}

/** A record without a time of its own moves none; one with a value is no younger than its Kafka timestamp. */
export function originOf(
  { value }: SourceRecord,
  { ms, isTold }: { readonly ms: number; readonly isTold: boolean },
  before: number | undefined,
): Pick<Item, "originMs" | "movedMs" | "isTimeless"> {
  const isTimeless = value === null && !isTold;
  const originMs = isTimeless ? (before ?? ms) : Math.max(before ?? -1, ms);
  return { originMs, movedMs: isTold ? originMs : (before ?? -Infinity), isTimeless };
}

export const itemOf = (
  { key, value, source, partition }: SourceRecord,
  times: Pick<Item, "timeMs" | "originMs" | "movedMs" | "isTimeless">,
): Item => ({
  key,
  value: value ?? undefined,
  ...times,
  origin: `${String(source)}/${String(partition)}`,
  partition,
});
