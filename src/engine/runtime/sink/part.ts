// A sink part in one worker: its consumer, and a task for each partition. Where a task begins is in the database, never
// in the group's offset, which is only a hint for lag.
import { actionOf, awaitingTopics, KAFKA_IS_AWAY, ours, persist } from "../failure.ts";
import type { MillraceError } from "../../core/errors.ts";
import type {
  Assignment,
  GroupConsumer,
  PlainProducer,
  Progress,
  RecordBatch,
  StartOffset,
} from "../../core/kafka.ts";
import type { SinkProgress, SinkTaskId, TableStore } from "../../core/ports.ts";
import { addressOf, type TopicPartition } from "../../core/record.ts";
import type { TaskHealth } from "../../observe/health.ts";
import type { LetterOrigin } from "../../letters/letter.ts";
import { NoteBook } from "../../notes/notes.ts";
import { checkSinkStart } from "../../source/sink-start.ts";
import { versionsDiffer } from "../../notes/stops.ts";
import { firstStartsOf } from "../../source/takeover.ts";
import { partFacts, type BoundPart } from "../line/bind.ts";
import type { WorkerContext } from "../context.ts";
import { ReadPauses } from "../line/read-pauses.ts";
import { breakerFor } from "../gate/breaker.ts";
import type { PartGate } from "../gate/pipeline-gate.ts";
import { stopOf } from "../resume/stop.ts";
import { waitOf, type Seat } from "./seat.ts";
import { SinkTask } from "./task.ts";

export interface SinkPartOptions {
  readonly bound: BoundPart;
  readonly context: WorkerContext;
  readonly store: TableStore;
  readonly letters: LetterOrigin;
  readonly producer: PlainProducer;
  readonly gate: PartGate;
  /** A new member of the part's group. */
  join(bound: BoundPart): GroupConsumer;
  onFatal(error: Error): void;
}

export class SinkPart {
  readonly #options: SinkPartOptions;
  /** By address. */
  readonly #seats = new Map<string, Seat>();
  readonly #notes: NoteBook;
  /** The reads that Kafka refuses it. */
  readonly reads: ReadPauses;
  #consumer: GroupConsumer | null = null;
  #assignment: Assignment | null = null;

  constructor(options: SinkPartOptions) {
    this.#options = options;
    this.reads = new ReadPauses(options.context, options.bound);
    this.#notes = new NoteBook(options.context, options.bound.plan.meta);
  }

  get bound(): BoundPart {
    return this.#options.bound;
  }

  get isJoined(): boolean {
    return this.#assignment !== null;
  }

  get tasks(): SinkTask[] {
    return [...this.#seats.values()].flatMap((seat) => seat.task ?? []);
  }

  async start(): Promise<void> {
    const consumer = this.#options.join(this.bound);
    this.#consumer = consumer;
    await consumer.start({
      onAssigned: (assignment) => this.#assigned(assignment),
      onRevoked: () => this.#revoked(),
      onBatch: (batch) => this.#batch(batch),
      onOutOfRange: (at) => this.#retake(addressOf(at)),
      onRefused: (at, error) => this.reads.told(at, error),
      onFatal: (error) => this.#options.onFatal(error),
    });
  }

  async stop(): Promise<void> {
    await this.#consumer?.stop();
  }

  /** Takes nothing more from what the gate holds. */
  hold(): void {
    for (const task of this.tasks) task.hold(this.#options.gate.held);
  }

  #assigned(assignment: Assignment): Promise<readonly StartOffset[]> {
    const { meter } = this.#options.context;
    meter.count("millrace_rebalances_total", { group: this.bound.part.group });
    this.#assignment = assignment;
    this.reads.clear();
    for (const at of assignment.partitions) this.#take(at);
    return Promise.resolve([]);
  }

  /** A sink has nothing to hand over: what was not committed is read again. */
  #revoked(): Promise<void> {
    this.#assignment = null;
    for (const address of [...this.#seats.keys()]) this.#leave(address);
    return Promise.resolve();
  }

  #batch(batch: RecordBatch): void {
    const expected = this.#seats.get(addressOf(batch))?.task?.accept(batch);
    if (expected !== null && expected !== undefined) this.#consumer?.seek(batch, expected);
  }

  #leave(address: string): void {
    const seat = this.#seats.get(address);
    this.#seats.delete(address);
    seat?.life.abort(new Error("the task was given up"));
    seat?.task?.close();
  }

  /** Takes the partition over: raises the epoch, so that whoever had it can write no more. */
  #take(at: TopicPartition): void {
    this.#leave(addressOf(at));
    const seat: Seat = {
      at,
      life: new AbortController(),
      task: null,
      waitingFor: null,
      stopped: null,
    };
    this.#seats.set(addressOf(at), seat);
    this.#work(seat).then(
      (halted) => halted !== null && this.#halt(seat, halted),
      (error: unknown) => this.#failed(seat, error),
    );
  }

  async #work(seat: Seat): Promise<MillraceError | null> {
    const assignment = this.#assignment as Assignment;
    const task = await this.#open(seat, assignment);
    // Last of all, the epoch included: who shuts the gate later raises it again, or sees us in the group.
    if (!(await this.#admit(seat))) return null;
    seat.life.signal.throwIfAborted();
    seat.task = task;
    // Only now: a batch that comes before there is a task would be dropped, and the next one may be long in coming.
    this.#consumer?.seek(seat.at, task.nextOffset);
    this.#consumer?.resume([seat.at]);
    task.hold(this.#options.gate.held);
    this.#watch(seat, task);
    return task.run();
  }

  #admit(seat: Seat): Promise<boolean> {
    const { context, gate } = this.#options;
    const { signal } = seat.life;
    return persist(context, waitOf(seat, "kafka"), () => gate.admit(signal));
  }

  async #open(seat: Seat, { generation }: Assignment): Promise<SinkTask> {
    const { bound, context, store, letters, producer } = this.#options;
    const consumer = this.#consumer as GroupConsumer;
    const id: SinkTaskId = { pipeline: bound.plan.pipeline, part: bound.part.name, ...seat.at };
    const { onWaiting } = waitOf(seat, "");
    const start = await this.#startOf(seat, id);
    seat.life.signal.throwIfAborted();
    const hint = (progress: Progress): void => {
      // A refused hint is no harm: the database decides, and the next hint says the same.
      consumer.commit([progress], generation).catch(() => undefined);
    };
    return new SinkTask({
      context,
      bound,
      id,
      store,
      start,
      generation,
      valve: consumer,
      letters,
      breaker: breakerFor(bound, context),
      producer,
      hint,
      onWaiting,
    });
  }

  /** Progress in the database, ours from now on, which the log must still have. */
  async #startOf(seat: Seat, id: SinkTaskId): Promise<SinkProgress> {
    const { at } = seat;
    const { bound, context, store, producer } = this.#options;
    const part = partFacts(bound);
    const other = versionsDiffer(part, this.#assignment?.partitions ?? []);
    if (other !== null) throw other;
    let isFirst = false;
    const first = async (): Promise<bigint> => {
      isFirst = true;
      const { start } = bound.plan.options;
      const starts = await firstStartsOf(context.admin, { start, part }, [at]);
      return starts[0]?.nextOffset ?? 0n;
    };
    // mistake: hint trusted
    const start = await persist(context, waitOf(seat, "postgres"), () =>
      awaitingTopics(() => store.takeOver(id, first)),
    );
    const request = {
      part,
      group: bound.part.group,
      meta: bound.plan.meta,
      start: { ...at, nextOffset: start.nextOffset },
      isFirst,
    };
    const ports = { admin: context.admin, notes: this.#notes, producer };
    await persist(context, waitOf(seat, "kafka"), () =>
      awaitingTopics(() => checkSinkStart(ports, request)),
    );
    return start;
  }

  /** A failover may have taken progress back while the task had nothing to do: it looks now and then. */
  #watch(seat: Seat, task: SinkTask): void {
    const { clock, limits } = this.#options.context;
    const look = async (): Promise<void> => {
      while (!seat.life.signal.aborted && seat.stopped === null) {
        await clock.sleep(limits.idleCheckMs, seat.life.signal);
        const isMine = await task.checkProgress().catch(() => true);
        if (!isMine && !seat.life.signal.aborted) return this.#retake(addressOf(seat.at));
      }
    };
    // Ends with the seat; its rejection is the aborted sleep.
    look().catch(() => undefined);
  }

  /** Takes every running task over anew. */
  retake(): void {
    for (const [address, { task }] of [...this.#seats]) if (task !== null) this.#retake(address);
  }

  /** As a rebalance would, for those of them that have stopped. */
  resume(partitions: readonly number[]): void {
    for (const [address, { at, stopped }] of [...this.#seats])
      if (stopped !== null && partitions.includes(at.partition)) this.#retake(address);
  }

  #retake(address: string): void {
    const seat = this.#seats.get(address);
    if (seat !== undefined && this.#assignment !== null) {
      this.#consumer?.pause([seat.at]);
      this.#take(seat.at);
    }
  }

  /** Fenced: whoever raised the epoch may be the rightful owner; the group's next word may be on its way. */
  #failed(seat: Seat, error: unknown): void {
    const { clock, limits, meter, log } = this.#options.context;
    const isFenced = actionOf(error) === "retake";
    // Also when the group has taken the partition away meanwhile: the commit was refused all the same.
    if (isFenced) meter.count("millrace_fenced_total", { kind: "sink" });
    if (seat.life.signal.aborted) return;
    if (!isFenced) return this.#halt(seat, ours(error));
    log.warn(
      { ...seat.at, part: this.bound.part.name },
      "fenced: taking over again if it is still ours",
    );
    seat.task?.close();
    this.#consumer?.pause([seat.at]);
    clock.sleep(2 * limits.heartbeatIntervalMs, seat.life.signal).then(
      () => this.#retake(addressOf(seat.at)),
      () => undefined,
    );
  }

  /** The task stops. One that was given up meanwhile has nothing left to stop: the partition may be its successor's. */
  #halt(seat: Seat, error: MillraceError): void {
    if (seat.life.signal.aborted) return;
    const stop = stopOf(error, this.bound.plan.pipeline, this.#options.context.clock.now());
    seat.stopped = stop;
    seat.task?.close();
    this.#consumer?.pause([seat.at]);
    if (error.code === "MILL_PIPELINE_HALTED") this.#options.gate.trip(error);
    const facts = { ...seat.at, part: this.bound.part.name, code: error.code };
    this.#options.context.log.error(facts, `the task has stopped: ${stop.message}`);
  }

  health(): TaskHealth[] {
    return [...this.#seats.values()].map((seat) => this.#healthOf(seat));
  }

  #healthOf(seat: Seat): TaskHealth {
    const { plan, part } = this.bound;
    const address = { pipeline: plan.pipeline, part: part.name, ...seat.at };
    if (seat.stopped !== null) return { ...address, state: "stopped", ...seat.stopped };
    const known = this.reads.why(seat.at) ?? seat.waitingFor;
    const away = known ?? (this.#consumer?.isAway === true ? KAFKA_IS_AWAY : null);
    if (away !== null) return { ...address, state: "paused", why: away };
    return { ...address, state: seat.task === null ? "starting" : "running" };
  }
}
