// What waits in state for its time, as commands show it: records of joins and of `order`, keys of suppress, timers, and what a
// distinct remembers.
import type { BufferChunk } from "../../core/join-buffer.ts";
import {
  shownDue,
  shownTime,
  type EntryReader,
  type ReadEntry,
  type ShownPart,
} from "../../core/state-reader.ts";
import type { QueuedRecord } from "../calls/key-queue.ts";
import { isChunkOf } from "../joins/buckets.ts";
import { waitingIn, isWaitingKey } from "../keyed/suppress.ts";
import type { DeclaredTimer } from "../process/context.ts";
import { isPlaceOf } from "../process/ordered.ts";
import type { StoredTimer } from "../process/timers.ts";

/** The records of a join: each side's list as one. */
export const readingBuffers: EntryReader = {
  parts: "record",
  mayBeOf: isChunkOf,
  show: (entries) =>
    [...entries]
      .sort((a, b) => a.key.compare(b.key))
      .map(({ value }) => value as BufferChunk)
      .flatMap(({ side, records }) => records.map((record) => ({ side, record })))
      .sort((a, b) => (a.side < b.side ? -1 : a.side > b.side ? 1 : timesOf(a, b)))
      .map(({ side, record: { timeMs, originMs, isMatched, value } }) => ({
        ...{ side, time: shownTime(timeMs), origin: shownTime(originMs), isMatched, value },
      })),
};

interface OfTime {
  readonly record: { readonly timeMs: number };
}
const timesOf = (a: OfTime, b: OfTime): number => a.record.timeMs - b.record.timeMs;

/** The records that wait for their order. */
export const readingOrder: EntryReader = {
  parts: "record",
  mayBeOf: isPlaceOf,
  show: (entries, key) =>
    byTime(entries).flatMap((entry) =>
      (entry.value as readonly QueuedRecord[])
        .filter((one) => key.equals(one.key))
        .map(({ topic, partition, offset, value }) => ({
          ...{ time: shownTime(entry.timestamp), topic, partition, offset: String(offset) },
          ...{ value, ...shownDue("worked", entry.dueMs) },
        })),
    ),
};

const byTime = (entries: readonly ReadEntry[]): readonly ReadEntry[] =>
  [...entries].sort((a, b) => a.timestamp - b.timestamp || a.key.compare(b.key));

/** The value of a key that waits in a suppress. */
export const readingSuppressed: EntryReader = {
  parts: "change",
  mayBeOf: isWaitingKey,
  show: (entries) =>
    entries.map((entry) => {
      const { firstMs, value = null } = waitingIn(entry);
      const times = { since: shownTime(firstMs), time: shownTime(entry.timestamp) };
      return { ...times, value, ...shownDue("goesOn", entry.dueMs) };
    }),
};

/** The timers of a key, in the order of their dues. */
export const readingTimers = (timers: readonly DeclaredTimer[]): EntryReader => ({
  parts: "timer",
  mayBeOf: (entry, key) => entry.equals(key),
  show: (entries) =>
    entries.flatMap((entry) =>
      (entry.value as readonly StoredTimer[]).map(([timer, dueMs]): ShownPart => {
        const clock = timers.find(({ name }) => name === timer)?.clock ?? "not declared";
        return { timer, clock, due: shownTime(dueMs) };
      }),
    ),
});
