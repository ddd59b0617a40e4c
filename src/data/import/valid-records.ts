// The rows of a file that are records of the topic, as bytes; every other one goes to `onBad`, which says whether the file is
// read on. Conversion and codec are asked alike, so what a check finds is all that sending would find before the broker.
import { MillraceError } from "../../engine/core/errors.ts";
import { isBad, type BadRow } from "../row.ts";
import type { LineRecord, Sendable } from "../send.ts";

export interface BadRows {
  /** False: nothing more is read. */
  onBad(row: BadRow): boolean;
  /** Asked between two rows. */
  isStopped(): boolean;
}

export async function* validRecords(
  rows: AsyncIterable<Sendable | BadRow>,
  encode: (row: Sendable) => LineRecord,
  { onBad, isStopped }: BadRows,
): AsyncGenerator<LineRecord> {
  for await (const row of rows) {
    if (isStopped()) return;
    const made = isBad(row) ? row : encodedRow(row, encode);
    if (!isBad(made)) yield made;
    else if (!onBad(made) || made.isLast) return;
  }
}

/** A codec refuses what the reader has no word for, such as a key of another type. */
function encodedRow(row: Sendable, encode: (row: Sendable) => LineRecord): LineRecord | BadRow {
  try {
    return encode(row);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return {
      line: row.line ?? 0,
      problems: [{ field: "", message: error.message }],
      isLast: false,
    };
  }
}
