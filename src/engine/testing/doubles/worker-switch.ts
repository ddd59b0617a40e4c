// A worker process as its surroundings see it: running, frozen (stopped, may go on as a zombie) or crashed. Every
// request of a worker to its doubles passes here, before and after, so a stopped worker does nothing and hears nothing.
import { assert } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";

type WorkerState = "running" | "frozen" | "crashed";

/** running → frozen → running · running or frozen → crashed, for ever. */
export class WorkerSwitch {
  #state: WorkerState = "running";
  readonly #watchers: Set<(state: WorkerState) => void> = new Set();
  #thawed: Promise<void> = Promise.resolve();
  #release: () => void = () => undefined;

  get state(): WorkerState {
    return this.#state;
  }

  freeze(): void {
    assert(this.#state === "running", "only a running worker can be frozen");
    this.#move("frozen");
  }

  thaw(): void {
    assert(this.#state === "frozen", "only a frozen worker can be thawed");
    this.#move("running");
  }

  crash(): void {
    if (this.#state !== "crashed") this.#move("crashed");
  }

  /** Resolves when the worker may act: at once, after `thaw`, or never. */
  async passed(): Promise<void> {
    do await this.#thawed;
    while (this.#state !== "running");
  }

  /** Calls back at every move; returns what ends it. */
  watch(onMove: (state: WorkerState) => void): () => void {
    this.#watchers.add(onMove);
    return () => void this.#watchers.delete(onMove);
  }

  #move(to: WorkerState): void {
    const wasRunning = this.#state === "running";
    this.#state = to;
    if (to === "running") this.#release();
    else if (wasRunning) this.#thawed = new Promise((resolve) => (this.#release = resolve));
    for (const onMove of [...this.#watchers]) onMove(to);
  }
}

/** The clock as this worker sees it: a sleep ends only while the worker runs. */
export const workerClock = (clock: Clock, worker: WorkerSwitch): Clock => ({
  now: () => clock.now(),
  monotonic: () => clock.monotonic(),
  sleep: async (ms, signal) => {
    await clock.sleep(ms, signal);
    await worker.passed();
  },
});
