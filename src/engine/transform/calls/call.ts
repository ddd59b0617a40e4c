// A call to the outside, bounded in number and in time, and by the life of its task. A function that ignores its signal
// is abandoned, and its answer is dropped. The user's function enters here and nowhere else.
import { NO_PLACE, WORD, type StepWatch } from "../../core/loop-memory.ts";
import type { Operation, PlanResource, RetryPolicy } from "../../core/plan.ts";
import type { Clock, Random } from "../../core/ports.ts";
import type { RecordContext } from "../../core/record.ts";

/** The context of a call, beside the value. */
export interface CallContext {
  readonly client: unknown;
  /** Aborts when the call has taken too long, and when the task is taken away. */
  readonly signal: AbortSignal;
  readonly record: RecordContext;
}

/** A call to the outside for each record; keys whose calls fail are queued in its store, where it has one. */
export interface CallOperation extends Operation {
  readonly kind: "map-async";
  readonly fn: (value: unknown, call: CallContext) => Promise<unknown>;
  readonly resource: PlanResource | null;
  /** Calls of one task at a time. */
  readonly concurrency: number;
  readonly timeoutMs: number;
  /** Null: a dead letter at the first failure. */
  readonly retry: RetryPolicy | null;
  /** No step between the part's source and this one changes a value: its bytes are enough to have it again. */
  readonly isCarried?: boolean;
}

export type CallEnd = "answered" | "failed" | "timeout";

/** The ports of one task's calls. */
export interface CallPorts {
  readonly clock: Clock;
  readonly random: Random;
  /** Ends with the task. */
  readonly signal: AbortSignal;
  readonly watch: StepWatch;
  clientOf(resource: PlanResource): unknown;
  onCall(step: string, seconds: number, end: CallEnd): void;
  onRetry(step: string): void;
}

/** A step that calls, as its calls see it. */
export interface Callee {
  /** The node. */
  readonly at: number;
  readonly name: string;
  readonly operation: CallOperation;
}

export type Called =
  | { readonly end: "answered"; readonly answer: unknown }
  | { readonly end: "failed" | "timeout"; readonly error: unknown };

/** A call to make: its value and its record. */
export interface Calling {
  readonly value: unknown;
  readonly context: RecordContext;
  /** For a queued key: it lets calls of the batch go first. */
  readonly isBehind: boolean;
}

/** The calls of one task: each step has its lane. */
export class TaskCalls {
  readonly ports: CallPorts;
  readonly #lanes = new Map<number, CallSlots>();

  constructor(ports: CallPorts) {
    this.ports = ports;
  }

  /** Rejects only when the task ends. */
  async call(step: Callee, calling: Calling): Promise<Called> {
    const { clock, signal } = this.ports;
    const lane = this.#lane(step);
    await lane.enter(calling.isBehind);
    try {
      signal.throwIfAborted();
      const startedMs = clock.monotonic();
      const called = await this.#made(step, calling);
      this.ports.onCall(step.name, (clock.monotonic() - startedMs) / 1_000, called.end);
      return called;
    } finally {
      lane.leave(calling.isBehind);
    }
  }

  #lane({ at, operation }: Callee): CallSlots {
    const lane = this.#lanes.get(at) ?? new CallSlots(operation.concurrency);
    this.#lanes.set(at, lane);
    return lane;
  }

  async #made({ at, name, operation }: Callee, { value, context }: Calling): Promise<Called> {
    const { clock, signal, clientOf, watch } = this.ports;
    const own = new AbortController();
    const timer = new AbortController();
    const late = clock.sleep(operation.timeoutMs, timer.signal).then((): Called => {
      const error = new TimeoutError("the call took too long");
      own.abort(error);
      return { end: "timeout", error };
    });
    const ended = Promise.withResolvers<never>();
    const end = (): void => {
      own.abort(signal.reason);
      ended.reject(signal.reason as Error);
    };
    signal.addEventListener("abort", end, { once: true });
    const client = operation.resource === null ? undefined : clientOf(operation.resource);
    const call = { client, signal: own.signal, record: context };
    const make = (): Promise<unknown> =>
      watched(watch, { at, name, context }, () => operation.fn(value, call));
    try {
      return await Promise.race([called(make), late, ended.promise]);
    } finally {
      signal.removeEventListener("abort", end);
      // Ends the sleep, whose rejection says only that.
      late.catch(() => undefined);
      timer.abort(new Error("the call has ended"));
    }
  }
}

class TimeoutError extends Error {
  override readonly name = "TimeoutError";
}

/** The work of a call before its first wait keeps the event loop. */
function watched<T>(
  watch: StepWatch,
  { at, name, context }: Pick<Callee, "at" | "name"> & Pick<Calling, "context">,
  make: () => T,
): T {
  const { words, offset } = watch.memory;
  const begun = words[WORD.ticks] as number;
  words[WORD.partition] = context.partition;
  offset[0] = context.offset;
  words[WORD.place] = watch.firstPlace + 1 + at;
  try {
    return make();
  } finally {
    words[WORD.place] = NO_PLACE;
    const spent = ((words[WORD.ticks] as number) - begun) | 0;
    if (spent >= watch.ticksMax) watch.slow(name, context, spent);
  }
}

/** A function that throws, not being async, has rejected. */
async function called(make: () => Promise<unknown>): Promise<Called> {
  try {
    return { end: "answered", answer: await make() };
  } catch (error) {
    return { end: "failed", error };
  }
}

/** Limits calls at a time. Calls for queued keys take at most half, and only slots that no other call waits for. */
class CallSlots {
  #free: number;
  #behindFree: number;
  readonly #first: (() => void)[] = [];
  readonly #behind: (() => void)[] = [];

  constructor(max: number) {
    this.#free = max;
    this.#behindFree = Math.max(1, Math.floor(max / 2));
  }

  enter(isBehind: boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    (isBehind ? this.#behind : this.#first).push(resolve);
    this.#admit();
    return promise;
  }

  leave(isBehind: boolean): void {
    this.#free++;
    if (isBehind) this.#behindFree++;
    this.#admit();
  }

  #admit(): void {
    while (this.#free > 0) {
      const next = this.#first.shift() ?? this.#nextBehind();
      if (next === undefined) return;
      this.#free--;
      next();
    }
  }

  #nextBehind(): (() => void) | undefined {
    if (this.#behindFree === 0 || this.#behind.length === 0) return undefined;
    this.#behindFree--;
    return this.#behind.shift();
  }
}
