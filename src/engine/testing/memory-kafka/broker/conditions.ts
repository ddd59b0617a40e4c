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

/** Sees every request before it is sent; may delay it, or stop the worker. */
export type Watcher = (call: {
  readonly worker: WorkerSwitch;
  readonly request: KafkaRequest;
}) => Promise<void> | void;

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
  takeLoss(request: KafkaRequest): "before" | "after" | null {
    const at = this.#lost.findIndex((loss) => loss.request === request);
    const [loss] = at < 0 ? [] : this.#lost.splice(at, 1);
    return loss === undefined ? null : loss.after ? "after" : "before";
  }

  async seen(worker: WorkerSwitch, request: KafkaRequest): Promise<void> {
    await this.#watcher({ worker, request });
  }

  /** True after `ms` of the cluster's own time, which stands still while it is away; false when cancelled. */
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
