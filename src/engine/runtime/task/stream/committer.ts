// The transaction of a worker: every stream task of it commits together, fenced by group (KIP-447). Owns the producer.
// The producer does one thing at a time: a checkpoint, a rewind, or a transaction of a takeover.
import { commit } from "../../../checkpoint/commit.ts";
import { isRetriable, messageOf } from "../../../core/errors.ts";
import type { SentBatch, TxProducer } from "../../../core/kafka.ts";
import {
  countPause,
  publishCheckpoint,
  publishCommitTime,
  publishLedger,
} from "../../../observe/task-metrics.ts";
import type { WorkerContext } from "../../context.ts";
import { actionOf, isDefect, KAFKA_IS_AWAY, ours, persist } from "../../failure.ts";
import { blamesFor } from "./blame.ts";
import { longer, NO_PAUSE, refuse, type Pause } from "./probation.ts";
import type { BoundPart } from "../bind.ts";
import { Mutex } from "../../../core/mutex.ts";
import { markersOf } from "../time/markers.ts";
import type { StreamPart } from "./part.ts";
import type { StreamTask } from "./stage.ts";
import type { TaskCheckpoint } from "./tally.ts";

/** A broker that restarts is back sooner, and nobody need know. */
const SILENCE_MS = 3_000;

/** Made once: without a reason, each abort would make an exception with its stack. */
const CUT_SHORT: Error = new Error("the checkpoint is due now");

/** A task in its part. */
interface Seat {
  readonly part: StreamPart;
  readonly task: StreamTask;
}

const hasMarks = ({ marks }: TaskCheckpoint): boolean => marks.length > 0;

const stagesOf = (tasks: readonly StreamTask[], saysTime: boolean): TaskCheckpoint[] =>
  tasks.flatMap(({ work }) => work?.takeStage(saysTime) ?? []);

export class StreamCommitter {
  readonly #context: WorkerContext;
  readonly #onFatal: (error: Error) => void;
  readonly #parts: StreamPart[] = [];
  readonly #lock = new Mutex();
  /** Staged since the last commit began. */
  #records = 0;
  #early: (() => void) | null = null;
  readonly #life = new AbortController();
  #producer: TxProducer | null = null;
  /** The moment at which tasks have said their watermarks last. */
  #saidTimeAtMs = -Infinity;
  #committingSinceMs: number | null = null;
  /** After a refusal that concerns no task more than others, and that the same request will meet again. */
  #pause: Pause = NO_PAUSE;
  /** The reason why a new producer waits. */
  #waitingFor: string | null = null;

  constructor(context: WorkerContext, onFatal: (error: Error) => void) {
    this.#context = context;
    this.#onFatal = onFatal;
  }

  /** Kafka, while a commit has had no answer for so long that an operator should know. */
  get waitingFor(): string | null {
    const known = this.#waitingFor ?? this.#pause.why;
    if (known !== null) return known;
    const since = this.#committingSinceMs;
    return since !== null && this.#context.clock.monotonic() - since > SILENCE_MS
      ? KAFKA_IS_AWAY
      : null;
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

  /** Counts staged records; enough of them make a checkpoint due at once. */
  note(records: number): void {
    this.#records += records;
    if (this.#isDue) this.#early?.();
  }

  get #isDue(): boolean {
    return this.#records >= this.#context.limits.checkpointRecordsMax;
  }

  /** The tasks of every part. */
  get tasks(): readonly StreamTask[] {
    return this.#parts.flatMap((part) => part.tasks);
  }

  /** Commits at each interval, or sooner when much is staged, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, limits } = this.#context;
    while (!signal.aborted) {
      const wait = new AbortController();
      this.#early = () => wait.abort(CUT_SHORT);
      signal.addEventListener("abort", this.#early, { once: true });
      if (this.#isDue) this.#early();
      // The sleep is cut short on purpose; its rejection says only that.
      await clock.sleep(limits.checkpointIntervalMs, wait.signal).catch(() => undefined);
      signal.removeEventListener("abort", this.#early);
      [this.#early, this.#records] = [null, 0];
      await this.flush();
    }
  }

  /** Commits what every task has staged; after a failure every task is back at committed progress. */
  flush(): Promise<void> {
    return this.#lock.run(() => this.#checkpoint());
  }

  async #checkpoint(): Promise<void> {
    const now = this.#context.clock.monotonic();
    if (now < this.#pause.untilMs) return;
    const seats = this.#parts.flatMap((part) => part.tasks.map((task) => ({ part, task })));
    const together = seats.filter(({ part, task }) => !part.probations.has(task.partition));
    const saysTime = this.#isMarkerInterval(now);
    const alike = together.map(({ task }) => task);
    const stages = stagesOf(alike, saysTime);
    if (saysTime && stages.some(hasMarks)) this.#saidTimeAtMs = now;
    if (!(await this.#commit(stages, (error) => this.#refusedTogether(error, stages)))) return;
    for (const seat of seats) if (!(await this.#checkpointAlone(seat, saysTime, now))) return;
  }

  /** The checkpoint of a task on probation that may try; returns whether all tasks may go on. */
  async #checkpointAlone({ part, task }: Seat, saysTime: boolean, now: number): Promise<boolean> {
    const { admin } = this.#context;
    if ((await part.probations.get(task.partition)?.mayTry(admin, now)) !== true) return true;
    const own = stagesOf([task], saysTime);
    if (!(await this.#commit(own, (error) => this.#refusedAlone(error, own, part)))) return false;
    for (const stage of own)
      if (part.probations.get(task.partition)?.passed(stage) === true)
        part.probations.delete(task.partition);
    return true;
  }

  /** Tasks on probation say their watermarks with the others, at the next interval that they commit in. */
  #isMarkerInterval(now: number): boolean {
    return now - this.#saidTimeAtMs >= this.#context.limits.markerIntervalMs;
  }

  /** Returns whether all tasks may go on; `onRefused` says whether it has dealt with the error. */
  async #commit(
    stages: readonly TaskCheckpoint[],
    onRefused: (error: unknown) => Promise<boolean>,
  ): Promise<boolean> {
    if (stages.length === 0) return true;
    const { clock } = this.#context;
    const startedMs = clock.monotonic();
    this.#committingSinceMs = startedMs;
    let sent: readonly SentBatch[];
    try {
      const marks = stages.flatMap((stage) => stage.marks);
      const markers = marks.length === 0 ? [] : markersOf(marks, clock.now());
      sent = await commit(await this.#ready(), stages, markers);
    } catch (error) {
      // mistake: swallowed error
      if (!(await onRefused(error))) await this.#rewind(error);
      return false;
    } finally {
      this.#committingSinceMs = null;
    }
    this.#pause = NO_PAUSE;
    // 5 apply state changes to their copies by position · 6 publish
    for (const stage of stages) {
      stage.refusals.settle(stage.progress);
      stage.work.settle(stage, sent);
    }
    this.#publish(stages, startedMs);
    return true;
  }

  /** A refusal for ever is the doing of some tasks: they are alone from now on. All go back. */
  #refusedTogether(error: unknown, stages: readonly TaskCheckpoint[]): Promise<boolean> {
    const blames = blamesFor(error, stages);
    for (const blame of blames) {
      const part = this.#parts.find(({ tasks }) => tasks.includes(blame.stage.task));
      if (part !== undefined) refuse(part.probations, blame, this.#context);
    }
    if (blames.length === 0) return Promise.resolve(false);
    return this.#rewind(error, "refused").then(() => true);
  }

  /** A refusal is certain, so nothing was committed and no other task had a part in it: this one goes back. */
  async #refusedAlone(
    error: unknown,
    stages: readonly TaskCheckpoint[],
    part: StreamPart,
  ): Promise<boolean> {
    const [blame] = blamesFor(error, stages);
    if (blame === undefined) return false;
    refuse(part.probations, blame, this.#context);
    await this.#discard();
    // Behind the lock that is held now; what fails here fails again in the takeover.
    this.settle().catch(() => undefined);
    this.#countRewind(part);
    // mistake: rest dropped
    part.retakeOnly(new Set([blame.stage.task.partition]));
    return true;
  }

  /** The last step of a stream commit: the ledger and the times of what was decided. */
  #publish(stages: readonly TaskCheckpoint[], startedMs: number): void {
    const { meter, clock } = this.#context;
    const spentMs = clock.monotonic() - startedMs;
    const records = stages.reduce((sum, stage) => sum + stage.records, 0);
    publishCheckpoint(meter, "stream", { ms: spentMs, records });
    for (const { task, work, delta } of stages) {
      publishLedger(meter, task.address, delta, work.debt);
      publishCommitTime(meter, task.address, clock.now());
    }
  }

  /**
   * The transaction may have committed or not: the producer is thrown away, and every task of the worker, whatever
   * group it is in, reads its progress again (leaving out the refused one would commit the others' torn work).
   */
  async #rewind(error: unknown, why: "unknown" | "refused" = "unknown"): Promise<void> {
    const { log, meter, clock, limits } = this.#context;
    const isFenced = actionOf(error) === "retake";
    if (isFenced) meter.count("millrace_fenced_total", { kind: "stream" });
    const facts = { error: messageOf(error), fenced: isFenced };
    log.warn(facts, "a checkpoint failed: going back to committed progress");
    for (const part of this.#parts) {
      this.#countRewind(part);
      // mistake: half a rewind (1 of 2)
      part.drop();
    }
    await this.#discard();
    // Behind the lock that is held now. A worker that takes nothing over again, since it leaves or has no partitions
    // any more, would else delay every reader of its outputs. A failure here returns in the next commit or takeover.
    this.settle().catch(() => undefined);
    if (isDefect(error))
      return this.#onFatal(error instanceof Error ? error : new Error(String(error)));
    if (why === "refused") return this.#retakeAll(null, 0);
    // Under the old generation it would be fenced again: the group needs time to announce a newer one.
    if (isFenced) return this.#retakeAll(null, limits.heartbeatIntervalMs);
    if (isRetriable(error)) return this.#retakeAll(KAFKA_IS_AWAY, 0);
    this.#pause = longer(this.#pause, ours(error), clock.monotonic());
    for (const { bound } of this.#parts) countPause(meter, bound.labels, "write", ours(error).code);
    this.#retakeAll(this.#pause.why, this.#pause.untilMs - clock.monotonic());
  }

  #countRewind({ bound }: StreamPart): void {
    this.#context.meter.count("millrace_rewinds_total", bound.labels);
  }

  #retakeAll(waitingFor: string | null, pauseMs: number): void {
    // mistake: half a rewind (2 of 2)
    for (const part of this.#parts) part.retake(waitingFor, pauseMs);
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
      // mistake: abandoned takeover
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
    const onWaiting = (why: string | null): void => void (this.#waitingFor = why);
    const what = { dependency: "kafka", signal: this.#life.signal, onWaiting };
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
      // Its sockets; the first error says what failed.
      await producer.close().catch(() => undefined);
      throw error;
    }
  }

  /**
   * Ends what a commit without an answer may have left open: until then our own progress in it is not stable, and a
   * takeover would wait for the transaction to time out. It tries once, so that a drain never waits for an outage here.
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
