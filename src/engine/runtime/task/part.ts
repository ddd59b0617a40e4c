// A part in one worker: its consumer, and a task for each share of the partitions that the group gave it. How a task is
// taken over, and what a failure means, is said by the stream and the sink part.
import type {
  Assignment,
  ConsumerHandlers,
  GroupConsumer,
  QuietHandler,
  RecordBatch,
} from "../../core/kafka.ts";
import type { MillraceError } from "../../core/errors.ts";
import { raised } from "../../core/letter-limit.ts";
import { readingOf } from "../../core/ports.ts";
import { addressOf, type TopicName, type TopicPartition } from "../../core/record.ts";
import type { TaskAddress, TaskHealth } from "../../observe/health.ts";
import type { PipelineWait } from "../../observe/time-waits.ts";
import { allPlaces, type LagPlace } from "../../observe/lag/lag-place.ts";
import type { LetterOrigin } from "../../letters/letter.ts";
import { RedriveProofs } from "../../letters/redrives/proofs.ts";
import type { Lineage } from "../../notes/generations.ts";
import { NoteBook } from "../../notes/notes.ts";
import type { WorkerContext } from "../context.ts";
import { KAFKA_IS_AWAY } from "../failure.ts";
import { batchUnreadable } from "../../notes/stops.ts";
import { partFacts, type BoundPart } from "./bind.ts";
import { Breaker } from "./breaker.ts";
import { ReadPauses } from "./read-pauses.ts";
import { stopOf, Task, type TaskWork } from "./task.ts";

/** The pipeline's gate, as its parts know it. */
export interface PartGate {
  /** The topics from which nothing more is taken. */
  readonly pausedTopics: ReadonlySet<TopicName>;
  /** The generations of letters, as read by the last `admit`. */
  readonly lineage: Lineage;
  /** Reads the notes as they are now, that is after the join. False: nothing may be read, and the pipeline will leave. */
  admit(signal: AbortSignal): Promise<boolean>;
  /** The share of letters that somebody allows for once; null: what the pipeline says. */
  readonly haltAbove: number | null;
  /** Too many dead letters: halts the pipeline. */
  trip(error: MillraceError): void;
}

export interface PartOptions {
  readonly bound: BoundPart;
  readonly context: WorkerContext;
  readonly letters: Omit<LetterOrigin, "generation">;
  readonly gate: PartGate;
  /** A new member of the part's group. */
  join(bound: BoundPart): GroupConsumer;
  onFatal(error: Error): void;
  /** A task has stopped, which its pipeline's notes do not say yet. */
  onStopped(): void;
}

/** A part of a stream or of a sink. */
export type AnyPart = RunningPart<TaskWork>;

export abstract class RunningPart<W extends TaskWork> {
  readonly bound: BoundPart;
  /** The reads that Kafka refuses it. */
  readonly reads: ReadPauses;
  protected readonly options: PartOptions;
  protected readonly context: WorkerContext;
  protected readonly notes: NoteBook;
  /** The letters that are on their way back to it. */
  protected readonly proofs: RedriveProofs;
  protected assignment: Assignment | null = null;
  /** The dependency that the takeover of all tasks waits for. */
  protected waitingFor: string | null = null;
  readonly #tasks = new Map<string, Task<W>>();
  #consumer: GroupConsumer | null = null;

  constructor(options: PartOptions) {
    this.options = options;
    this.bound = options.bound;
    this.context = options.context;
    this.reads = new ReadPauses(options.context, options.bound);
    this.notes = new NoteBook(options.context, options.bound.plan.meta);
    this.proofs = new RedriveProofs(options.context, options.bound.plan.letterStates);
  }

  /** Takes over what the group has given, anew where it was given before. */
  protected abstract assigned(assignment: Assignment): void;
  /** While the generation is still valid. */
  protected abstract revoked(): Promise<void>;
  /** The log does not have what the task wants to read: the takeover says what is wrong. */
  protected abstract outOfRange(at: TopicPartition): void;
  /** Takes running tasks over anew: they go back to committed progress. */
  abstract retake(): void;
  /** As a rebalance would, for those of them that have stopped. */
  abstract resume(partitions: readonly number[]): void;

  /** The letters of tasks that begin now. */
  protected get letters(): LetterOrigin {
    const { letters, gate } = this.options;
    return { ...letters, generation: gate.lineage.current };
  }

  get tasks(): Task<W>[] {
    return this.all.filter(({ work }) => work !== null);
  }

  /** Also those that are being taken over. */
  protected get all(): Task<W>[] {
    return [...this.#tasks.values()];
  }

  protected stoppedOf(partitions: readonly number[]): Task<W>[] {
    return this.all.filter(
      ({ life, partition }) => life.at === "stopped" && partitions.includes(partition),
    );
  }

  protected get consumer(): GroupConsumer {
    return this.#consumer as GroupConsumer;
  }

  /** A stream's partitions of one number make one task; each of a sink's is a task by itself. */
  #keyOf(at: TopicPartition): string {
    return this.bound.part.table === null ? String(at.partition) : addressOf(at);
  }

  get isJoined(): boolean {
    return this.assignment !== null;
  }

  /** Joins its group. */
  async start(): Promise<void> {
    const consumer = this.options.join(this.bound);
    this.#consumer = consumer;
    await consumer.start({
      onAssigned: (assignment) => {
        this.context.meter.count("millrace_rebalances_total", { group: this.bound.part.group });
        this.assignment = assignment;
        this.reads.clear();
        this.assigned(assignment);
        return Promise.resolve();
      },
      onRevoked: () => this.revoked(),
      onBatch: (batch) => this.#batch(batch),
      onEnd: (at, end, marks) => {
        const times = this.context.lag.of(this.bound.part.group, at);
        times.see(end, this.context.clock.now());
        times.mark(marks);
      },
      ...this.#quietHandler(),
      onOutOfRange: (at) => this.outOfRange(at),
      onUnreadable: (at, error) => {
        const stop = batchUnreadable(partFacts(this.bound), at, error);
        this.#tasks.get(this.#keyOf(at))?.failRead(at.topic, stop);
      },
      onRefused: (at, error) => this.reads.note(at, error),
      onFatal: (error) => this.options.onFatal(error),
    });
  }

  /** A run has no idleness: it ends where it is to end. */
  #quietHandler(): Pick<ConsumerHandlers, "quiet"> {
    const { bounds, clock } = this.context;
    const { sources } = this.bound.part;
    const mayBeQuiet = sources.some(({ idleAfterMs }) => idleAfterMs !== undefined);
    if (bounds !== undefined || !mayBeQuiet) return {};
    const seen: QuietHandler["seen"] = (at, end, sent) =>
      this.#tasks.get(this.#keyOf(at))?.quiet(at.topic, end, sent);
    return { quiet: { reading: () => readingOf(clock), seen } };
  }

  /** Commits what it may and leaves the group, which gives up every task, once and for all. */
  async stop(): Promise<void> {
    await this.#consumer?.stop();
  }

  /** Whether the group has not given it the partitions of a topic beside its sources that is there by now, so wide. */
  lacks(topic: TopicName, partitions: number): boolean {
    const given = this.assignment?.partitions ?? [];
    const known = new Set(given.map(addressOf));
    return given.some(
      ({ partition }) => partition < partitions && !known.has(addressOf({ topic, partition })),
    );
  }

  /** Has the group assign its topics anew. */
  rejoin(): void {
    this.#consumer?.rejoin();
  }

  /** Takes nothing more from the topics that the gate pauses. */
  pauseTopics(): void {
    for (const task of this.tasks) task.pauseTopics(this.options.gate.pausedTopics);
  }

  #batch(batch: RecordBatch): void {
    const expected = this.#tasks.get(this.#keyOf(batch))?.accept(batch) ?? null;
    if (expected !== null) this.consumer.seek(batch, expected);
  }

  /** A task in the place of the one before, which is given up; until it runs, nothing is read for it. */
  protected assign(partitions: readonly TopicPartition[], address: TaskAddress): Task<W> {
    const [at] = partitions as [TopicPartition];
    this.giveUp(this.#tasks.get(this.#keyOf(at)));
    const { context, bound } = this;
    const task = new Task<W>({ context, bound, partitions, address });
    this.#tasks.set(this.#keyOf(at), task);
    this.consumer.pause(partitions);
    return task;
  }

  protected giveUp(task: Task<W> | undefined): void {
    if (task === undefined) return;
    this.#tasks.delete(this.#keyOf(task.partitions[0] as TopicPartition));
    task.close();
  }

  /** Records come from now on: a batch that came before there was an inbox would be dropped, and the next may be long in coming. */
  protected admit(
    task: Task<W>,
    starts: readonly (TopicPartition & { readonly nextOffset: bigint })[],
  ): void {
    for (const start of starts) this.consumer.seek(start, start.nextOffset);
    this.consumer.resume(starts);
    task.pauseTopics(this.options.gate.pausedTopics);
  }

  protected newBreaker(): Breaker {
    const { plan, part } = this.bound;
    const { breaker, haltAbove } = this.context.limits;
    const share = Math.max(haltAbove ?? 0, this.options.gate.haltAbove ?? 0);
    return new Breaker(part.name, breaker ? raised(plan.options.haltWhen, share) : "never");
  }

  /** The task stops, its neighbours go on. A closed task has nothing left to stop: its partition is another's. */
  protected halt(task: Task<W>, error: MillraceError): void {
    if (task.life.at === "closed") return;
    this.consumer.pause(task.partitions);
    const { pipeline } = this.bound.plan;
    const stop = stopOf(error, this.bound.plan, this.context.clock.now());
    task.stop(stop);
    if (error.code === "MILL_PIPELINE_HALTED") this.options.gate.trip(error);
    const { part, topic, partition } = task.address;
    const facts = { pipeline, part, topic, partition, code: error.code };
    this.context.log.error(facts, `the task has stopped: ${stop.message}`);
    this.options.onStopped();
  }

  /** A reason beside those of the task itself why the partition waits. */
  protected whyAlone(_partition: number): string | null {
    return null;
  }

  /** The reason why the whole worker waits; null: none. */
  protected get whyAll(): string | null {
    return null;
  }

  /** Whether the task has shown that nothing stops it any more: it has committed since it runs, or no record waits for it. */
  async goesOn(at: TopicPartition): Promise<boolean> {
    const task = this.#tasks.get(this.#keyOf(at));
    if (task?.life.at !== "running") return false;
    if (task.hasCommitted) return true;
    for (const { topic, committed } of task.positions()) {
      if (this.options.gate.pausedTopics.has(topic)) continue;
      const marks = await this.context.admin.watermarks(topic);
      const end = marks.find(({ partition }) => partition === at.partition)?.high ?? 0n;
      if (end > committed) return false;
    }
    return true;
  }

  get #whyAll(): string | null {
    return this.whyAll ?? (this.#consumer?.isAway === true ? KAFKA_IS_AWAY : null);
  }

  /** The partitions whose lag this worker measures: all of them while it is in no group, since then it cannot know whose they are. */
  places(): LagPlace[] {
    const { plan, part } = this.bound;
    const all = allPlaces(plan, part);
    if (this.assignment === null) return all;
    const own = new Set(this.assignment.partitions.map(addressOf));
    return all
      .filter((place) => own.has(addressOf(place)))
      .map((place) => ({ ...place, committed: this.#committed(place) }));
  }

  #committed(at: TopicPartition): bigint | null {
    const positions = this.#tasks.get(this.#keyOf(at))?.positions() ?? [];
    return positions.find(({ topic }) => topic === at.topic)?.committed ?? null;
  }

  /** For each operator whose results come as time goes on: the slowest input of all its tasks here. */
  timeWaits(): readonly PipelineWait[] {
    return [];
  }

  /** The state of every partition that the group gave us. */
  health(): TaskHealth[] {
    return (this.assignment?.partitions ?? []).map((at) => this.#healthOf(at));
  }

  #healthOf(at: TopicPartition): TaskHealth {
    const address = { ...this.bound.labels, ...at };
    const task = this.#tasks.get(this.#keyOf(at));
    const status = task?.status ?? { state: "starting" };
    if (status.state === "stopped") return { ...address, ...status };
    const isTakenOver = task !== undefined && task.life.at !== "assigned";
    const own = [isTakenOver ? null : this.waitingFor, task?.whyWaits(at.topic) ?? null];
    const whys = [this.whyAlone(at.partition), this.reads.why(at), ...own, this.#whyAll];
    const why = whys.find((one) => one !== null) ?? null;
    return { ...address, ...(why === null ? status : { state: "paused", why }) };
  }
}
