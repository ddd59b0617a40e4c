// Windows that keep their records, as commands show them: how many each has, and the records themselves in their store.
import { shownTime, type EntryReader, type ReadEntry } from "../../core/state-reader.ts";
import type { QueuedRecord } from "../calls/key-queue.ts";
import { countOf, type RecordRuns } from "../kept/runs.ts";

/** The number of a window's records in the place of its aggregate, which is not there yet. */
export const withCounts = (reader: EntryReader): EntryReader => ({
  ...reader,
  show: (entries, key) =>
    reader
      .show(entries, key)
      .map(({ value, ...part }) => ({ ...part, records: countOf(value as RecordRuns) })),
});

/** The records of all windows of a key. */
export const readingKept = (mayBeOf: EntryReader["mayBeOf"]): EntryReader => ({
  parts: "record",
  mayBeOf,
  show: (entries: readonly ReadEntry[]) =>
    entries
      .flatMap(({ value }) => value as readonly QueuedRecord[])
      .sort((a, b) => a.eventTime - b.eventTime)
      .map(({ eventTime, topic, partition, offset, value }) => ({
        ...{ time: shownTime(eventTime), topic, partition, offset: String(offset), value },
      })),
});
