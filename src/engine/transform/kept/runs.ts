// The records of a window that is folded when it closes, in a store of their own. The aggregate of such a window is a list of
// runs; a run is a list of records in chunks, so that a record writes a chunk anew and never all of them.
import { listOf } from "../../core/foreign.ts";
import { orderedText } from "../../core/ordered-text.ts";
import type { StateKey, StoreView } from "../../core/state.ts";
import type { QueuedRecord } from "../calls/key-queue.ts";
import { queuedRecord } from "../calls/queue-check.ts";
import { stateKey, type Want } from "../operator.ts";

/** A record that joins a run writes at most so much anew, or itself where it is larger. */
const CHUNK_RECORDS_MAX = 32;
const CHUNK_BYTES_MAX = 65_536;
/** The size that counts for a record without the bytes of its value. */
const UNKNOWN_BYTES = 1_024;

/** Two numbers that no other run of its key has while it is there. */
type RunName = readonly [a: number, b: number];

/** With the number of its chunks, of its records, and of the bytes in its last chunk. */
export type RecordRun = readonly [
  a: number,
  b: number,
  chunks: number,
  records: number,
  bytes: number,
];

/** The aggregate of a window: its records are those of its runs, in the order in which they came within each. */
export type RecordRuns = readonly RecordRun[];

export const NO_RUNS: RecordRuns = [];

const HEAD_BYTES = 20;

const chunkKey = ([a, b]: RunName | RecordRun, chunk: number, key: Buffer): StateKey =>
  stateKey(
    Buffer.from(
      orderedText(a) + orderedText(b) + chunkText(chunk) + key.toString("latin1"),
      "latin1",
    ),
  );

/** Its number in 4 bytes, big-endian. */
function chunkText(chunk: number): string {
  const bytes = [chunk >>> 24, chunk >>> 16, chunk >>> 8, chunk].map((byte) => byte & 0xff);
  return String.fromCharCode(...bytes);
}

/** Whether an entry has records of that key. */
export const isRunOf = (entry: Buffer, key: Buffer): boolean =>
  entry.length === HEAD_BYTES + key.length && entry.subarray(HEAD_BYTES).equals(key);

/** The store of runs, and the key of their records. */
export interface RunPlace {
  readonly view: StoreView;
  readonly key: Buffer;
}

const recordsAt = (view: StoreView, at: StateKey): readonly QueuedRecord[] =>
  (view.get(at)?.value ?? []) as readonly QueuedRecord[];

function put(view: StoreView, at: StateKey, records: readonly QueuedRecord[]): void {
  const timestamp = Math.max(0, ...records.map(({ eventTime }) => eventTime));
  view.set(at, { value: records, timestamp, dueMs: null });
}

/** The runs with a record more; the first run of a window is called `name`. The last chunk must be in memory. */
export function withKept(
  { view, key }: RunPlace,
  runs: RecordRuns,
  { record, name, bytes }: { readonly record: QueuedRecord; name: RunName; bytes: number | null },
): RecordRuns {
  const size = bytes ?? UNKNOWN_BYTES;
  const last = runs.at(-1);
  if (last === undefined) {
    const at = chunkKey(name, 0, key);
    view.add(at);
    put(view, at, [record]);
    return [[...name, 1, 1, size]];
  }
  const [a, b, chunks, records, used] = last;
  const at = chunkKey(last, chunks - 1, key);
  const before = recordsAt(view, at);
  const hasRoom = before.length < CHUNK_RECORDS_MAX && used + size <= CHUNK_BYTES_MAX;
  const next = hasRoom ? at : chunkKey(last, chunks, key);
  if (!hasRoom) view.add(next);
  put(view, next, hasRoom ? [...before, record] : [record]);
  const run: RecordRun = hasRoom
    ? [a, b, chunks, records + 1, used + size]
    : [a, b, chunks + 1, records + 1, size];
  return [...runs.slice(0, -1), run];
}

/** Asks for the chunk that one more record would join. */
export function wantLast(store: string, runs: RecordRuns, key: Buffer, want: Want): void {
  const last = runs.at(-1);
  if (last !== undefined) want(store, chunkKey(last, last[2] - 1, key));
}

function* chunksOf(runs: RecordRuns, key: Buffer): Iterable<StateKey> {
  for (const run of runs) for (let at = 0; at < run[2]; at++) yield chunkKey(run, at, key);
}

export function wantAll(store: string, runs: RecordRuns, key: Buffer, want: Want): void {
  for (const chunk of chunksOf(runs, key)) want(store, chunk);
}

/** All records; those of one run in the order in which they came. All chunks must be in memory. */
export const recordsOf = ({ view, key }: RunPlace, runs: RecordRuns): readonly QueuedRecord[] =>
  [...chunksOf(runs, key)].flatMap((at) => recordsAt(view, at));

/** Nothing needs them any more. */
export function forget({ view, key }: RunPlace, runs: RecordRuns): void {
  for (const at of chunksOf(runs, key)) view.set(at, null);
}

/** Takes one of the records out. */
export function takeOut({ view, key }: RunPlace, runs: RecordRuns, record: QueuedRecord): void {
  for (const at of chunksOf(runs, key)) {
    const records = recordsAt(view, at);
    if (!records.includes(record)) continue;
    put(
      view,
      at,
      records.filter((one) => one !== record),
    );
  }
}

export const countOf = (runs: RecordRuns): number =>
  runs.reduce((sum, [, , , records]) => sum + records, 0);

/** The fault of a stored list of runs, or null. */
export function wrongRuns(stored: unknown): string | null {
  if (!Array.isArray(stored) || stored.length === 0) return "it has no records";
  const isRun = (one: unknown): boolean =>
    Array.isArray(one) &&
    one.length === RUN_FIELDS &&
    one.every((number) => Number.isSafeInteger(number) && (number as number) >= 0) &&
    (one as unknown as RecordRun)[2] >= 1 &&
    (one as unknown as RecordRun)[2] <= Math.min((one as unknown as RecordRun)[3], CHUNKS_MAX);
  return (stored as readonly unknown[]).every(isRun) ? null : "it names no records";
}

const RUN_FIELDS = 5;
/** More than one window ever has. */
const CHUNKS_MAX = 1_000_000;

const records = listOf(queuedRecord);

/** The fault of a chunk, or null. */
export const wrongChunk = (place: Buffer, value: unknown): string | null =>
  place.length < HEAD_BYTES ? "its key names no records" : records(value, "it");
