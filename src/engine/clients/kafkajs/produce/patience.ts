// The retries of a producer: pauses that grow, leaders asked for anew, an end at the deadline, and an early one for a
// topic that stays unknown.
import { MillraceError, notMadeYet } from "../../../core/errors.ts";
import type { Cluster } from "../cluster.ts";
import { BrokerRefusal, codes, translate } from "../failures.ts";

/** A topic that was just made is unknown for a moment; when it stays so for this long, it does not exist. */
const unknownTopicGraceMs = 5_000;
const pauseMs = { first: 5, max: 500, factor: 1.6 } as const;

export class Patience {
  readonly #cluster: Cluster;
  readonly #deadlineMs: number;
  readonly #startedAt = performance.now();
  #unknownSince: number | null = null;
  #waitMs: number = pauseMs.first;

  constructor(cluster: Cluster, deadlineMs: number) {
    this.#cluster = cluster;
    this.#deadlineMs = deadlineMs;
  }

  /** Waits and looks around before another attempt, or throws ours when none is worth it. */
  async after(failure: unknown, what: string): Promise<void> {
    const now = performance.now();
    this.#checkTopic(failure, what, now);
    const translated = translate(failure, { what, right: "Write" });
    const isFinal = translated.disposition !== "retry" || now - this.#startedAt > this.#deadlineMs;
    if (isFinal || this.#cluster.isClosed) throw translated;
    await this.#cluster.pause(this.#waitMs);
    this.#waitMs = Math.min(this.#waitMs * pauseMs.factor, pauseMs.max);
    // If that fails too, the next attempt finds out.
    await this.#cluster.refresh().catch(() => undefined);
  }

  /** Things go well again. */
  renew(): void {
    this.#waitMs = pauseMs.first;
    this.#unknownSince = null;
  }

  /** A broker that has just started does not know its topics yet: only an answer that stays the same counts. */
  #checkTopic(failure: unknown, what: string, now: number): void {
    const isUnknown =
      failure instanceof BrokerRefusal && failure.code === codes.unknownTopicOrPartition;
    this.#unknownSince = isUnknown ? (this.#unknownSince ?? now) : null;
    // Before the deadline, which would say that Kafka is away.
    const graceMs = Math.min(unknownTopicGraceMs, this.#deadlineMs / 2);
    if (!isUnknown || now - (this.#unknownSince ?? now) <= graceMs) return;
    const { at } = failure;
    const where = at === null ? {} : { topic: at.topic, partition: at.partition };
    throw new MillraceError("MILL_TOPIC_MISSING", notMadeYet(at?.topic ?? what), { where });
  }
}
