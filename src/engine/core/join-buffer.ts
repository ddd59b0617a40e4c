// The records that a stream join keeps until no partner can come any more. Those of one key, side and span of time are a list
// in chunks, so that a record writes a chunk anew and never the whole list.

/** The left or the right stream of a join: the place of its input. */
export type JoinSide = 0 | 1;

export const SIDE_NAMES = ["left", "right"] as const;

/** The name under which structures of one side's values are noted. */
export const sideName = (store: string, side: number): string =>
  `${store}-${SIDE_NAMES[side] ?? ""}`;

/** A record as its join has taken it. */
export class BufferedRecord {
  readonly timeMs: number;
  readonly originMs: number;
  /** It has found a partner; of a side whose records are never emitted alone it is not noted. */
  readonly isMatched: boolean;
  readonly value: unknown;
  readonly #bytes: Buffer;

  /** `bytes`: the value in the format of its side. */
  constructor(
    { timeMs, originMs }: Pick<BufferedRecord, "timeMs" | "originMs">,
    isMatched: boolean,
    value: unknown,
    bytes: Buffer,
  ) {
    this.timeMs = timeMs;
    this.originMs = originMs;
    this.isMatched = isMatched;
    this.value = value;
    this.#bytes = bytes;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  matched(): BufferedRecord {
    return new BufferedRecord(this, true, this.value, this.#bytes);
  }
}

/** The records that a result of a join was made of, by side: null for the one that has found no partner. */
export interface JoinOrigin {
  /** The node of the join. */
  readonly at: number;
  readonly sides: readonly [BufferedRecord | null, BufferedRecord | null];
  /** The number of records made of it so far for other parts. */
  sent: number;
}

export interface BufferChunk {
  readonly side: (typeof SIDE_NAMES)[number];
  /** The chunks of the list, said in the first one. */
  readonly chunks: number;
  /** In the order in which they came. */
  readonly records: readonly BufferedRecord[];
}
