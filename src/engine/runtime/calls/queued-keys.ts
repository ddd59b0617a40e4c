// The queued keys of one task: calls for the heads of those that are due, which run beside the batches, and what came of
// them, which the task takes in between. Nothing here is the truth: that is in the store, whose due index says which key is
// next.
import { byId } from "../../core/state.ts";
import { assert } from "../../core/errors.ts";
import type { Called, TaskCalls } from "../../transform/calls/call.ts";
import {
  placeOfKey,
  putTotals,
  queueOf,
  TOTALS_PLACE,
  totalsIn,
  type AtStep,
  type QueueTotals,
} from "../../transform/calls/key-queue.ts";
import {
  headsOf,
  type EndedCall,
  type LearnKept,
  type Released,
} from "../../transform/calls/release.ts";
import type { CallStep } from "../../transform/calls/map-async.ts";
import type { KeyedStore } from "../../state/keyed-store.ts";
import type { OpenStores } from "../../state/task-stores.ts";
import { Alarm } from "./alarm.ts";

export interface QueuedKeysOptions {
  readonly steps: readonly CallStep[];
  readonly stores: OpenStores;
  readonly calls: TaskCalls;
  /** Runs again for as long as the copies are away. */
  patiently<T>(work: () => Promise<T>): Promise<T>;
  readonly learn: LearnKept;
  release(step: CallStep, ended: readonly EndedCall[]): Promise<Released>;
  /** Called when `turn` has something to do. */
  nudge(): void;
  onChange(step: string, waiting: QueueTotals): void;
}

interface StepKeys {
  readonly step: CallStep;
  readonly store: KeyedStore;
  /** Places of keys whose heads are called for, or whose answers are not taken yet. */
  readonly calling: Set<string>;
  waiting: QueueTotals;
  ended: EndedCall[];
  /** A later step had no room for them. */
  blocked: EndedCall[];
}

/** Keys whose heads are fetched at once. */
const DUE_MAX = 100;
/** Keys whose queues are fetched at once. */
const COUNTED_MAX = 500;

export class QueuedKeys {
  readonly #options: QueuedKeysOptions;
  readonly #steps: readonly StepKeys[];
  readonly #alarm: Alarm;

  constructor(options: QueuedKeysOptions) {
    this.#options = options;
    const { clock, signal } = options.calls.ports;
    this.#alarm = new Alarm(clock, signal, () => options.nudge());
    const keysOf = (step: CallStep): StepKeys => {
      const store = options.stores.store(nameOf(step));
      const waiting = { keys: 0, records: 0 };
      return { step, store, calling: new Set(), waiting, ended: [], blocked: [] };
    };
    this.#steps = options.steps.map(keysOf);
  }

  get records(): number {
    return this.#steps.reduce((sum, { waiting }) => sum + waiting.records, 0);
  }

  /** Learns how many keys and records an earlier owner has queued. */
  async open(): Promise<void> {
    const { stores, onChange } = this.#options;
    for (const ofStep of this.#steps) {
      const { step, store } = ofStep;
      await stores.load(nameOf(step), byId([TOTALS_PLACE]));
      ofStep.waiting = totalsIn(store) ?? (await this.#counted(ofStep));
      stores.endBatch();
      onChange(step.name, ofStep.waiting);
    }
    this.#sleep();
  }

  /** The totals of a store that 0.1.0 has written, which kept none. From then on the store has them. */
  async #counted({ step, store }: StepKeys): Promise<QueueTotals> {
    const { stores, patiently } = this.#options;
    const all = await patiently(() => store.due(Infinity, Infinity));
    const [first] = all;
    if (first === undefined) return { keys: 0, records: 0 };
    store.dueAgain(first.dueMs);
    let records = 0;
    for (let i = 0; i < all.length; i += COUNTED_MAX) {
      const places = all.slice(i, i + COUNTED_MAX);
      await stores.load(nameOf(step), byId(places));
      for (const { bytes } of places) {
        const { from, to } = queueOf(store, bytes.subarray(1)) ?? { from: 0, to: 0 };
        records += to - from;
      }
    }
    const totals = { keys: all.length, records };
    putTotals(store, totals);
    return totals;
  }

  /** Looks at what a batch has changed, before it ends. */
  look(changed: Iterable<{ readonly step: CallStep }>): void {
    const steps = new Set([...changed].map(({ step }) => step.at));
    for (const ofStep of this.#steps) {
      if (!steps.has(ofStep.step.at)) continue;
      ofStep.waiting = totalsIn(ofStep.store) ?? { keys: 0, records: 0 };
      this.#options.onChange(ofStep.step.name, ofStep.waiting);
    }
    this.#sleep();
  }

  /** Calls for what is due, and releases what has ended, so many keys at most; null when there is nothing to take. */
  async turn(keysMax: number = Infinity): Promise<Released | null> {
    for (const ofStep of this.#steps) await this.#callDue(ofStep);
    this.#sleep();
    const ofStep = this.#steps.find(({ ended }) => ended.length > 0);
    if (ofStep === undefined) return null;
    const ended = ofStep.ended.splice(0, Math.min(keysMax, ofStep.ended.length));
    const released = await this.#options.release(ofStep.step, ended);
    ofStep.blocked.push(...released.waiting);
    const stayed = new Set(released.waiting);
    const done = ended.filter((one) => !stayed.has(one));
    for (const { key } of done) ofStep.calling.delete(placeOfKey(key).id);
    this.look([...released.queued, ...(done.length === 0 ? [] : [ofStep])]);
    return released;
  }

  /** Results that were blocked may be tried again. */
  unblock(): void {
    for (const ofStep of this.#steps) ofStep.ended.push(...ofStep.blocked.splice(0));
  }

  /** In the order of due and key. A key that is called for stays due until its call has ended. */
  async #callDue(ofStep: StepKeys): Promise<void> {
    const { step, store, calling } = ofStep;
    const { stores, calls, patiently, learn } = this.#options;
    const now = dueBy(step, store.nextDueMs, calls.ports.clock.now());
    if (store.nextDueMs > now) return;
    const due = await patiently(() => store.due(now + 1, DUE_MAX + calling.size));
    const places = due.filter(({ id }) => !calling.has(id));
    if (places.length === 0) return;
    const keys = places.map(({ bytes }) => bytes.subarray(1));
    const heads = await headsOf(step, keys, stores, learn);
    places.forEach(({ id }, i) => {
      const { head } = heads[i] ?? {};
      assert(head !== undefined, "a key that is due is queued");
      calling.add(id);
      this.#call(ofStep, keys[i] as Buffer, head);
    });
    stores.endBatch();
  }

  #call(ofStep: StepKeys, key: Buffer, { record, value }: AtStep): void {
    const { calls, nudge } = this.#options;
    const taken = (called: Called): void => {
      ofStep.ended.push({ key, called });
      nudge();
    };
    // A tombstone goes by without a call.
    if (value === undefined) return taken({ end: "answered", answer: undefined });
    calls.ports.onRetry(ofStep.step.name);
    calls
      .call(ofStep.step, { value, context: record.context, isBehind: true })
      // It rejects with the end of the task alone.
      .then(taken, () => undefined);
  }

  /** Until the next key is due, and for no longer than a pause. */
  #sleep(): void {
    let dueMs = Infinity;
    const nowMs = this.#options.calls.ports.clock.now();
    for (const { step, store } of this.#steps)
      if (store.nextDueMs < Infinity)
        dueMs = Math.min(dueMs, store.nextDueMs, nowMs + longestPauseMs(step));
    this.#alarm.at(dueMs);
  }
}

const longestPauseMs = ({ operation }: CallStep): number => operation.retry?.maxMs ?? Infinity;

/**
 * The time up to which keys are due. A due that lies further off than any pause was written by a clock that was ahead: its
 * key does not wait until that time comes.
 */
const dueBy = (step: CallStep, nextDueMs: number, nowMs: number): number =>
  nextDueMs < Infinity && nextDueMs - nowMs > longestPauseMs(step) ? nextDueMs : nowMs;

const nameOf = ({ store }: CallStep): string => store?.name ?? "";
