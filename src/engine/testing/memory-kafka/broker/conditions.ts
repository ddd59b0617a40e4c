// The condition the cluster is in: reachable or not, faults planned for requests, somebody watching them; its time, and
// the one signal on which everybody waits for changes.
import type { Clock } from "../../../core/ports.ts";
import type { WorkerSwitch } from "../../doubles/worker-switch.ts";

/** Requests that can be failed or watched. `commit` ends a transaction; `commitOffsets` is a consumer's. */
export type KafkaRequest =
  | "init"
  | "send"
  | "sendOffsets"
  | "commit"
  | "abort"
  | "produce"
  | "commitOffsets"
  | "committed"
  | "read"
  | "admin";

/** The outcome of a request: lost on its way, or only its reply; `taken` is called between the two. */
export interface RequestVerdict {
  readonly lose?: "request" | "reply";
  /** The request has taken effect and its reply is not sent yet; what it waits for delays the reply. */
  taken?(): Promise<void> | void;
}

/** Sees every request before it is sent; may delay it, stop the worker, or say what becomes of it. */
export type Watcher = (call: {
  readonly worker: WorkerSwitch;
  readonly request: KafkaRequest;
}) => Promise<RequestVerdict | void> | RequestVerdict | void;

/** Why a timer of the cluster was cancelled. Made once: without a reason, each abort would make an exception with its stack. */
export const CANCELLED: Error = new Error("no longer waited for");

/** Something changed. Waiters check for themselves whether it was what they wait for. */
class Signal {
  #waiters: (() => void)[] = [];

  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  raise(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

/** Faults of the cluster, and its time. */
export class Conditions {
  readonly clock: Clock;
  readonly changes: Signal = new Signal();
  #isAvailable = true;
  #watcher: Watcher = () => undefined;
  readonly #misplaced: bigint[] = [];
  readonly #lost: { readonly request: KafkaRequest; readonly after: boolean }[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get isAvailable(): boolean {
    return this.#isAvailable;
  }

  setAvailable(isAvailable: boolean): void {
    this.#isAvailable = isAvailable;
    this.changes.raise();
  }

  watch(watcher: Watcher): void {
    this.#watcher = watcher;
  }

  failNext(request: KafkaRequest, after: boolean): void {
    this.#lost.push({ request, after });
  }

  /** The fault planned for this request, which is thereby used up. */
  takeLoss(request: KafkaRequest): RequestVerdict["lose"] | null {
    const at = this.#lost.findIndex((loss) => loss.request === request);
    const [loss] = at < 0 ? [] : this.#lost.splice(at, 1);
    return loss === undefined ? null : loss.after ? "reply" : "request";
  }

  async seen(worker: WorkerSwitch, request: KafkaRequest): Promise<RequestVerdict> {
    return (await this.#watcher({ worker, request })) ?? {};
  }

  /** The next batch that anybody is given begins so many offsets beside where it should: below 0 again, above 0 too late. */
  misplaceNext(offsets: bigint): void {
    this.#misplaced.push(offsets);
  }

  get misplacement(): bigint {
    return this.#misplaced[0] ?? 0n;
  }

  takeMisplacement(): void {
    this.#misplaced.shift();
  }

  /** True after `ms` of the cluster's own time, which is stopped while it is away; false when cancelled. */
  async elapsed(ms: number, cancel: AbortSignal): Promise<boolean> {
    try {
      do {
        while (!this.#isAvailable) await this.changes.wait();
        await this.clock.sleep(ms, cancel);
      } while (!this.#isAvailable);
      return !cancel.aborted;
    } catch {
      // The only error of a sleep is its cancellation.
      return false;
    }
  }
}
