// Calls of a task without a worker: in virtual time, with the chance of a seed, and counted.
import { FakeClock } from "../../src/engine/testing/doubles/fake-clock.ts";
import { TaskCalls, type CallEnd } from "../../src/engine/transform/calls/call.ts";
import { UNWATCHED } from "../../src/engine/core/loop-memory.ts";

export class TestCalls {
  readonly clock = new FakeClock();
  readonly life = new AbortController();
  readonly ends: CallEnd[] = [];
  retries = 0;
  readonly calls: TaskCalls = new TaskCalls({
    clock: this.clock,
    random: { next: () => 0.5, token: () => "" },
    signal: this.life.signal,
    watch: UNWATCHED,
    clientOf: ({ name }) => `client of ${name}`,
    onCall: (_step, _seconds, end) => void this.ends.push(end),
    onRetry: () => void this.retries++,
  });

  /** Lets virtual time pass until the promise has settled. */
  async during<T>(work: Promise<T>, limitMs = 600_000): Promise<T> {
    let isDone = false;
    const marked = work.finally(() => (isDone = true));
    // The caller awaits `marked`.
    marked.catch(() => undefined);
    await this.clock.advanceUntil(() => isDone, limitMs);
    if (!isDone) throw new Error("it never ends");
    return marked;
  }
}
