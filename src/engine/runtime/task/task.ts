// A task: one part on one partition in this worker, from its assignment until it is given up. It takes slices from its
// inbox, as far as they can be read, and gives them to its work, which knows how they are committed.
import { assert, type MillraceError } from "../../core/errors.ts";
import type { RecordBatch, StartOffset } from "../../core/kafka.ts";
import type { LoadStart } from "../../core/loading.ts";
import type { Operated } from "../../core/lead.ts";
import type { ClockReading } from "../../core/ports.ts";
import { addressOf, type TopicName, type TopicPartition } from "../../core/record.ts";
import type { RedriveOrder } from "../../core/redrive.ts";
import type { TaskAddress, TaskStatus } from "../../observe/health.ts";
import { ProvenRedrives, type RedriveProofs } from "../../letters/redrives/proofs.ts";
import { isSuperseded } from "../../letters/redriven.ts";
import type { Lineage } from "../../notes/generations.ts";
import { Inbox } from "../../source/inbox.ts";
import type { Valve } from "../../source/queue.ts";
import { leadOf } from "../../notes/stops.ts";
import type { FollowProgress } from "../../state/changelog/follow.ts";
import type { WorkerContext } from "../context.ts";
import { actionOf, persist } from "../failure.ts";
import type { BoundPart } from "./bind.ts";
import { Intake, mustWait, type RedriveChecks, type Slice } from "./intake.ts";
import type { Learner } from "./line/recognise.ts";

/** Why a task has stopped and since when, with what the operator can do about it: for /ready, the log and the notes. */
export type Stop = Omit<Extract<TaskStatus, { state: "stopped" }>, "state">;

export const stopOf = (error: MillraceError, of: Operated, now: number): Stop => ({
  code: error.code,
  message: `${error.message}${leadOf(error, of)}`,
  sinceMs: now,
});

/** The stage of a task's life. */
export type Life =
  | { readonly at: "assigned" | "running" | "closed" }
  | { readonly at: "restoring"; readonly progress: FollowProgress | null }
  | { readonly at: "stopped"; readonly stop: Stop };

const TRANSITIONS: Readonly<Record<Life["at"], readonly Life["at"][]>> = {
  assigned: ["restoring", "running", "stopped", "closed"],
  restoring: ["restoring", "running", "stopped", "closed"],
  running: ["running", "restoring", "stopped", "closed"],
  stopped: ["closed"],
  closed: [],
};

/** Committed progress in one input. */
export interface TaskPosition {
  readonly topic: TopicName;
  readonly committed: bigint;
}

/** The work on a task's records. Each step returns why the task must stop, or null. */
export interface TaskWork {
  /** Takes care of what an earlier owner has left. */
  begin(): Promise<void>;
  /** Does what is due before further records are taken. */
  turn(): Promise<MillraceError | null>;
  /** Records that may be taken now. */
  readonly room: number;
  /** Called before the task waits for the next records: those that were taken are not kept back meanwhile. */
  flush(): Promise<MillraceError | null>;
  take(slice: Slice): Promise<MillraceError | null>;
  positions(): TaskPosition[];
  /** A source was found without anything behind this offset by a fetch that was sent at that time. */
  quiet?(topic: TopicName, nextOffset: bigint, sent: ClockReading): void;
  close(): void;
}

/** The offsets that a task begins at, and the generations of letters that it knows. */
export interface TaskBeginning {
  readonly starts: readonly LoadStart[];
  readonly lineage: Lineage;
  /** The letters that are on their way back. */
  readonly proofs: RedriveProofs;
}

export interface TaskOptions {
  readonly context: WorkerContext;
  readonly bound: BoundPart;
  /** The partitions of the task: the same number in each of its topics. */
  readonly partitions: readonly TopicPartition[];
  /** Names the task in metrics. */
  readonly address: TaskAddress;
}

/**
 *   assigned ───▶ restoring ◀──▶ running
 *      │ │            │ │          │ │
 *      │ └────────────┼─┴──────────┼─┴──▶ stopped
 *      ▼              ▼            ▼         │
 *    closed ◀────────────────────────────────┘
 *
 * assigned: its committed progress is taken over · restoring: the copies of its state are brought up, before it runs and
 * whenever one is found elsewhere; left out in a part without state · running: records are read and worked on · stopped:
 * it will not go on by itself; a new task takes its place when an operator says so · closed: the partition is given up, and
 * what comes late changes nothing.
 */
export class Task<W extends TaskWork = TaskWork> {
  readonly address: TaskAddress;
  readonly partition: number;
  readonly partitions: readonly TopicPartition[];
  readonly #options: TaskOptions;
  readonly #end = new AbortController();
  #life: Life = { at: "assigned" };
  #work: W | null = null;
  #inbox: Inbox | null = null;
  #starts: readonly StartOffset[] = [];
  #failure: MillraceError | null = null;
  /** The dependency that the task waits for. */
  waitingFor: string | null = null;

  constructor(options: TaskOptions) {
    this.#options = options;
    this.address = options.address;
    this.partition = options.address.partition;
    this.partitions = options.partitions;
  }

  get life(): Life {
    return this.#life;
  }

  /** The only place where the life of a task moves on. */
  #become(next: Life): void {
    const { at } = this.#life;
    assert(TRANSITIONS[at].includes(next.at), `a task that is ${at} does not become ${next.at}`);
    this.#life = next;
  }

  /** Null before it runs, and when what it has made is torn. */
  get work(): W | null {
    return this.#work;
  }

  /** Ends with the task, or with a failure. */
  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** The state of a task that waits for nothing. */
  get status(): TaskStatus {
    const life = this.#life;
    if (life.at === "stopped") return { state: "stopped", ...life.stop };
    if (life.at !== "restoring" || life.progress === null)
      return { state: life.at === "running" ? "running" : "starting" };
    const { from, next, end } = life.progress;
    const why = `restores state: ${String(next - from)} of ${String(end - from)} changes`;
    return { state: "starting", why };
  }

  /** For as long as a dependency is away; rejects when the task ends first. */
  persist<T>(dependency: string, work: () => Promise<T>): Promise<T> {
    return persist(this.#options.context, { dependency, ...this.learner }, work);
  }

  get learner(): Learner {
    const { context } = this.#options;
    return { context, signal: this.signal, onWaiting: (why) => void (this.waitingFor = why) };
  }

  /** A copy of its state is brought up; null when it is there. */
  restore(progress: FollowProgress | null): void {
    const { at } = this.#life;
    if (at === "stopped" || at === "closed") return;
    const isBack = progress === null && this.#work !== null;
    this.#become(isBack ? { at: "running" } : { at: "restoring", progress });
  }

  /** Reads from `starts` on. Resolves when it halts, with why, or when it was closed. */
  async run(
    { starts, lineage, proofs }: TaskBeginning,
    valve: Valve,
    workFrom: (intake: Intake, inbox: Inbox) => W,
  ): Promise<MillraceError | null> {
    const { bound, context } = this.#options;
    const { bounds, pace, limits } = context;
    const own = { bytesMax: limits.inboxBytesMax, sliceRecordsMax: limits.sliceRecordsMax };
    const onLoaded = (): void => this.#logLoading("the reference topics are loaded: it reads on");
    const inbox = new Inbox(starts, own, valve, {
      ...{ group: bound.part.group, bounds, pace, onLoaded },
    });
    const waiting = this.partitions.find(({ topic }) => inbox.whyWaits(topic) !== null);
    if (waiting !== undefined)
      this.#logLoading(`${addressOf(waiting)} ${String(inbox.whyWaits(waiting.topic))}`);
    const intake = new Intake(bound, inbox, this.#redriveChecks(lineage, proofs));
    const work = workFrom(intake, inbox);
    this.#become({ at: "running" });
    [this.#inbox, this.#work, this.#starts] = [inbox, work, starts];
    try {
      return (await this.#loop(work, intake)) ?? this.#failure;
    } catch (error) {
      // A fence is reported even so: the commit was refused, whoever has the partition by now.
      if (this.signal.aborted && actionOf(error) !== "retake") return this.#failure;
      throw error;
    }
  }

  #logLoading(text: string): void {
    this.#options.context.log.info(
      { ...this.#options.bound.labels, partition: this.partition },
      text,
    );
  }

  #redriveChecks(lineage: Lineage, proofs: RedriveProofs): RedriveChecks {
    const { bound, context } = this.#options;
    const redrives = new ProvenRedrives(proofs);
    return {
      isSuperseded: (order) => this.#isSuperseded(order, lineage),
      proven: (records) => this.persist("kafka", () => redrives.of(records, this.signal)),
      onUnproven: (records) =>
        context.meter.count("millrace_redrives_unproven_total", bound.labels, records),
    };
  }

  #isSuperseded(order: RedriveOrder, lineage: Lineage): boolean {
    const { bound, context } = this.#options;
    if (!isSuperseded(order, bound.part.name, lineage)) return false;
    context.meter.count("millrace_redrives_superseded_total", bound.labels);
    return true;
  }

  /** The line: fetch → learn schemas → decode, transform, stage → make room. */
  async #loop(work: W, intake: Intake): Promise<MillraceError | null> {
    await work.begin();
    for (;;) {
      let stopped = (await work.turn()) ?? (await atFailure(work, intake));
      if (stopped !== null) return stopped;
      const next = await intake.next(work.room);
      if (this.signal.aborted) return null;
      if (next === null) continue;
      if (mustWait(this.#options.bound, next)) stopped = await work.flush();
      stopped ??= await work.take(await intake.readable(next, this.learner));
      if (stopped !== null) return stopped;
    }
  }

  /** Returns where to seek when the batch does not follow what was read before. */
  accept(batch: RecordBatch): bigint | null {
    return this.#inbox?.push(batch) ?? null;
  }

  quiet(topic: TopicName, nextOffset: bigint, sent: ClockReading): void {
    this.#work?.quiet?.(topic, nextOffset, sent);
  }

  /** Nothing can be read of the topic behind what was fetched: there it stops. */
  failRead(topic: TopicName, failure: MillraceError): void {
    this.#inbox?.fail(topic, failure);
  }

  /** Takes nothing more of these topics. */
  pauseTopics(topics: ReadonlySet<TopicName>): void {
    this.#inbox?.pauseTopics(topics);
  }

  /** The reason why the task as a whole waits, or reads nothing of this topic; null: there is none. */
  whyWaits(topic: TopicName): string | null {
    return this.waitingFor ?? this.#inbox?.whyWaits(topic) ?? null;
  }

  get inboxBytes(): number {
    return this.#inbox?.bytes ?? 0;
  }

  /** Committed progress in each input. */
  positions(): TaskPosition[] {
    return this.#work?.positions() ?? [];
  }

  /** It has committed since it runs. */
  get hasCommitted(): boolean {
    return this.positions().some(({ topic, committed }) =>
      this.#starts.some((start) => start.topic === topic && start.nextOffset < committed),
    );
  }

  /** It will not go on by itself; what it has staged before may still be committed. */
  stop(stop: Stop): void {
    this.#become({ at: "stopped", stop });
  }

  /** An error beside the records: `run` returns it, and nothing of what is staged may be committed. */
  fail(error: MillraceError): void {
    this.#failure ??= error;
    this.shut();
  }

  /** Ends the loop and whatever is waited for. */
  shut(): void {
    this.#end.abort(new Error("the task was closed"));
    this.#inbox?.close();
    this.#work?.close();
  }

  /** A defect in the middle of a slice: what it has made is torn. */
  discard(): void {
    this.shut();
    this.#work = null;
  }

  /** Given up, with everything that no checkpoint has taken. */
  close(): void {
    this.#become({ at: "closed" });
    this.shut();
  }
}

/** The records in front of what cannot be read are committed before the task stops. */
async function atFailure(work: TaskWork, { failure }: Intake): Promise<MillraceError | null> {
  return failure === null ? null : ((await work.flush()) ?? failure);
}
