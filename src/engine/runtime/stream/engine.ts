// The transaction of a worker: every stream task of it commits together, fenced by group (KIP-447). Owns the producer.
// One thing at a time happens to it: a checkpoint, a rewind, or a transaction of a takeover.
import { commit } from "../../checkpoint/commit.ts";
import { Schedule } from "../../checkpoint/schedule.ts";
import { messageOf } from "../../core/errors.ts";
import type { SentBatch, TxProducer } from "../../core/kafka.ts";
import { publishCommitTime, publishLedger } from "../../observe/task-metrics.ts";
import type { WorkerContext } from "../context.ts";
import { actionOf, KAFKA_IS_AWAY, persist } from "../failure.ts";
import type { BoundPart } from "../line/bind.ts";
import { Mutex } from "./mutex.ts";
import type { StreamPart } from "./part.ts";
import type { TaskCheckpoint } from "./task.ts";

/** A broker that restarts is back sooner, and nobody need know. */
const SILENCE_MS = 3_000;

export class StreamEngine {
  readonly #context: WorkerContext;
  readonly #onFatal: (error: Error) => void;
  readonly #parts: StreamPart[] = [];
  readonly #lock = new Mutex();
  readonly #schedule: Schedule;
  readonly #life = new AbortController();
  #producer: TxProducer | null = null;
  #committingSinceMs: number | null = null;

  constructor(context: WorkerContext, onFatal: (error: Error) => void) {
    this.#context = context;
    this.#onFatal = onFatal;
    const { checkpointIntervalMs, checkpointRecordsMax } = context.limits;
    const limits = { intervalMs: checkpointIntervalMs, recordsMax: checkpointRecordsMax };
    this.#schedule = new Schedule(context.clock, limits);
  }

  /** Kafka, while a commit has had no answer for so long that an operator should know. */
  get waitingFor(): string | null {
    const since = this.#committingSinceMs;
    return since !== null && this.#context.clock.now() - since > SILENCE_MS ? KAFKA_IS_AWAY : null;
  }

  add(part: StreamPart): void {
    this.#parts.push(part);
  }

  remove(part: { readonly bound: BoundPart }): void {
    const at = this.#parts.findIndex((one) => one === part);
    if (at >= 0) this.#parts.splice(at, 1);
  }

  fatal(error: Error): void {
    this.#onFatal(error);
  }

  note(records: number): void {
    this.#schedule.note(records);
  }

  /** Commits at each interval until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#schedule.due(signal);
      await this.flush();
    }
  }

  /** Commits what every task has staged; after a failure every task is back at committed progress. */
  flush(): Promise<void> {
    return this.#lock.run(() => this.#checkpoint());
  }

  async #checkpoint(): Promise<void> {
    const stages = this.#parts
      .flatMap((part) => [...part.tasks])
      .map((task) => task.takeStage())
      .filter((stage) => stage !== null);
    if (stages.length === 0) return;
    const startedMs = this.#context.clock.now();
    this.#committingSinceMs = startedMs;
    let sent: readonly SentBatch[];
    try {
      sent = await commit(await this.#ready(), stages);
    } catch (error) {
      await this.#rewind(error);
      return;
    } finally {
      this.#committingSinceMs = null;
    }
    // 5 apply state changes to their copies by position · 6 publish
    for (const stage of stages) stage.task.settle(stage, sent);
    this.#publish(stages, startedMs);
  }

  /** The last step of a stream commit: the ledger and the times of what was decided. */
  #publish(stages: readonly TaskCheckpoint[], startedMs: number): void {
    const { meter, clock } = this.#context;
    const now = clock.now();
    const labels = { kind: "stream" };
    const records = stages.reduce((sum, stage) => sum + stage.records, 0);
    meter.observe("millrace_checkpoint_seconds", labels, (now - startedMs) / 1000);
    meter.observe("millrace_checkpoint_records", labels, records);
    for (const { task, delta } of stages) {
      publishLedger(meter, task.address, delta);
      publishCommitTime(meter, task.address, now);
    }
  }

  /**
   * The transaction may have committed or not: the producer is thrown away, and every task of the worker, whatever
   * group it is in, reads its progress again (leaving out the refused one would commit the others' torn work).
   */
  async #rewind(error: unknown): Promise<void> {
    const { log, meter } = this.#context;
    const isFenced = actionOf(error) === "retake";
    if (isFenced) meter.count("millrace_fenced_total", { kind: "stream" });
    const facts = { error: messageOf(error), fenced: isFenced };
    log.warn(facts, "a checkpoint failed: going back to committed progress");
    for (const part of this.#parts) {
      const { plan, part: planned } = part.bound;
      meter.count("millrace_rewinds_total", { pipeline: plan.pipeline, part: planned.name });
      part.drop();
    }
    await this.#discard();
    // Behind the lock that is held now. A worker that takes nothing over again, since it leaves or has no partitions
    // any more, would else hold up every reader of its outputs. What fails here, the next commit or takeover tells.
    this.settle().catch(() => undefined);
    if (!["retry", "retake"].includes(actionOf(error))) return this.#giveUp(error);
    for (const part of this.#parts) part.retake(isFenced ? null : KAFKA_IS_AWAY, isFenced);
  }

  /** What no retry can mend (rights, a missing topic) would fail for ever: the worker ends and says why. */
  #giveUp(error: unknown): void {
    this.#onFatal(error instanceof Error ? error : new Error(String(error)));
  }

  /**
   * Runs a transaction of a takeover between checkpoints; none of a takeover that was given up by then, since the one in
   * its place may have gone on already. A takeover begins with `settle`, so it sees what ran before it.
   */
  readonly transact = (
    body: (producer: TxProducer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> =>
    this.#lock.run(async () => {
      signal.throwIfAborted();
      try {
        await body(await this.#ready());
      } catch (error) {
        await this.#rewind(error);
        throw error;
      }
    });

  /** A producer whose earlier transactions are ended. */
  async #ready(): Promise<TxProducer> {
    if (this.#producer !== null && this.#producer.state !== "dead") return this.#producer;
    await this.#discard();
    const what = { dependency: "kafka", signal: this.#life.signal };
    this.#producer = await persist(this.#context, what, () => this.#newProducer());
    return this.#producer;
  }

  async #newProducer(): Promise<TxProducer> {
    const { kafka, owner, limits } = this.#context;
    const options = { transactionalId: owner, timeoutMs: limits.transactionTimeoutMs };
    const producer = kafka.txProducer(options);
    try {
      await producer.init();
      return producer;
    } catch (error) {
      // Its sockets; what failed is told by the first error.
      await producer.close().catch(() => undefined);
      throw error;
    }
  }

  /**
   * Ends what a commit without an answer may have left open: until then our own progress in it is not stable, and a
   * takeover would wait for the transaction to time out. One attempt, so that a drain never waits for an outage here.
   */
  readonly settle = (): Promise<void> =>
    this.#lock.run(async () => {
      if (this.#producer !== null && this.#producer.state !== "dead") return;
      await this.#discard();
      this.#producer = await this.#newProducer();
    });

  async #discard(): Promise<void> {
    const producer = this.#producer;
    this.#producer = null;
    // A dead producer's farewell may fail; the next one's init ends its transaction whatever it says.
    await producer?.close().catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#life.abort(new Error("the worker was closed"));
    await this.#lock.run(() => this.#discard());
  }
}
