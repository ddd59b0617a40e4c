// What a task has beside its line where it has state or calls: its stores, its calls, the keys that are parked; and how far
// a run comes where some of them have no room.
import type { MillraceError } from "../../../core/errors.ts";
import { isLetter, type Outcome } from "../../../core/outcome.ts";
import { placeOf, type RawRecord } from "../../../core/record.ts";
import type { TaskAddress } from "../../../observe/health.ts";
import { publishParked } from "../../../observe/task-metrics.ts";
import type { CallBook } from "../../../transform/calls/book.ts";
import { TaskCalls } from "../../../transform/calls/call.ts";
import type { Breaker } from "../../gate/breaker.ts";
import { learnQueued, type Learner } from "../../line/learn.ts";
import type { Lot } from "../../line/lots.ts";
import type { ProcessedRun } from "../../line/process.ts";
import { Parking } from "../../calls/parking.ts";
import { callPortsOf } from "../../calls/ports.ts";
import { TaskState } from "./state.ts";
import type { StreamTaskOptions } from "../options.ts";

export interface OfTask {
  readonly address: TaskAddress;
  /** Ends with the task. */
  readonly signal: AbortSignal;
  readonly learner: Learner;
  /** Runs again for as long as the copies are away; rejects when the task ends first. */
  patiently(work: () => Promise<void>): Promise<void>;
  /** Tells the task that parked keys want its attention. */
  nudge(): void;
}

interface KeyedParts {
  readonly state: TaskState | null;
  /** Null where no step parks keys. */
  readonly parking: Parking | null;
}

export function keyedParts(options: StreamTaskOptions, task: OfTask): KeyedParts {
  const { stores, bound, partition, starts, context } = options;
  if (stores === null) return { state: null, parking: null };
  const { patiently, nudge, address, signal } = task;
  const calls = new TaskCalls(callPortsOf(context, address, signal));
  // mistake: stream time forgotten
  const streamTimeMs = Math.max(...starts.map((start) => start.streamTimeMs ?? -1));
  const now = (): number => context.clock.now();
  const state = new TaskState({ bound, partition, stores, calls, streamTimeMs, patiently, now });
  const steps = bound.program.parking;
  if (steps.length === 0) return { state, parking: null };
  const parking = new Parking({
    ...{ steps, stores, calls, patiently, nudge },
    learn: (step, kept) =>
      learnQueued(bound, { store: step.store?.name ?? "", kept }, task.learner),
    release: (step, ended) => state.release(step, ended),
    onChange: (step, waiting) => publishParked(context.meter, address, step, waiting),
  });
  return { state, parking };
}

/** What of a run a parked key has no room for, and what its calls have come to. */
export interface Rest {
  readonly run: Lot;
  readonly book: CallBook;
}

/** The run up to the record that the breaker refuses: what was made of it and of those behind it is undone. */
export async function admitted(
  run: Lot,
  book: CallBook,
  { state, breaker }: { readonly state: TaskState; readonly breaker: Breaker },
): Promise<ProcessedRun> {
  const processed = await state.process(run, book);
  const over = breaker.firstOver(processed.outcomes.map(isLetter));
  if (over === null) return processed;
  const raw = run.records[over] as RawRecord;
  state.undo();
  const before = { ...run, records: run.records.slice(0, over), nextOffset: placeOf(raw).offset };
  // Calls that have answered are in the book.
  const again = await state.process(before, book);
  const halted = { kind: "halted", error: breaker.error(raw) } as const;
  return { ...again, outcomes: [...again.outcomes, halted] };
}

/** How far a run has come. */
interface End {
  readonly halted: MillraceError | null;
  /** Records that are consumed. */
  readonly done: number;
  readonly rest: Rest | null;
  readonly nextOffset: bigint;
}

/** `outcomes` are those up to the first record that halts or has no room. */
export function endOf(run: Lot, outcomes: readonly Outcome[], book: CallBook): End {
  const last = outcomes.at(-1);
  const halted = last?.kind === "halted" ? last.error : null;
  const done = outcomes.length - (halted === null ? 0 : 1);
  const next = run.records[done];
  if (next === undefined) return { halted, done, rest: null, nextOffset: run.nextOffset };
  const rest = { run: { ...run, records: run.records.slice(done) }, book };
  return { halted, done, rest: halted === null ? rest : null, nextOffset: placeOf(next).offset };
}
