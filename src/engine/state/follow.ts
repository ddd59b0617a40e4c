// A copy follows its changelog: from its position to the changelog's end, or, when there is nothing to go on from, from
// the changelog's beginning into a new copy that replaces it. Used at a takeover and whenever a copy turns out to be
// elsewhere; what it does not know it reads, so a wipe, an old snapshot and a zombie's late write have one cure.
import type { AdminPort, KafkaPort, RangeRead, Watermarks } from "../core/kafka.ts";
import { InvariantError } from "../core/errors.ts";
import { readRange } from "../core/read-range.ts";
import type { RawRecord, TopicPartition } from "../core/record.ts";
import type { CopyPosition, StateChange, StateCopy } from "../core/state.ts";
import { inPieces, newestOf } from "../core/state-pieces.ts";
import type { EntryCodec } from "./entry-codec.ts";

export interface Following {
  readonly copy: StateCopy;
  readonly changelog: TopicPartition;
  readonly dueOf: EntryCodec["dueOf"];
  readonly kafka: Pick<KafkaPort, "reader">;
  readonly admin: Pick<AdminPort, "watermarks">;
  /** Wall clock, epoch ms. */
  now(): number;
  /** The time that the changelog keeps tombstones, ms. */
  readonly tombstonesKeptMs: number;
  readonly signal: AbortSignal;
  onProgress(progress: FollowProgress): void;
}

export interface FollowProgress {
  readonly kind: "forward" | "rebuild";
  readonly from: bigint;
  readonly next: bigint;
  readonly end: bigint;
}

/**
 * Returns the copy's position: the changelog's high watermark of now, or beyond. The high watermark and not the last
 * stable offset: progress may be visible before the markers of its transaction have reached the changelog.
 */
export async function follow(following: Following): Promise<bigint> {
  for (;;) {
    following.signal.throwIfAborted();
    const mark = await markOf(following);
    const position = await following.copy.position();
    const from = isFollowable(position, mark, following) ? position : null;
    if (from?.nextOffset === mark.high) return mark.high;
    const reached =
      from === null ? await rebuild(following, mark) : await forward(following, from, mark.high);
    // Null: somebody else has moved the copy meanwhile.
    if (reached !== null) return reached;
  }
}

/** Makes the copy anew from the whole changelog, whatever it is now; returns its position then. */
export async function remake(following: Following): Promise<bigint> {
  return rebuild(following, await markOf(following));
}

// mistake: last stable offset as target
async function markOf({ admin, changelog }: Following): Promise<Watermarks> {
  const marks = await admin.watermarks(changelog.topic);
  const mark = marks.find(({ partition }) => partition === changelog.partition);
  if (mark !== undefined) return mark;
  throw new InvariantError(
    "MILL_ENGINE_INVARIANT",
    "a changelog has fewer partitions than its part",
  );
}

/**
 * A position older than half the time that tombstones are kept is not followed: a tombstone that the copy lacks may be
 * gone before it is read. At the changelog's end the copy lacks none, however old the position.
 */
function isFollowable(
  position: CopyPosition | null,
  { low, high }: Watermarks,
  { now, tombstonesKeptMs }: Following,
): position is CopyPosition {
  if (position === null || position.nextOffset < low || position.nextOffset > high) return false;
  // mistake: tombstone lost
  return position.nextOffset === high || now() - position.timeMs <= tombstonesKeptMs / 2;
}

async function forward(
  following: Following,
  position: CopyPosition,
  end: bigint,
): Promise<bigint | null> {
  const { copy, onProgress } = following;
  const from = position.nextOffset;
  onProgress({ kind: "forward", from, next: from, end });
  let at = position;
  for await (const { records, nextOffset } of changesFrom(following, from, end)) {
    const reached = { nextOffset, timeMs: at.timeMs };
    for (const { target, records: newest } of piecesOf(records, reached)) {
      const changes = newest.map((record) => changeOf(following, record));
      const applied = await copy.apply({ expected: at.nextOffset, target, changes });
      if (applied === "refused") return null;
      at = target;
    }
    onProgress({ kind: "forward", from, next: at.nextOffset, end });
  }
  return at.nextOffset;
}

async function rebuild(following: Following, { low, high }: Watermarks): Promise<bigint> {
  const { copy, onProgress, now } = following;
  if (low < high) onProgress({ kind: "rebuild", from: low, next: low, end: high });
  const fresh = await copy.rebuild();
  try {
    let position: CopyPosition = { nextOffset: low, timeMs: now() };
    for await (const { records, nextOffset } of changesFrom(following, low, high)) {
      // mistake: deletion forgotten
      await fresh.put(records.map((record) => changeOf(following, record)));
      position = { nextOffset, timeMs: records.at(-1)?.timestamp ?? position.timeMs };
      onProgress({ kind: "rebuild", from: low, next: nextOffset, end: high });
    }
    await fresh.finish(position);
    return position.nextOffset;
  } catch (error) {
    // The first failure is the one to report; an abandoned copy goes by itself.
    await fresh.discard().catch(() => undefined);
    throw error;
  }
}

/** Every partition of a worker may be read at once, and a small change is ten times its bytes in memory. */
const READ_BYTES = 500_000;

const changesFrom = (
  { kafka, changelog, signal }: Following,
  from: bigint,
  to: bigint,
): AsyncIterable<RangeRead> =>
  readRange(kafka, { ...changelog, from, to }, { signal, maxBytes: READ_BYTES });

const changeOf = ({ dueOf }: Following, { key, value }: RawRecord): StateChange => {
  // mistake: rebuilt without index
  if (key !== null) return { key, value, dueMs: value === null ? null : dueOf(key, value) };
  throw new InvariantError("MILL_ENGINE_INVARIANT", "a changelog record without a key");
};

interface Piece {
  readonly records: readonly RawRecord[];
  readonly target: CopyPosition;
}

/** In order, one change a key and piece; the last one takes the copy past control records, to the end of the read. */
function* piecesOf(records: readonly RawRecord[], end: CopyPosition): Iterable<Piece> {
  let taken = 0;
  for (const piece of inPieces(records)) {
    taken += piece.length;
    const last = piece.at(-1);
    const isLast = taken === records.length;
    yield {
      records: newestOf(piece),
      target: {
        nextOffset: isLast || last === undefined ? end.nextOffset : last.offset + 1n,
        timeMs: last?.timestamp ?? end.timeMs,
      },
    };
  }
}
