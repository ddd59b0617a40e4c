// A sink part in one worker. Each partition is taken over by itself: where its task begins is in the database, never in the
// group's offset, which is only a hint for lag.
import type { Assignment, PlainProducer, Progress } from "../../../core/kafka.ts";
import type { TableStore } from "../../../core/ports.ts";
import type { TopicPartition } from "../../../core/record.ts";
import { checkFirstStart, checkSinkStart } from "../../../source/sink-start.ts";
import { cameLater } from "../../../notes/notes.ts";
import { progressInvalid, versionsDiffer } from "../../../notes/stops.ts";
import { firstStartsOf } from "../../../source/start-offsets.ts";
import type { MillraceError } from "../../../core/errors.ts";
import { actionOf, awaitingTopics, ours } from "../../failure.ts";
import { partFacts } from "../bind.ts";
import { SinkCommitter, type SinkTaskStart } from "./committer.ts";
import { RunningPart, type PartOptions } from "../part.ts";
import type { Task } from "../task.ts";

type SinkTask = Task<SinkCommitter>;

export class SinkPart extends RunningPart<SinkCommitter> {
  readonly #store: TableStore;
  readonly #producer: PlainProducer;

  constructor(options: PartOptions, store: TableStore, producer: PlainProducer) {
    super(options);
    this.#store = store;
    this.#producer = producer;
  }

  protected assigned({ partitions }: Assignment): void {
    for (const at of partitions) this.#take(at);
  }

  /** A sink has nothing to hand over: what was not committed is read again. */
  protected revoked(): Promise<void> {
    this.assignment = null;
    for (const task of this.all) this.giveUp(task);
    return Promise.resolve();
  }

  protected outOfRange(at: TopicPartition): void {
    this.#retake(
      this.all.filter((task) => task.address.topic === at.topic && task.partition === at.partition),
    );
  }

  retake(): void {
    this.#retake(this.tasks);
  }

  resume(partitions: readonly number[]): void {
    this.#retake(this.stoppedOf(partitions));
  }

  #retake(tasks: readonly SinkTask[]): void {
    if (this.assignment === null) return;
    for (const { partitions } of tasks) this.#take(partitions[0] as TopicPartition);
  }

  /** Takes the partition over: raises the epoch, so that whoever had it can write no more. */
  #take(at: TopicPartition, pauseMs = 0): void {
    const task = this.assign([at], { ...this.bound.labels, ...at });
    const pause = pauseMs > 0 ? this.context.clock.sleep(pauseMs, task.signal) : Promise.resolve();
    pause
      .then(() => this.#work(task))
      .then(
        (halted) => halted !== null && this.#halt(task, halted),
        (error: unknown) => this.#failed(task, error),
      );
  }

  async #work(task: SinkTask): Promise<MillraceError | null> {
    const [at] = task.partitions as [TopicPartition];
    const { bound, context, consumer } = this;
    const { gate } = this.options;
    const { generation } = this.assignment as Assignment;
    const start = await this.#startOf(task);
    task.signal.throwIfAborted();
    // Last of all, the epoch included: who shuts the gate later raises it again, or sees us in the group.
    if (!(await task.persist("kafka", () => gate.admit(task.signal)))) return null;
    task.signal.throwIfAborted();
    const options = {
      ...{ context, bound, start, letters: this.letters, breaker: this.newBreaker() },
      ...{ store: this.#store, producer: this.#producer },
      hint: (progress: Progress): void => {
        // A refused hint is no harm: the database decides, and the next hint says the same.
        consumer.commit([progress], generation).catch(() => undefined);
      },
    };
    const starts = [{ ...at, nextOffset: start.nextOffset }];
    const running = task.run(
      { starts, lineage: gate.lineage, proofs: this.proofs },
      consumer,
      (intake) => new SinkCommitter(task, options, intake),
    );
    this.admit(task, starts);
    this.#watch(task);
    return running;
  }

  /** Progress in the database, ours from now on, which the log must still have. */
  async #startOf(task: SinkTask): Promise<SinkTaskStart> {
    const [at] = task.partitions as [TopicPartition];
    const { bound, context } = this;
    const part = partFacts(bound);
    const other = versionsDiffer(part, this.assignment?.partitions ?? []);
    if (other !== null) throw other;
    let isFirst = false;
    const first = async (): Promise<bigint> => {
      isFirst = true;
      const { start } = bound.plan.options;
      this.notes.forget();
      const notes = await this.notes.read();
      const isNew = (one: TopicPartition): boolean => cameLater(notes, bound.part.group, one);
      const [found] = await firstStartsOf(context.admin, { start, part }, [at], isNew);
      const begin = { ...at, nextOffset: found?.nextOffset ?? 0n };
      const ports = { admin: context.admin, notes: this.notes };
      await checkFirstStart(ports, { part, group: bound.part.group, start: begin });
      return begin.nextOffset;
    };
    // mistake: hint trusted
    const start = await task.persist("postgres", () =>
      awaitingTopics(() => this.#store.takeOver(task.address, first)),
    );
    const request = {
      part,
      group: bound.part.group,
      meta: bound.plan.meta,
      start: { ...at, nextOffset: start.nextOffset },
      isFirst,
    };
    const ports = { admin: context.admin, notes: this.notes, producer: this.#producer };
    await task.persist("kafka", () => awaitingTopics(() => checkSinkStart(ports, request)));
    const { ledger } = start;
    if (ledger === null) throw progressInvalid(part, request.start, "its ledger is none");
    return { ...start, ledger };
  }

  /** A failover may have taken progress back while the task had nothing to do: it looks now and then. */
  #watch(task: SinkTask): void {
    const { clock, limits } = this.context;
    const look = async (): Promise<void> => {
      while (task.life.at === "running") {
        await clock.sleep(limits.idleCheckMs, task.signal);
        const isMine = await task.work?.checkProgress().catch(() => true);
        if (isMine === false && task.life.at === "running") return this.#retake([task]);
      }
    };
    // Ends with the task; its rejection is the aborted sleep.
    look().catch(() => undefined);
  }

  /** Fenced: whoever raised the epoch may be the rightful owner; the group's next word may be on its way. */
  #failed(task: SinkTask, error: unknown): void {
    const { limits, meter, log } = this.context;
    const isFenced = actionOf(error) === "retake";
    // Also when the group has taken the partition away meanwhile: the commit was refused all the same.
    if (isFenced) meter.count("millrace_fenced_total", { kind: "sink" });
    if (task.life.at === "closed") return;
    if (!isFenced) return this.#halt(task, ours(error));
    const [at] = task.partitions as [TopicPartition];
    const facts = { ...at, part: this.bound.part.name };
    log.warn(facts, "fenced: taking over again if it is still ours");
    this.#take(at, 2 * limits.heartbeatIntervalMs);
  }

  #halt(task: SinkTask, error: MillraceError): void {
    this.halt(task, error);
    task.shut();
  }
}
