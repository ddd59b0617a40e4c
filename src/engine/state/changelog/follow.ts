// A copy follows its changelog: from its position to the changelog's end, or, when there is nothing to go on from, from
// the changelog's beginning into a new copy that replaces it. Used at a takeover and whenever a copy turns out to be
// elsewhere; what it does not know it reads, so a wipe, an old snapshot and a zombie's late write have one cure.
import type { AdminPort, Watermarks } from "../../core/kafka.ts";
import { InvariantError, type MillraceError } from "../../core/errors.ts";
import type { CopyPosition, StateCopy } from "../../core/state.ts";
import { inPieces, newestOf } from "../../core/state-pieces.ts";
import { appliedTo, isDamaged } from "../damage.ts";
import { readChanges, type ChangelogSource, type LoggedChange } from "./entries.ts";

export interface Following extends ChangelogSource {
  readonly copy: StateCopy;
  readonly admin: Pick<AdminPort, "watermarks">;
  /** Wall clock, epoch ms. */
  now(): number;
  /** The time that the changelog keeps tombstones, ms. */
  readonly tombstonesKeptMs: number;
  readonly signal: AbortSignal;
  onProgress(progress: FollowProgress): void;
  /** Called for a copy that cannot be read, before it is made anew. */
  onDiscarded(why: MillraceError): void;
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
    const position = await positionIn(following);
    const from = isFollowable(position, mark, following) ? position : null;
    if (from?.nextOffset === mark.high) return mark.high;
    const reached =
      from === null ? await rebuild(following, mark) : await forward(following, from, mark.high);
    // Null: somebody else has moved the copy meanwhile.
    if (reached !== null) return reached;
  }
}

/** Null where there is none that can be read: Redis has but a copy. */
async function positionIn({ copy, onDiscarded }: Following): Promise<CopyPosition | null> {
  try {
    return await copy.position();
  } catch (error) {
    if (!isDamaged(error)) throw error;
    onDiscarded(error);
    return null;
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
  for await (const { changes: read, nextOffset } of readChanges(following, from, end)) {
    const reached = { nextOffset, timeMs: at.timeMs };
    for (const { target, changes } of piecesOf(read, reached)) {
      const piece = { expected: at.nextOffset, target, changes };
      if ((await appliedTo(copy, piece)) === "refused") return null;
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
    for await (const { changes, nextOffset } of readChanges(following, low, high)) {
      // mistake: deletion forgotten
      await fresh.put(changes);
      position = { nextOffset, timeMs: changes.at(-1)?.timestamp ?? position.timeMs };
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

interface Piece {
  readonly changes: readonly LoggedChange[];
  readonly target: CopyPosition;
}

/** In order, one change a key and piece; the last one takes the copy past control records, to the end of the read. */
function* piecesOf(changes: readonly LoggedChange[], end: CopyPosition): Iterable<Piece> {
  let taken = 0;
  for (const piece of inPieces(changes)) {
    taken += piece.length;
    const last = piece.at(-1);
    const isLast = taken === changes.length;
    yield {
      changes: newestOf(piece),
      target: {
        nextOffset: isLast || last === undefined ? end.nextOffset : last.offset + 1n,
        timeMs: last?.timestamp ?? end.timeMs,
      },
    };
  }
}
