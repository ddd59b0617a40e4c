// The membership of one generation, kept alive by heartbeats until it is over: another generation is being formed, the
// coordinator no longer knows us, or we want out. Heartbeats go on after the end, until the hooks have run.
import type { GroupGeneration } from "../../../core/kafka.ts";
import { setTimeout as delay } from "node:timers/promises";
import { codeOf, codes, translate } from "../failures.ts";
import type { Membership } from "./membership.ts";

export interface SessionOptions {
  readonly membership: Membership;
  readonly generation: GroupGeneration;
  readonly intervalMs: number;
}

/** After a heartbeat without an answer the next one does not wait its turn. */
const retryMs = 100;
const lostCodes = new Set<number>([codes.illegalGeneration, codes.unknownMemberId, 82]);

export class MemberSession {
  readonly over: Promise<void>;
  failure: Error | null = null;
  /** Heartbeats in a row that had no answer. */
  missedBeats = 0;
  isOver = false;
  readonly #options: SessionOptions;
  readonly #ended: () => void;
  readonly #stopping = new AbortController();
  readonly #beating: Promise<void>;

  constructor(options: SessionOptions) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#options = options;
    this.over = promise;
    this.#ended = resolve;
    this.#beating = this.#beat();
  }

  end(): void {
    this.isOver = true;
    this.#ended();
  }

  /** Over, and the consumer with it. */
  fail(error: Error): void {
    this.failure ??= error;
    this.end();
  }

  async stopBeating(): Promise<void> {
    this.#stopping.abort();
    await this.#beating;
  }

  async #beat(): Promise<void> {
    const { signal } = this.#stopping;
    let waitMs = this.#options.intervalMs;
    while (!signal.aborted) {
      // Rejects only when stopped, which the next line asks about.
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      waitMs = this.#options.intervalMs;
      try {
        await this.#options.membership.heartbeat(this.#options.generation);
        this.missedBeats = 0;
      } catch (error) {
        if (this.#isLost(error)) return;
        if (!this.isOver) waitMs = Math.min(waitMs, retryMs);
      }
    }
  }

  /** Says what an unsuccessful heartbeat means; true when there is nothing left to keep alive. */
  #isLost(error: unknown): boolean {
    const code = codeOf(error) ?? 0;
    if (code === codes.rebalanceInProgress) this.end();
    else if (lostCodes.has(code)) {
      if (code === codes.unknownMemberId) this.#options.membership.forget();
      this.end();
      return true;
    } else {
      this.missedBeats++;
      const failure = translate(error, `heartbeat of ${this.#options.generation.group}`);
      if (failure.disposition !== "retry") this.fail(failure);
    }
    return this.failure !== null;
  }
}
