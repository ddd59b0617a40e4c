// A stream part in one worker: its consumer, and a task for each partition that the group gave it. After every
// rebalance, retained partitions too are taken over anew; until then nothing of them is read.
import type { Assignment, GroupConsumer, RecordBatch, StartOffset } from "../../core/kafka.ts";
import type { MillraceError } from "../../core/errors.ts";
import type { TopicPartition } from "../../core/record.ts";
import type { TaskHealth } from "../../observe/health.ts";
import type { LetterOrigin } from "../../sinks/letter.ts";
import { takeOver, type TakenOver } from "../../source/takeover.ts";
import type { BoundPart } from "../line/bind.ts";
import type { WorkerContext } from "../context.ts";
import { actionOf, ours, persist } from "../failure.ts";
import type { StreamEngine } from "./engine.ts";
import { StreamTask } from "./task.ts";

export class StreamPart {
  readonly bound: BoundPart;
  readonly #context: WorkerContext;
  readonly #engine: StreamEngine;
  readonly #letters: LetterOrigin;
  readonly #tasks = new Map<number, StreamTask>();
  readonly #stopped = new Map<number, MillraceError>();
  #consumer: GroupConsumer | null = null;
  #assignment: Assignment | null = null;
  #takingOver: AbortController | null = null;
  /** The dependency that holds up the takeover. */
  #waitingFor: string | null = null;

  constructor(
    bound: BoundPart,
    context: WorkerContext,
    engine: StreamEngine,
    letters: LetterOrigin,
  ) {
    this.bound = bound;
    this.#context = context;
    this.#engine = engine;
    this.#letters = letters;
  }

  get tasks(): Iterable<StreamTask> {
    return this.#tasks.values();
  }

  get isJoined(): boolean {
    return this.#assignment !== null;
  }

  async start(consumer: GroupConsumer): Promise<void> {
    this.#consumer = consumer;
    await consumer.start({
      onAssigned: (assignment) => this.#assigned(assignment),
      onRevoked: () => this.#revoked(),
      onBatch: (batch) => this.#batch(batch),
      onOutOfRange: (at) => this.#outOfRange(at),
      onFatal: (error) => this.#engine.fatal(error),
    });
  }

  /** Leaves the group; what is staged was committed by `#revoked`, which this leads to. */
  async stop(): Promise<void> {
    await this.#consumer?.stop();
  }

  /** Returns at once with nothing to read: partitions begin one by one when they were taken over. */
  #assigned(assignment: Assignment): Promise<readonly StartOffset[]> {
    this.#context.meter.count("millrace_rebalances_total", { group: this.bound.part.group });
    this.#assignment = assignment;
    this.retake();
    return Promise.resolve([]);
  }

  /** Commits what was staged while the generation still holds, then forgets the tasks. */
  async #revoked(): Promise<void> {
    this.#takingOver?.abort(new Error("the assignment was revoked"));
    this.#assignment = null;
    await this.#engine.flush();
    this.drop();
  }

  #batch(batch: RecordBatch): void {
    const expected = this.#tasks.get(batch.partition)?.accept(batch);
    if (expected !== null && expected !== undefined) this.#consumer?.seek(batch, expected);
  }

  #outOfRange({ partition }: TopicPartition): void {
    // The takeover compares progress with the log, and says what is wrong.
    if (this.#tasks.has(partition)) this.retake();
  }

  /** Drops every task and what it has staged. */
  drop(): void {
    for (const task of this.#tasks.values()) task.close();
    this.#tasks.clear();
    this.#stopped.clear();
  }

  /**
   * Goes back to committed progress: pauses, drops, takes over, seeks, runs. Called again, it begins anew.
   * `waitingFor` names what is known to be away, since the takeover's first request may hang for long.
   */
  retake(waitingFor: string | null = null): void {
    this.#takingOver?.abort(new Error("the takeover began anew"));
    this.#waitingFor = waitingFor;
    this.drop();
    const assignment = this.#assignment;
    if (assignment === null || assignment.partitions.length === 0) return;
    this.#consumer?.pause(assignment.partitions);
    const takingOver = new AbortController();
    this.#takingOver = takingOver;
    this.#takeOver(assignment, takingOver.signal).catch((error: unknown) => {
      if (!takingOver.signal.aborted) this.#failed(error, assignment);
    });
  }

  async #takeOver(assignment: Assignment, signal: AbortSignal): Promise<void> {
    const { kafka, admin, owner, limits } = this.#context;
    const ports = { kafka, admin, transact: this.#engine.transact };
    const { options, meta } = this.bound.plan;
    const { transactionTimeoutMs } = limits;
    const request = { assignment, owner, transactionTimeoutMs, start: options.start, meta };
    const onWaiting = (dependency: string | null): void => void (this.#waitingFor = dependency);
    const begin = async (): Promise<TakenOver[]> => {
      await this.#engine.settle();
      return takeOver(ports, request);
    };
    const taken = await persist(this.#context, { dependency: "kafka", signal, onWaiting }, () =>
      Promise.race([begin(), rejected(signal)]),
    );
    signal.throwIfAborted();
    this.#waitingFor = null;
    for (const [partition, starts] of byPartition(taken)) this.#open(partition, starts, assignment);
  }

  #open(partition: number, starts: readonly TakenOver[], { generation }: Assignment): void {
    const stop = starts.find((start) => start.stop !== null)?.stop ?? null;
    if (stop !== null) return this.#halt(partition, stop);
    const consumer = this.#consumer as GroupConsumer;
    const task = new StreamTask({
      context: this.#context,
      bound: this.bound,
      partition,
      generation,
      starts,
      valve: consumer,
      letters: this.#letters,
      note: (records) => this.#engine.note(records),
    });
    this.#tasks.set(partition, task);
    for (const start of starts) consumer.seek(start, start.nextOffset);
    consumer.resume(starts);
    task.run().then(
      (halted) => halted !== null && this.#halt(partition, halted),
      (error: unknown) => this.#crashed(task, ours(error)),
    );
  }

  /** A defect in the middle of a run: its half-made stage must not be committed. */
  #crashed(task: StreamTask, error: MillraceError): void {
    if (this.#tasks.get(task.partition) !== task) return;
    task.close();
    this.#tasks.delete(task.partition);
    this.#halt(task.partition, error);
  }

  /** The task stops, its neighbours go on; what it staged before may still be committed. */
  #halt(partition: number, error: MillraceError): void {
    const partitions = this.bound.part.sources.map(({ name }) => ({ topic: name, partition }));
    this.#consumer?.pause(partitions);
    this.#stopped.set(partition, error);
    const { pipeline } = this.bound.plan;
    const facts = { pipeline, part: this.bound.part.name, partition, code: error.code };
    this.#context.log.error(facts, `the task has stopped: ${error.message}`);
  }

  #failed(error: unknown, assignment: Assignment): void {
    if (actionOf(error) === "retake") return this.retake();
    for (const { partition } of assignment.partitions) this.#halt(partition, ours(error));
  }

  /** The state of every partition that the group gave us. */
  health(): TaskHealth[] {
    const { pipeline } = this.bound.plan;
    return (this.#assignment?.partitions ?? []).map(({ topic, partition }): TaskHealth => {
      const address = { pipeline, part: this.bound.part.name, topic, partition };
      const error = this.#stopped.get(partition);
      if (error !== undefined)
        return { ...address, state: "stopped", code: error.code, message: error.message };
      const task = this.#tasks.get(partition);
      const own = task === undefined ? this.#waitingFor : task.waitingFor;
      const isKafkaAway = this.#consumer?.isAway ?? false;
      const waitingFor = own ?? this.#engine.waitingFor ?? (isKafkaAway ? "kafka" : null);
      if (waitingFor !== null) return { ...address, state: "paused", why: `${waitingFor} is away` };
      return { ...address, state: task === undefined ? "starting" : "running" };
    });
  }
}

function byPartition(taken: readonly TakenOver[]): Map<number, TakenOver[]> {
  const groups = new Map<number, TakenOver[]>();
  for (const start of taken)
    groups.set(start.partition, [...(groups.get(start.partition) ?? []), start]);
  return groups;
}

const rejected = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
