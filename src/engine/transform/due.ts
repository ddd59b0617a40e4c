// Entries that have become due by event time or by the wall clock: their operator works them, in order, and what it makes of
// them goes on downstream like the results of records. They belong to no record: results of an entry that a step behind
// cannot take go into a letter of their own, and the entry is done with.
import type { MillraceError } from "../core/errors.ts";
import type { Failure } from "../core/outcome.ts";
import type { TopicName } from "../core/record.ts";
import type { TaskStores } from "../core/state.ts";
import { CallBook } from "./calls/book.ts";
import type { TaskCalls } from "./calls/call.ts";
import { loadDue, placeholderOf, type DueEntry } from "./agenda.ts";
import type { KeptResult, Operator } from "./operator.ts";
import { runBatch, type BatchResult, type TimedRecord } from "./pass.ts";
import type { Program } from "./program.ts";

export interface DueEntries {
  /** The place of the operator that works them. */
  readonly at: number;
  /** In the order of work. */
  readonly entries: readonly DueEntry[];
  readonly partition: number;
  /** The watermark in front of the operator. */
  readonly watermark: number;
  /** The watermark in front of an operator by what was consumed. */
  watermarkOf(at: number): number;
  readonly stores: TaskStores;
  readonly calls: TaskCalls;
}

/** A record in front of which entries are due, and the watermark to which it moves its input. */
export interface DueHead {
  readonly place: TopicName;
  readonly watermark: number;
}

/** An entry that was due, and whose results a step behind cannot take. Its store has gone on. */
export interface FailedDue {
  readonly entry: DueEntry;
  readonly failure: Failure;
  /** Empty where none could be made. */
  readonly results: readonly KeptResult[];
}

export interface Fired extends Pick<
  BatchResult,
  "outputs" | "deferred" | "queued" | "behind" | "lateResults" | "evicted"
> {
  /** The place of the operator. */
  readonly at: number;
  readonly worked: number;
  /** Those among them that failed. */
  readonly failed: readonly FailedDue[];
  /** Entries that a step behind has no room for yet; they stay due. */
  readonly waiting: readonly DueEntry[];
  /** If set, nothing was done. */
  readonly halted: MillraceError | null;
}

export async function fireDue(program: Program, due: DueEntries): Promise<Fired> {
  const { at, watermark, stores, calls } = due;
  const operator = program.operators[at] as Operator;
  const entries = await taken(operator, due);
  const records = entries.map(({ store, key }): TimedRecord => {
    const record = placeholderOf(key, { store, partition: due.partition });
    const input = operator.stores.indexOf(store);
    return { record, movesToMs: -Infinity, watermark: key.dueMs, due: { at, input, key } };
  });
  const watermarkOf = (place: number, dueMs: number): number => {
    if (place === at) return watermark;
    // mistake: results behind their own time
    const before = program.watermarkBehind(at, dueMs, place);
    return Math.min(due.watermarkOf(place), before);
  };
  const batch = { records, stores, calls, book: new CallBook(), watermarkOf };
  const { outcomes, kept, ...result } = await runBatch(program, batch);
  const halted = outcomes.find((outcome) => outcome.kind === "halted")?.error ?? null;
  if (halted !== null) stores.rollback(0);
  const failed = outcomes.flatMap((outcome, index): FailedDue[] => {
    if (outcome.kind !== "dead-lettered") return [];
    const results = kept.get(index) ?? [];
    return [{ entry: entries[index] as DueEntry, failure: outcome.failure, results }];
  });
  const worked = outcomes.length;
  return { ...result, at, worked, failed, waiting: entries.slice(worked), halted };
}

/** Loads the entries that are worked now; the others are found again. None is due again before the last that is taken. */
async function taken(operator: Operator, due: DueEntries): Promise<readonly DueEntry[]> {
  const { watermark, stores } = due;
  const endMs = (due.entries[0]?.key.dueMs ?? 0) + (operator.dueAgainMs ?? Infinity);
  let entries = due.entries.filter(({ key }) => key.dueMs < endMs);
  for (const [store, own] of Map.groupBy(entries, (entry) => entry.store)) {
    const keys = own.map(({ key }) => key);
    const behind = own[await loadDue(operator, stores, { store, keys, watermark })];
    if (behind !== undefined) entries = entries.slice(0, entries.indexOf(behind));
  }
  for (const { store, key } of due.entries.slice(entries.length)) stores.dueAgain(store, key.dueMs);
  return entries;
}
