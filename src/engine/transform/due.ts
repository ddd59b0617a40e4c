// Entries that have become due by stream time: their operator works them, in order, and what it makes of them goes on
// downstream like the results of records. They belong to no record, so what fails here stops the task.
import { MillraceError } from "../core/errors.ts";
import type { Outcome } from "../core/outcome.ts";
import type { DueStateKey, TaskStores } from "../core/state.ts";
import { CallBook } from "./calls/book.ts";
import type { TaskCalls } from "./calls/call.ts";
import { placeholderOf } from "./agenda.ts";
import { byId } from "./calls/key-queue.ts";
import { runBatch, type BatchResult, type TimedRecord } from "./pass.ts";
import type { Program } from "./program.ts";

export interface DueEntries {
  readonly store: string;
  /** The place of the operator that works them. */
  readonly at: number;
  /** In the order of due and key. */
  readonly keys: readonly DueStateKey[];
  readonly partition: number;
  /** The watermark in front of the operator. */
  readonly watermark: number;
  /** The watermark in front of an operator by what was consumed. */
  watermarkOf(at: number): number;
  readonly stores: TaskStores;
  readonly calls: TaskCalls;
}

export interface Fired extends Pick<BatchResult, "outputs" | "deferred" | "queued"> {
  readonly worked: number;
  /** Entries that a step behind has no room for yet; they stay due. */
  readonly waiting: readonly DueStateKey[];
  /** If set, nothing was done. */
  readonly halted: MillraceError | null;
}

export async function fireDue(program: Program, due: DueEntries): Promise<Fired> {
  const { store, at, keys, watermark, stores, calls } = due;
  await stores.load(store, byId(keys));
  const records = keys.map((key): TimedRecord => {
    const record = placeholderOf(key, due);
    return { record, movesToMs: -Infinity, watermark: key.dueMs, due: { at, key } };
  });
  const watermarkOf = (place: number, dueMs: number): number => {
    if (place === at) return watermark;
    // mistake: results behind their own time
    const before = program.watermarkBehind(at, dueMs, place);
    return Math.min(due.watermarkOf(place), before);
  };
  const batch = { records, stores, calls, book: new CallBook(), watermarkOf };
  const result = await runBatch(program, batch);
  const halted = result.outcomes.map(failureOf).find((error) => error !== null) ?? null;
  if (halted !== null) stores.rollback(0);
  const worked = result.outcomes.length;
  return { ...result, worked, waiting: keys.slice(worked), halted };
}

function failureOf(outcome: Outcome): MillraceError | null {
  if (outcome.kind === "halted") return outcome.error;
  if (outcome.kind !== "dead-lettered") return null;
  const { step, code, message } = outcome.failure;
  return new MillraceError("MILL_DUE_FAILED", `${step}: ${code}, ${message}`);
}
