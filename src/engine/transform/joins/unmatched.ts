// Records of a stream join that no partner has come for: each is taken out of its chunk by itself, and is emitted, or fails and
// waits in a letter.
import {
  SIDE_NAMES,
  sideName,
  type BufferChunk,
  type BufferedRecord,
  type JoinSide,
} from "../../core/join-buffer.ts";
import type { PlanStore } from "../../core/plan.ts";
import type { StateKey, StoreView } from "../../core/state.ts";
import type { Keeping } from "../calls/key-queue.ts";
import type { GivenUpRecord } from "../kept/given-up.ts";
import { bucketOf, endDueMs, entryOf, isAlone, lastPartnerMs, type SideRules } from "./buckets.ts";

/** A record that is emitted alone, and its place among those of its store. */
export interface TakenOut {
  readonly record: BufferedRecord;
  readonly place: string;
}

/** The next record of a chunk without a partner, or null: each is emitted, or fails, by itself. `gone`: the number that has left. */
export function takenOut(
  view: StoreView,
  rules: SideRules,
  { key, watermark }: { readonly key: StateKey; readonly watermark: number },
): { readonly over: TakenOut | null; readonly gone: number } {
  const entry = view.get(key);
  if (entry === null) return { over: null, gone: 0 };
  const chunk = entry.value as BufferChunk;
  const bucket = bucketOf(key);
  const next = entryOf(rules, bucket, chunk);
  const dueMs = next.dueMs as number;
  // A longer grace has been deployed since.
  if (dueMs >= watermark) {
    view.set(key, next);
    return { over: null, gone: 0 };
  }
  const over = chunk.records.find(
    (one) => isAlone(rules, one) && lastPartnerMs(rules, one.timeMs) <= dueMs,
  );
  const records = chunk.records.filter((one) => one !== over);
  const rest = { ...chunk, records };
  const waits = dueMs < endDueMs(rules, bucket) || records.some((one) => isAlone(rules, one));
  const isKept = over !== undefined && waits;
  view.set(key, isKept ? entryOf(rules, bucket, rest) : null);
  const gone = chunk.records.length - (isKept ? records.length : 0);
  // Records of one chunk and time have one due: each has a place of its own.
  const place = `${key.id}/${String(records.length)}`;
  return { over: over === undefined ? null : { record: over, place }, gone };
}

/** The record as its letter has it. */
export function givenUpOf(
  side: JoinSide,
  { timeMs, originMs, value }: BufferedRecord,
  keeping: Pick<Keeping, "shapeOf">,
): GivenUpRecord {
  const shape = keeping.shapeOf(value);
  const own = { side: SIDE_NAMES[side], time: timeMs, origin: originMs, value };
  return shape === null ? own : { ...own, shape };
}

/** By side, the name under which structures of its values are noted. */
export function sideNames({ name, changelog: { value } }: PlanStore): readonly string[] {
  const sides = value.kind === "join-buffer" ? value.sides : [];
  return SIDE_NAMES.map((_, side) => sides[side]?.shapes ?? sideName(name, side));
}
