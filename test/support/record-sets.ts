// Record sets read as a whole, where the engine reads them piece by piece.
import { BatchBounds } from "../../src/engine/clients/kafkajs/protocol/records/batch-bounds.ts";
import {
  RecordSet,
  type FetchedSet,
  type RecordPiece,
} from "../../src/engine/clients/kafkajs/protocol/records/record-set.ts";

/** Throws what reading throws, whatever came before. */
export function decodeRecordSet(
  set: FetchedSet,
  bounds: BatchBounds = new BatchBounds(),
): Pick<RecordPiece, "records" | "marks" | "nextOffset"> {
  const reader = new RecordSet(set, bounds);
  const records: RecordPiece["records"] = [];
  const marks: RecordPiece["marks"] = [];
  let nextOffset = set.fetchedOffset;
  for (let piece = reader.next(); piece !== null; piece = reader.next()) {
    for (const record of piece.records) records.push(record);
    marks.push(...piece.marks);
    nextOffset = piece.nextOffset;
  }
  return { records, marks, nextOffset };
}
