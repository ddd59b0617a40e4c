// The hot path's own memory: one cursor a program, which all of its tasks share and which is reused from record to record,
// and one trail a record. An object for each record and operator would be garbage, and garbage is what costs here.
import type { DecodedRecord, Stage } from "../core/outcome.ts";
import type { RecordContext } from "../core/record.ts";
import type { StateKey } from "../core/state.ts";

/** The source record that something was made of, through any number of topics between parts. */
export interface RecordOrigin {
  /** The greatest event time of its input when it was read, its own included. */
  readonly time: number;
  readonly partition: number;
  readonly offset: bigint;
  /** Its place among what was made of that record. */
  readonly index: number;
}

/** What became of one record so far. */
export interface Trail {
  /** Its place in the batch. */
  readonly index: number;
  /** Null where records go through one by one. */
  readonly origin: RecordOrigin | null;
  /** Outputs, rows and changes of state. */
  emitted: number;
  /** The node that dropped it last. */
  last: number;
  nullKey: boolean;
  isRepeat: boolean;
  /** It waits in state for a call. */
  isQueued: boolean;
  /** It has changed state in an earlier group: what fails now must be run again without it. */
  hasChanged: boolean;
}

export const newTrail = (index: number, origin: RecordOrigin | null): Trail => ({
  index,
  origin,
  emitted: 0,
  last: 0,
  nullKey: false,
  isRepeat: false,
  isQueued: false,
  hasChanged: false,
});

/** A record in the queue of a group. Its time is that of its record. */
export interface Item {
  /** The node that it waits for. */
  readonly at: number;
  /** "record": as it came · "answer": its key was queued, and the call for it has ended. */
  readonly entry: "record" | "answer";
  /** By which of the node's inputs it came. */
  readonly input: number;
  readonly record: DecodedRecord;
  readonly trail: Trail;
  readonly origin: RecordOrigin;
  readonly value: unknown;
  /** Set by `keys`. */
  key: StateKey | null;
  /** Set by `prepare`, or the answer that it came with. */
  prepared: unknown;
}

/** A change that is told at the checkpoint. */
export interface Held {
  readonly at: number;
  readonly key: string;
  readonly trail: Trail;
  readonly record: DecodedRecord;
  readonly value: unknown;
}

/** What operators leave to the pass of a batch. */
export interface GroupQueues {
  /** By group. */
  readonly items: readonly Item[][];
  readonly held: Held[];
  /** Keys that were queued for a call. */
  readonly keys: Map<string, { readonly at: number; readonly key: Buffer }>;
}

/** The one record that is on its way through a program. */
export interface Cursor {
  record: DecodedRecord;
  stage: Stage;
  /** The node at work: names the step when a callback throws. */
  step: number;
  trail: Trail;
  /** Null in a part where nothing queues. */
  queues: GroupQueues | null;
}

export const contextOf = (cursor: Cursor): RecordContext => cursor.record.context;

/** The record with another time. */
export function timed({ record }: Cursor, timestamp: number): DecodedRecord {
  if (timestamp === record.context.timestamp) return record;
  return { ...record, context: { ...record.context, timestamp } };
}
