// Reads the log of a partition from a stopped broker's folder, batch by batch, with the markers that end transactions: no
// client is given these, and changelog positions count them.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { decodeRecordSet } from "../../support/record-sets.ts";
import type { RawRecord } from "../../../src/engine/core/record.ts";
import type { KeptBatch, KeptMarker, KeptPartition, KeptRecord } from "../recording.ts";

const HEAD_BYTES = 61;
const isTransactional = (attributes: number): boolean => (attributes & 0x10) !== 0;
const isControl = (attributes: number): boolean => (attributes & 0x20) !== 0;

/** The partition as its segments have it; `low` is what the broker says of it. */
export function keptPartition(
  dataDir: string,
  topic: string,
  at: { partition: number; low: number },
): KeptPartition {
  const folder = join(dataDir, `${topic}-${String(at.partition)}`);
  if (!existsSync(folder)) throw new Error(`no log in ${folder}`);
  const segments = readdirSync(folder).filter((name) => name.endsWith(".log"));
  const entries = segments
    .sort()
    .flatMap((name) => batchesOf(readFileSync(join(folder, name)), topic));
  const open = new Set<number>();
  for (const entry of entries)
    if ("ends" in entry) open.delete(entry.producer);
    else if (entry.producer !== null) open.add(entry.producer);
  if (open.size > 0) throw new Error(`${folder}: a transaction is open`);
  return { low: at.low, entries };
}

function batchesOf(log: Buffer, topic: string): (KeptBatch | KeptMarker)[] {
  const entries: (KeptBatch | KeptMarker)[] = [];
  for (let at = 0; at + HEAD_BYTES <= log.length;) {
    const end = at + 12 + log.readInt32BE(at + 8);
    entries.push(entryOf(log.subarray(at, end), topic));
    at = end;
  }
  return entries;
}

function entryOf(batch: Buffer, topic: string): KeptBatch | KeptMarker {
  const offset = Number(batch.readBigInt64BE(0));
  const attributes = batch.readInt16BE(21);
  const producer = Number(batch.readBigInt64BE(43));
  if (isControl(attributes)) return { offset, producer, ends: markerOf(batch) };
  const set = { topic, partition: 0, fetchedOffset: BigInt(offset), recordSet: batch, aborted: [] };
  const { records } = decodeRecordSet(set);
  const wanted = batch.readInt32BE(57);
  if (records.length !== wanted) throw new Error(`${topic}: a batch has gaps`);
  return {
    offset,
    producer: isTransactional(attributes) ? producer : null,
    records: records.map(keptRecord),
  };
}

/** One record, whose key is a version and the kind of the marker; 0 is abort. */
function markerOf(batch: Buffer): "commit" | "abort" {
  // Length, attributes, time, offset and the key's length take one byte each.
  return batch.readInt16BE(HEAD_BYTES + 5 + 2) === 0 ? "abort" : "commit";
}

const text = (bytes: Buffer | null): string | null => bytes?.toString("base64") ?? null;

const keptRecord = ({ timestamp, key, value, headers }: RawRecord): KeptRecord => [
  timestamp,
  text(key),
  text(value),
  headers.map(([name, bytes]) => [name, text(bytes)] as const),
];
