// The queued keys of one task: when each is due, the calls for their heads, which run beside the batches, and what came of
// them, which the task takes in between. Nothing here is the truth: that is in the store, and is looked through at the start.
import type { Called, TaskCalls } from "../../transform/calls/call.ts";
import {
  keptIn,
  keyAt,
  queueOf,
  type AtStep,
  type Kept,
  type KeyQueue,
} from "../../transform/calls/key-queue.ts";
import { headsOf, type EndedCall, type Released } from "../../transform/calls/release.ts";
import type { CallStep } from "../../transform/calls/map-async.ts";
import type { OpenStores } from "../../state/task-stores.ts";

export interface QueuedKeysOptions {
  readonly steps: readonly CallStep[];
  readonly stores: OpenStores;
  readonly calls: TaskCalls;
  /** Runs again for as long as the copies are away. */
  patiently(work: () => Promise<void>): Promise<void>;
  /** Resolves when the record can be read. */
  learn(step: CallStep, kept: Kept): Promise<void>;
  release(step: CallStep, ended: readonly EndedCall[]): Promise<Released>;
  /** Called when `turn` has something to do. */
  nudge(): void;
  onChange(step: string, waiting: QueuedCount): void;
}

interface QueuedCount {
  keys: number;
  records: number;
}

interface QueuedKey {
  readonly key: Buffer;
  dueMs: number;
  records: number;
  isCalling: boolean;
}

/** The keys of one step, by themselves as texts. */
interface StepKeys {
  readonly step: CallStep;
  readonly keys: Map<string, QueuedKey>;
  readonly waiting: QueuedCount;
  ended: EndedCall[];
  /** A later step had no room for them. */
  blocked: EndedCall[];
}

/** Keys whose heads are fetched at once. */
const DUE_MAX = 100;
/** A timer of Node takes no more. */
const LONGEST_SLEEP_MS = 2 ** 31 - 1;

export class QueuedKeys {
  readonly #options: QueuedKeysOptions;
  readonly #steps: readonly StepKeys[];
  #timer: { readonly dueMs: number; readonly stop: AbortController } | null = null;

  constructor(options: QueuedKeysOptions) {
    this.#options = options;
    const keysOf = (step: CallStep): StepKeys => {
      const waiting = { keys: 0, records: 0 };
      return { step, keys: new Map(), waiting, ended: [], blocked: [] };
    };
    this.#steps = options.steps.map(keysOf);
  }

  get records(): number {
    return this.#steps.reduce((sum, { waiting }) => sum + waiting.records, 0);
  }

  /** Finds the keys that an earlier owner has queued. */
  async open(): Promise<void> {
    for (const ofStep of this.#steps) {
      const store = this.#options.stores.store(nameOf(ofStep.step));
      let cursor: string | null = null;
      do {
        await this.#options.patiently(async () => {
          const page = await store.page(cursor);
          for (const { key: place, entry } of page.entries) {
            const kept = keptIn(place, entry.value);
            if (kept !== null) await this.#options.learn(ofStep.step, kept);
            const key = keyAt(place);
            if (key !== null) this.#set(ofStep, key, entry.value as KeyQueue);
          }
          cursor = page.cursor;
        });
      } while (cursor !== null);
      this.#options.onChange(ofStep.step.name, ofStep.waiting);
    }
    this.#sleep();
  }

  /** Looks at keys that a batch has changed, before it ends. */
  look(changed: Iterable<{ readonly step: CallStep; readonly key: Buffer }>): void {
    for (const { step, key } of changed) {
      const ofStep = this.#steps.find((one) => one.step.at === step.at) as StepKeys;
      const view = this.#options.stores.view(nameOf(step));
      this.#set(ofStep, key, queueOf(view, key));
      this.#options.onChange(step.name, ofStep.waiting);
    }
    this.#sleep();
  }

  #set({ keys, waiting }: StepKeys, key: Buffer, queue: KeyQueue | null): void {
    const id = key.toString("latin1");
    const known = keys.get(id);
    const records = queue === null ? 0 : queue.to - queue.from;
    waiting.records += records - (known?.records ?? 0);
    waiting.keys += Number(queue !== null) - Number(known !== undefined);
    if (queue === null) keys.delete(id);
    else if (known !== undefined) Object.assign(known, { records, dueMs: queue.dueMs });
    else keys.set(id, { key: Buffer.from(key), records, dueMs: queue.dueMs, isCalling: false });
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
    for (const { key } of done) {
      const known = ofStep.keys.get(key.toString("latin1"));
      if (known !== undefined) known.isCalling = false;
    }
    this.look([...released.queued, ...done.map(({ key }) => ({ step: ofStep.step, key }))]);
    return released;
  }

  /** Results that were blocked may be tried again. */
  unblock(): void {
    for (const ofStep of this.#steps) ofStep.ended.push(...ofStep.blocked.splice(0));
  }

  async #callDue(ofStep: StepKeys): Promise<void> {
    const { stores, calls } = this.#options;
    const now = calls.ports.clock.now();
    const due: QueuedKey[] = [];
    for (const known of ofStep.keys.values()) {
      if (due.length === DUE_MAX) break;
      if (!known.isCalling && known.dueMs <= now) due.push(known);
    }
    if (due.length === 0) return;
    const keys = due.map(({ key }) => key);
    const heads = await headsOf(ofStep.step, keys, stores);
    due.forEach((known, i) => {
      const head = heads[i] ?? null;
      if (head === null) return this.#set(ofStep, known.key, null);
      known.isCalling = true;
      this.#call(ofStep, known.key, head.head);
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

  /** Until the next key is due. */
  #sleep(): void {
    const { calls, nudge } = this.#options;
    const { clock, signal } = calls.ports;
    let dueMs = Infinity;
    for (const { keys } of this.#steps)
      for (const known of keys.values()) if (!known.isCalling) dueMs = Math.min(dueMs, known.dueMs);
    if (dueMs === Infinity || this.#timer?.dueMs === dueMs) return;
    this.#timer?.stop.abort(new Error("another key is due sooner"));
    const stop = new AbortController();
    this.#timer = { dueMs, stop };
    const ms = Math.min(Math.max(0, dueMs - clock.now()), LONGEST_SLEEP_MS);
    clock.sleep(ms, AbortSignal.any([stop.signal, signal])).then(
      () => {
        this.#timer = null;
        nudge();
      },
      () => undefined,
    );
  }
}

const nameOf = ({ store }: CallStep): string => store?.name ?? "";
