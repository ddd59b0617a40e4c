// A stream part in one worker: its consumer, and a task for each partition that the group gave it. After every
// rebalance, retained partitions too are taken over anew; until then nothing of them is read.
import type { Assignment, GroupConsumer, RecordBatch, StartOffset } from "../../core/kafka.ts";
import type { MillraceError } from "../../core/errors.ts";
import type { TaskHealth } from "../../observe/health.ts";
import { NoteBook } from "../../notes/notes.ts";
import { takeOver, type TakenOver, type TakeoverPorts } from "../../source/takeover.ts";
import type { OpenStores } from "../../state/task-stores.ts";
import { partFacts, type BoundPart } from "../line/bind.ts";
import type { WorkerContext } from "../context.ts";
import { actionOf, awaitingTopics, ours, persist } from "../failure.ts";
import { ReadPauses } from "../line/read-pauses.ts";
import { breakerFor } from "../gate/breaker.ts";
import { Probations } from "./refused/probation.ts";
import { stopOf, type Stop } from "../resume/stop.ts";
import type { StreamEngine } from "./engine.ts";
import {
  awayFor,
  byPartition,
  copiesSettled,
  leave,
  newSeat,
  rejected,
  type Seat,
  stateOf,
} from "./seat.ts";
import { openStores } from "./keyed/stores.ts";
import { takeoverOf, type Share, type StreamPartOptions } from "./options.ts";
import { StreamTask } from "./task.ts";

export class StreamPart {
  readonly bound: BoundPart;
  readonly #options: StreamPartOptions;
  readonly #context: WorkerContext;
  readonly #engine: StreamEngine;
  readonly #seats = new Map<number, Seat>();
  readonly #stopped = new Map<number, Stop>();
  readonly #notes: NoteBook;
  /** Tasks whose outputs were refused commit alone. */
  readonly probations: Probations = new Probations();
  /** The reads that Kafka refuses it. */
  readonly reads: ReadPauses;
  #consumer: GroupConsumer | null = null;
  #assignment: Assignment | null = null;
  #takingOver: AbortController | null = null;
  /** The dependency that holds up the takeover. */
  #waitingFor: string | null = null;

  constructor(options: StreamPartOptions) {
    this.#options = options;
    this.bound = options.bound;
    this.#context = options.context;
    this.#engine = options.engine;
    this.reads = new ReadPauses(options.context, options.bound);
    this.#notes = new NoteBook(options.context, options.bound.plan.meta);
  }

  get tasks(): StreamTask[] {
    return [...this.#seats.values()].flatMap((seat) => seat.task ?? []);
  }

  #task(partition: number): StreamTask | null {
    return this.#seats.get(partition)?.task ?? null;
  }

  get isJoined(): boolean {
    return this.#assignment !== null;
  }

  async start(): Promise<void> {
    const consumer = this.#options.join(this.bound);
    this.#consumer = consumer;
    await consumer.start({
      onAssigned: (assignment) => this.#assigned(assignment),
      onRevoked: () => this.#revoked(),
      onBatch: (batch) => this.#batch(batch),
      onOutOfRange: ({ partition }) => {
        // The takeover compares progress with the log, and says what is wrong.
        if (this.#task(partition) !== null) this.retake();
      },
      onRefused: (at, error) => this.reads.told(at, error),
      onFatal: (error) => this.#engine.fatal(error),
    });
  }

  /** Leaves the group; what is staged was committed by `#revoked`, which this leads to. */
  async stop(): Promise<void> {
    await this.#consumer?.stop();
  }

  /** Takes nothing more from what the gate holds. */
  hold(): void {
    for (const task of this.tasks) task.hold(this.#options.gate.held);
  }

  /** Returns at once with nothing to read: partitions begin one by one when they were taken over. */
  #assigned(assignment: Assignment): Promise<readonly StartOffset[]> {
    this.#context.meter.count("millrace_rebalances_total", { group: this.bound.part.group });
    this.#assignment = assignment;
    this.reads.clear();
    this.probations.clear();
    this.retake();
    return Promise.resolve([]);
  }

  /** Commits what was staged while the generation still holds, then forgets the tasks. */
  async #revoked(): Promise<void> {
    this.#takingOver?.abort(new Error("the assignment was revoked"));
    this.#assignment = null;
    await copiesSettled(this.tasks, this.#context.clock);
    await this.#engine.flush();
    await copiesSettled(this.tasks, this.#context.clock);
    this.drop();
  }

  #batch(batch: RecordBatch): void {
    const expected = this.#task(batch.partition)?.accept(batch) ?? null;
    if (expected !== null) this.#consumer?.seek(batch, expected);
  }

  /** Drops every task and what it has staged. */
  drop(): void {
    for (const seat of this.#seats.values()) leave(seat);
    this.#seats.clear();
    this.#stopped.clear();
  }

  /**
   * Goes back to committed progress: pauses, drops, takes over, seeks, runs. Called again, it begins anew.
   * `waitingFor` names what is known to be away, since the takeover's first request may hang for long. It begins after
   * `pauseMs`.
   */
  retake(waitingFor: string | null = null, pauseMs = 0): void {
    this.#takingOver?.abort(new Error("the takeover began anew"));
    this.#waitingFor = waitingFor;
    this.drop();
    const assignment = this.#assignment;
    if (assignment === null || assignment.partitions.length === 0) return;
    const takingOver = new AbortController();
    this.#takingOver = takingOver;
    this.#begin({ assignment, partitions: assignment.partitions }, takingOver.signal, pauseMs);
  }

  /** As a rebalance would, for those of them that have stopped; their neighbours go on. */
  resume(partitions: readonly number[]): void {
    this.retakeOnly(new Set(partitions.filter((partition) => this.#stopped.delete(partition))));
  }

  /** These go back to committed progress. */
  retakeOnly(again: ReadonlySet<number>): void {
    for (const partition of again) {
      const seat = this.#seats.get(partition);
      if (seat !== undefined) leave(seat);
      this.#seats.delete(partition);
    }
    const [assignment, takingOver] = [this.#assignment, this.#takingOver];
    if (assignment === null || takingOver === null || again.size === 0) return;
    const these = assignment.partitions.filter(({ partition }) => again.has(partition));
    this.#begin({ assignment, partitions: these }, takingOver.signal);
  }

  #begin(share: Share, signal: AbortSignal, pauseMs = 0): void {
    this.#consumer?.pause(share.partitions);
    const { clock } = this.#context;
    // mistake: fenced at once
    const pause = pauseMs > 0 ? clock.sleep(pauseMs, signal) : Promise.resolve();
    const taking = pause.then(() => this.#takeOver(share, signal));
    taking.catch((error: unknown) => {
      if (!signal.aborted) this.#failed(error, share);
    });
  }

  async #takeOver({ assignment, partitions }: Share, signal: AbortSignal): Promise<void> {
    const transact: TakeoverPorts["transact"] = (body) => this.#engine.transact(body, signal);
    const ports = { ...this.#context, notes: this.#notes, transact };
    const request = takeoverOf(this.#options, { assignment, partitions });
    const onWaiting = (why: string | null): void => void (this.#waitingFor = why);
    const begin = async (): Promise<TakenOver[]> => {
      await this.#engine.settle();
      const found = await takeOver(ports, request);
      // Last of all: what was noted before our join is seen, and who notes it later sees us in the group.
      return (await this.#options.gate.admit(signal)) ? found : [];
    };
    const taken = await persist(this.#context, { dependency: "kafka", signal, onWaiting }, () =>
      Promise.race([awaitingTopics(begin), rejected(signal)]),
    );
    signal.throwIfAborted();
    this.#waitingFor = null;
    for (const [partition, starts] of byPartition(taken)) {
      const stop = starts.find((start) => start.stop !== null)?.stop ?? null;
      if (stop === null) this.#seat(partition, starts, assignment);
      else this.#halt(partition, stop);
    }
  }

  /** Opens the partition when its stores are open: at once where there are none. */
  #seat(partition: number, starts: readonly TakenOver[], assignment: Assignment): void {
    const seat = newSeat(partition);
    const { life } = seat;
    this.#seats.set(partition, seat);
    if (!this.bound.program.needsBatch) return this.#open(seat, starts, assignment, null);
    openStores({
      context: this.#context,
      bound: this.bound,
      partition,
      signal: life.signal,
      onWaiting: (what) => void (seat.waitingFor = what),
      onRestoring: (progress) => void (seat.restoring = progress),
    }).then(
      (stores) => {
        if (life.signal.aborted) stores.close();
        else this.#open(seat, starts, assignment, stores);
      },
      (error: unknown) => {
        if (!life.signal.aborted) this.#halt(partition, ours(error));
      },
    );
  }

  #open(
    seat: Seat,
    starts: readonly TakenOver[],
    { generation }: Assignment,
    stores: OpenStores | null,
  ): void {
    const { partition } = seat;
    const consumer = this.#consumer as GroupConsumer;
    const task = new StreamTask({
      context: this.#context,
      bound: this.bound,
      partition,
      generation,
      starts,
      stores,
      valve: consumer,
      letters: this.#options.letters,
      breaker: breakerFor(this.bound, this.#context),
      probation: () => this.probations.of({ partition }),
      note: (records) => this.#engine.note(records),
    });
    seat.task = task;
    for (const start of starts) consumer.seek(start, start.nextOffset);
    consumer.resume(starts);
    task.hold(this.#options.gate.held);
    task.run().then(
      (halted) => {
        // Else its successor has the partition by now.
        if (halted !== null && this.#task(partition) === task) this.#halt(partition, halted);
      },
      (error: unknown) => this.#crashed(task, ours(error)),
    );
  }

  /** A defect in the middle of a run: its half-made stage must not be committed. */
  #crashed(task: StreamTask, error: MillraceError): void {
    if (this.#task(task.partition) !== task) return;
    task.close();
    this.#seats.delete(task.partition);
    this.#halt(task.partition, error);
  }

  /** The task stops, its neighbours go on; what it staged before may still be committed. */
  #halt(partition: number, error: MillraceError): void {
    const { topics, redrive } = partFacts(this.bound);
    const partitions = [...topics, redrive].map((topic) => ({ topic, partition }));
    this.#consumer?.pause(partitions);
    const { pipeline } = this.bound.plan;
    const stop = stopOf(error, pipeline, this.#context.clock.now());
    this.#stopped.set(partition, stop);
    if (error.code === "MILL_PIPELINE_HALTED") this.#options.gate.trip(error);
    const facts = { pipeline, part: this.bound.part.name, partition, code: error.code };
    this.#context.log.error(facts, `the task has stopped: ${stop.message}`);
  }

  #failed(error: unknown, { partitions }: Share): void {
    // Under the old generation it would be fenced again: the group needs time to tell of a newer one.
    if (actionOf(error) === "retake")
      return this.retake(null, this.#context.limits.heartbeatIntervalMs);
    for (const partition of new Set(partitions.map((at) => at.partition)))
      this.#halt(partition, ours(error));
  }

  /** The state of every partition that the group gave us. */
  health(): TaskHealth[] {
    const { pipeline, redrive } = this.bound.plan;
    const sources = this.#assignment?.partitions.filter(({ topic }) => topic !== redrive) ?? [];
    const isAway = this.#consumer?.isAway === true;
    const waits = { part: this.#waitingFor, worker: this.#engine.waitingFor, isAway };
    return sources.map(({ topic, partition }): TaskHealth => {
      const address = { pipeline, part: this.bound.part.name, topic, partition };
      const stop = this.#stopped.get(partition);
      if (stop !== undefined) return { ...address, state: "stopped", ...stop };
      const seat = this.#seats.get(partition);
      const refused = this.probations.why(partition) ?? this.reads.why(address);
      const why = refused ?? awayFor(seat, waits);
      return { ...address, ...(why === null ? stateOf(seat) : { state: "paused", why }) };
    });
  }
}
