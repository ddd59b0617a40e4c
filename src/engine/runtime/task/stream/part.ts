// A stream part in one worker. After every rebalance all its partitions, retained ones too, are taken over together; until
// then nothing of them is read. Tasks of one number in all topics of the part are one.
import type { Assignment } from "../../../core/kafka.ts";
import { formerGroups, isNamedBySource, mainGroup, readerOf } from "../../../core/pieces.ts";
import type { TopicName, TopicPartition } from "../../../core/record.ts";
import { PartTimeWaits, slowestWaits, type TimedInputs } from "../../../core/time-waits.ts";
import type { TaskHealth } from "../../../observe/health.ts";
import type { PipelineWait } from "../../../observe/time-waits.ts";
import type { GroupNames } from "../../../source/inherit.ts";
import { takeOver, type TakenOver, type TakeoverPorts } from "../../../source/takeover.ts";
import type { TopicWriter } from "../../../source/writers.ts";
import type { OpenStores } from "../../../state/task-stores.ts";
import { actionOf, awaitingTopics, ours, persist, unlessAborted } from "../../failure.ts";
import { partFacts, type BoundPart } from "../bind.ts";
import { writersOf } from "../time/writers.ts";
import type { StreamCommitter } from "./committer.ts";
import { RunningPart, type PartOptions } from "../part.ts";
import type { Probations } from "./probation.ts";
import { openStores } from "./stores.ts";
import { StreamStage, type StreamTask } from "./stage.ts";

/** A leaving owner waits this long for its copies of state. */
const COPIES_WITHIN_MS = 1_000;

export class StreamPart extends RunningPart<StreamStage> {
  readonly #committer: StreamCommitter;
  /** Tasks whose outputs were refused commit alone. */
  readonly probations: Probations = new Map();
  readonly #waits: PartTimeWaits;
  readonly #life = new AbortController();
  /** The pipelines that write its sources. */
  readonly #writers: ReadonlyMap<TopicName, TopicWriter>;
  #takingOver: AbortController | null = null;

  constructor(options: PartOptions, committer: StreamCommitter) {
    super(options);
    this.#waits = new PartTimeWaits(options.bound.part);
    this.#committer = committer;
    this.#writers = writersOf(this.bound, this.context, this.#life.signal);
  }

  override async stop(): Promise<void> {
    this.#life.abort(new Error("the part has left"));
    await super.stop();
  }

  protected assigned(): void {
    this.probations.clear();
    this.retake();
  }

  /** Commits what was staged, then gives the tasks up. */
  protected async revoked(): Promise<void> {
    this.#takingOver?.abort(new Error("the assignment was revoked"));
    this.assignment = null;
    await this.#copiesSettled();
    await this.#committer.flush();
    await this.#copiesSettled();
    this.drop();
  }

  /** So that the next owner finds its copies where they should be; not for long, as it can bring them there itself. */
  async #copiesSettled(): Promise<void> {
    const all = Promise.all(this.tasks.flatMap(({ work }) => work?.settled() ?? []));
    const wait = new AbortController();
    // A copy that cannot be brought up has been reported by its task; the sleep is cut short on purpose.
    const quiet = (work: Promise<unknown>): Promise<unknown> => work.catch(() => undefined);
    await Promise.race([
      quiet(all),
      quiet(this.context.clock.sleep(COPIES_WITHIN_MS, wait.signal)),
    ]);
    wait.abort(new Error("no need to wait"));
  }

  protected outOfRange({ partition }: TopicPartition): void {
    if (this.tasks.some((task) => task.partition === partition)) this.retake();
  }

  /** Gives every task up, with what it has staged. */
  drop(): void {
    for (const task of this.all) this.giveUp(task);
  }

  /**
   * Goes back to committed progress: pauses, gives up, takes over, seeks, runs. Called again, it begins anew.
   * `waitingFor` names what is known to be away, since the takeover's first request may hang for long. It begins after
   * `pauseMs`.
   */
  retake(waitingFor: string | null = null, pauseMs = 0): void {
    this.#takingOver?.abort(new Error("the takeover began anew"));
    this.waitingFor = waitingFor;
    this.drop();
    if (this.assignment === null || this.assignment.partitions.length === 0) return;
    this.#takingOver = new AbortController();
    this.#begin(this.assignment, this.assignment.partitions, pauseMs);
  }

  /** As a rebalance would, for those of them that have stopped; their neighbours go on. */
  resume(partitions: readonly number[]): void {
    this.retakeOnly(new Set(this.stoppedOf(partitions).map(({ partition }) => partition)));
  }

  /** These go back to committed progress; those of an assignment that ends are only given up. */
  retakeOnly(again: ReadonlySet<number>): void {
    // mistake: refused while it leaves
    for (const task of this.all) if (again.has(task.partition)) this.giveUp(task);
    const { assignment } = this;
    if (assignment === null || this.#takingOver === null || again.size === 0) return;
    this.#begin(
      assignment,
      assignment.partitions.filter(({ partition }) => again.has(partition)),
    );
  }

  #begin(assignment: Assignment, partitions: readonly TopicPartition[], pauseMs = 0): void {
    const { signal } = this.#takingOver as AbortController;
    const { part, labels } = this.bound;
    const topic = part.sources[0]?.name ?? "";
    const tasks = [...new Set(partitions.map(({ partition }) => partition))].map((partition) =>
      this.assign(
        partitions.filter((at) => at.partition === partition),
        { ...labels, topic, partition },
      ),
    );
    // mistake: fenced at once
    const pause = pauseMs > 0 ? this.context.clock.sleep(pauseMs, signal) : Promise.resolve();
    pause
      .then(() => this.#takeOver(assignment, tasks, signal))
      .catch((error: unknown) => {
        if (!signal.aborted) this.#failed(error, tasks);
      });
  }

  async #takeOver(
    assignment: Assignment,
    tasks: readonly StreamTask[],
    signal: AbortSignal,
  ): Promise<void> {
    const { options, meta, letterStates } = this.bound.plan;
    const { owner, limits } = this.context;
    const { transactionTimeoutMs, sessionTimeoutMs } = limits;
    const transact: TakeoverPorts["transact"] = (body) => this.#committer.transact(body, signal);
    const ports = { ...this.context, notes: this.notes, transact };
    const request = {
      ...{ assignment, partitions: tasks.flatMap(({ partitions }) => partitions), owner },
      ...{ part: partFacts(this.bound), naming: namingOf(this.bound), start: options.start },
      ...{ meta, letterStates, transactionTimeoutMs, sessionTimeoutMs },
    };
    const begin = async (): Promise<TakenOver[] | null> => {
      await this.#committer.settle();
      const found = await takeOver(ports, request);
      // Last of all: what was noted before our join is seen, and who notes it later sees us in the group.
      return (await this.options.gate.admit(signal)) ? found : null;
    };
    const onWaiting = (why: string | null): void => void (this.waitingFor = why);
    const taken = await persist(this.context, { dependency: "kafka", signal, onWaiting }, () =>
      unlessAborted(signal, awaitingTopics(begin)),
    );
    signal.throwIfAborted();
    this.waitingFor = null;
    if (taken === null) return;
    for (const task of tasks) {
      const starts = taken.filter(({ partition }) => partition === task.partition);
      const stop = starts.find((start) => start.stop !== null)?.stop ?? null;
      if (stop !== null) this.halt(task, stop);
      else this.#restore(task, starts, assignment);
    }
  }

  /** Opens the task when its stores are open: at once where there are none. */
  #restore(task: StreamTask, starts: readonly TakenOver[], assignment: Assignment): void {
    if (task.life.at === "closed") return;
    if (!this.bound.program.needsBatch) return this.#run(task, starts, assignment, null);
    const { context, bound } = this;
    task.restore(null);
    openStores({ context, bound, task }).then(
      (stores) => {
        if (task.signal.aborted) stores.close();
        else this.#run(task, starts, assignment, stores);
      },
      (error: unknown) => {
        if (!task.signal.aborted) this.halt(task, ours(error));
      },
    );
  }

  #run(
    task: StreamTask,
    starts: readonly TakenOver[],
    { generation }: Assignment,
    stores: OpenStores | null,
  ): void {
    const { bound, context } = this;
    const options = {
      ...{ context, bound, generation, starts, stores, letters: this.letters },
      breaker: this.newBreaker(),
      ...{ probations: this.probations, committer: this.#committer, writers: this.#writers },
    };
    const running = task.run(
      { starts, lineage: this.options.gate.lineage, proofs: this.proofs },
      this.consumer,
      (intake, inbox) => new StreamStage(task, options, intake, inbox),
    );
    this.admit(task, starts);
    running.then(
      (halted) => {
        if (halted !== null) this.halt(task, halted);
      },
      (error: unknown) => {
        if (task.life.at === "closed") return;
        task.discard();
        this.halt(task, ours(error));
      },
    );
  }

  #failed(error: unknown, tasks: readonly StreamTask[]): void {
    // Under the old generation it would be fenced again: the group needs time to announce a newer one.
    if (actionOf(error) === "retake")
      return this.retake(null, this.context.limits.heartbeatIntervalMs);
    for (const task of tasks) this.halt(task, ours(error));
  }

  protected override whyAlone(partition: number): string | null {
    return this.probations.get(partition)?.why ?? null;
  }

  protected override get whyAll(): string | null {
    return this.#committer.waitingFor;
  }

  /** At the end of its range a run ends time, whatever the wall clock says, so nothing is said of it there. */
  override timeWaits(): PipelineWait[] {
    if (this.context.bounds !== undefined) return [];
    const waits = this.tasks.flatMap(({ partition, work }) => {
      if (work === null) return [];
      const timeOf: TimedInputs["timeOf"] = (topic) => work.inputs.inputTime(topic);
      return this.#waits.of({ partition, hasQueued: work.queuedRecords > 0, timeOf });
    });
    const { pipeline } = this.bound.plan;
    return slowestWaits(waits).map((wait) => ({ pipeline, ...wait }));
  }

  /** The redrive topic is left out: it belongs to the same tasks. */
  override health(): TaskHealth[] {
    const { redrive } = this.bound.plan;
    return super.health().filter(({ topic }) => topic !== redrive);
  }
}

const namingOf = ({ plan, part }: BoundPart): GroupNames => ({
  isNamed: isNamedBySource(part),
  main: mainGroup(part),
  former: (topic) => formerGroups(plan, part, topic).free,
  taken: (topic) => formerGroups(plan, part, topic).taken,
  isOwn: (order) => readerOf(plan, order.part, order.origin.topic) === part,
});
