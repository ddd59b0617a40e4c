// Queued keys whose calls have ended: the head goes on downstream, is put off, or all of its records are given up.
// State, outputs and letters change together, or (a halt) not at all.
import type { DecodedRecord, Failure, Outcome } from "../../core/outcome.ts";
import type { MillraceError } from "../../core/errors.ts";
import { byId, type StoreView, type TaskStores } from "../../core/state.ts";
import { runBatch, type BatchResult, type TimedRecord } from "../pass.ts";
import type { Program } from "../program.ts";
import { CallBook } from "./book.ts";
import type { Called, TaskCalls } from "./call.ts";
import {
  keptAt,
  queueOf,
  placeOfKey,
  placeOfRecord,
  putOff,
  recordIn,
  takeHead,
  takeAll,
  TOTALS_PLACE,
  type AtStep,
  type Kept,
  type KeyQueue,
} from "./key-queue.ts";
import type { RawRecord } from "../../core/record.ts";
import { afterFailure, CallError, type NextCall, type Tried } from "./policy.ts";
import type { CallStep } from "./map-async.ts";

/** The call for the first record of a queued key has ended. */
export interface EndedCall {
  readonly key: Buffer;
  readonly called: Called;
}

export interface Release {
  readonly step: CallStep;
  /** At most one call of each key. */
  readonly ended: readonly EndedCall[];
  readonly stores: TaskStores;
  readonly calls: TaskCalls;
  /** The watermark in front of an operator (`Batch.watermarkOf`). */
  watermarkOf(at: number): number;
  readonly learn: LearnKept;
}

/** Resolves when the record can be read. */
export type LearnKept = (step: CallStep, kept: Kept) => Promise<void>;

/** A record that had counted as emitted, and how it ends. */
export interface GivenUp {
  readonly record: DecodedRecord;
  readonly outcome: Outcome;
}

export interface Released extends Pick<
  BatchResult,
  "outputs" | "deferred" | "queued" | "behind" | "lateResults" | "evicted"
> {
  /** The place of the step. */
  readonly at: number;
  readonly givenUp: readonly GivenUp[];
  /** Records that went on or were given up. */
  readonly taken: readonly RawRecord[];
  /** Heads that went on. */
  readonly wentOn: readonly GivenUp[];
  /** Calls whose record finds no room at a later step yet; their keys are unchanged. */
  readonly waiting: readonly EndedCall[];
  /** If set, nothing was done. */
  readonly halted: MillraceError | null;
}

/** A queued key whose call has ended. */
interface Hand extends QueuedHead {
  readonly ended: EndedCall;
  readonly tried: Tried;
  /** Null: its head goes on. */
  readonly next: NextCall | null;
}

/** Takes queued keys on whose calls have ended. */
export async function release(program: Program, given: Release): Promise<Released> {
  const { step, stores, calls, watermarkOf } = given;
  const view = stores.view(storeOf(step));
  const book = new CallBook();
  const waiting: EndedCall[] = [];
  let hands = await handsOf(given);
  for (;;) {
    const heads = hands.filter(({ next }) => next === null);
    const records = heads.map(({ ended: { called }, head: { record, value } }): TimedRecord => {
      const answer = called.end === "answered" ? called.answer : undefined;
      const released = { at: step.at, value, answer };
      return { record, movesToMs: -Infinity, watermark: -Infinity, released };
    });
    let dead: GivenUp[] = [];
    const begin = (): void => {
      const nowMs = calls.ports.clock.now();
      dead = hands.flatMap((hand) => changed(step, hand, view, nowMs));
    };
    const result = await runBatch(program, {
      ...{ records, stores, calls, book, begin, watermarkOf },
    });
    const { length } = result.outcomes;
    const last = result.outcomes[length - 1];
    if (last?.kind !== "halted" && length === heads.length)
      return {
        ...result,
        at: step.at,
        ...endsOf(heads, result, dead),
        taken: hands.filter(({ next }) => isTaken(next)).map(({ head }) => head.record.raw),
        waiting,
        halted: null,
      };
    stores.rollback(0);
    if (last?.kind === "halted") return { ...nothing, at: step.at, waiting, halted: last.error };
    const blocked = heads[length] as Hand;
    waiting.push(blocked.ended);
    hands = hands.filter((hand) => hand !== blocked);
  }
}

const storeOf = ({ store }: CallStep): string => store?.name ?? "";

/** Not one that is put off. */
const isTaken = (next: NextCall | null): boolean => next === null || next instanceof CallError;

const nothing = {
  outputs: [],
  deferred: [],
  evicted: [],
  queued: [],
  lateResults: [],
  behind: new Map<number, number>(),
  givenUp: [],
  wentOn: [],
  taken: [],
} as const;

/** Brings what they need into memory: every record of a key that is given up, else the head. */
async function handsOf(given: Release): Promise<Hand[]> {
  const { step, stores, calls, ended, learn } = given;
  const keys = ended.map(({ key }) => key);
  const heads = await headsOf(step, keys, stores, learn);
  const hands = ended.flatMap((one, i): Hand[] => {
    const { queue, head } = heads[i] ?? {};
    if (queue === undefined || head === undefined) return [];
    const firstMs = queue.times === 0 ? calls.ports.clock.now() : queue.firstMs;
    const tried = { times: queue.times + 1, firstMs };
    const { called } = one;
    const next = called.end === "answered" ? null : afterFailure(step, called, tried, calls.ports);
    return [{ ended: one, queue, head, tried, next }];
  });
  const dying = hands.flatMap(({ ended: { key }, queue: { from, to }, next }) =>
    next instanceof CallError
      ? Array.from({ length: to - from }, (_, n) => ({ key, number: from + n }))
      : [],
  );
  const places = dying.map(({ key, number }) => placeOfRecord(key, number));
  await stores.load(storeOf(step), byId([TOTALS_PLACE, ...places]));
  await learnAll(step, dying, stores, learn);
  return hands;
}

interface RecordPlace {
  readonly key: Buffer;
  readonly number: number;
}

async function learnAll(
  step: CallStep,
  places: readonly RecordPlace[],
  stores: TaskStores,
  learn: LearnKept,
): Promise<void> {
  const view = stores.view(storeOf(step));
  for (const { key, number } of places) {
    const kept = keptAt(view, key, number);
    if (kept !== null) await learn(step, kept);
  }
}

export interface QueuedHead {
  readonly queue: KeyQueue;
  readonly head: AtStep;
}

/** The queue of each key with its first record; null for a key that is not queued. */
export async function headsOf(
  step: CallStep,
  keys: readonly Buffer[],
  stores: TaskStores,
  learn: LearnKept,
): Promise<(QueuedHead | null)[]> {
  const store = storeOf(step);
  await stores.load(store, byId(keys.map(placeOfKey)));
  const view = stores.view(store);
  const queues = keys.map((key) => queueOf(view, key));
  const firsts = keys.flatMap((key, i) => {
    const one = queues[i] ?? null;
    return one === null ? [] : [{ key, number: one.from }];
  });
  await stores.load(store, byId(firsts.map(({ key, number }) => placeOfRecord(key, number))));
  await learnAll(step, firsts, stores, learn);
  const shelf = { view, keeping: step.keeping };
  return keys.map((key, i) => {
    const one = queues[i] ?? null;
    return one === null ? null : { queue: one, head: recordIn(shelf, key, one.from) };
  });
}

/** Changes the key's entry; returns what dies of it. */
function changed(step: CallStep, hand: Hand, view: StoreView, nowMs: number): GivenUp[] {
  const { ended, tried, next } = hand;
  const shelf = { view, keeping: step.keeping };
  if (next instanceof CallError)
    return takeAll(shelf, ended.key).map((record, i) => ({
      record,
      outcome: {
        kind: "dead-lettered",
        failure: { ...failureOf(step, next, i), originMs: record.originMs },
      },
    }));
  if (next === null) takeHead(shelf, ended.key, nowMs);
  else putOff(view, ended.key, tried, next.dueMs);
  return [];
}

/** Only the first was called for. */
function failureOf(step: CallStep, { code, message, tried }: CallError, place: number): Failure {
  const shared = { class: "transform", stage: "transform", step: step.name, rule: null } as const;
  if (place === 0) return { ...shared, code, message, tried };
  const behind = new CallError("MILL_CALL_BEHIND", `map-async "${step.name}"`, { tried });
  return { ...shared, code: behind.code, message: behind.message, tried: { ...tried, times: 0 } };
}

/** Heads with answers: some a later step could not take. */
function endsOf(
  heads: readonly Hand[],
  { outcomes }: BatchResult,
  dead: readonly GivenUp[],
): Pick<Released, "givenUp" | "wentOn"> {
  const ends = outcomes.map((outcome, i): GivenUp => {
    const { record } = (heads[i] as Hand).head;
    return { record, outcome };
  });
  const isDead = ({ outcome }: GivenUp): boolean => outcome.kind === "dead-lettered";
  return {
    givenUp: [...dead, ...ends.filter(isDead)],
    wentOn: ends.filter((end) => !isDead(end)),
  };
}
