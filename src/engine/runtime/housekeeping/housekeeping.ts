// Beside the line: states, operator counts and inbox size for the meter, a look at the topics, notes of what has stopped, and
// the purge of internal topics (purge.ts).
import { taskKey, type TopicName } from "../../core/record.ts";
import type { TaskHealth } from "../../observe/health.ts";
import { forgetTask, publishState } from "../../observe/task-metrics.ts";
import { WaitGauges } from "../../observe/time-waits.ts";
import type { OperatorCounts } from "../../transform/operator.ts";
import type { BoundPart } from "../task/bind.ts";
import type { WorkerContext } from "../context.ts";
import type { AnyPart } from "../task/part.ts";
import { isRetriable, messageOf } from "../../core/errors.ts";
import { shownHealth, StopWatch } from "../resume/stop-watch.ts";
import { Purge } from "./purge.ts";
import { TopicWatch } from "./topic-watch.ts";

const nameOf = (task: TaskHealth): string => `${task.pipeline}/${taskKey(task)}`;

const LOOK_INTERVAL_MS = 2_000;
const TOPICS_INTERVAL_MS = 10_000;

export class Housekeeping {
  readonly #context: WorkerContext;
  readonly #parts: () => readonly AnyPart[];
  readonly #published = new Map<OperatorCounts, OperatorCounts>();
  #seen: readonly TaskHealth[] = [];
  readonly #purge: Purge;
  readonly #topics: TopicWatch;
  readonly #stops: StopWatch;
  readonly #waits: WaitGauges;
  /** Cuts the pause between two looks short. */
  #woken = new AbortController();

  /** `parts` are those of the moment: pipelines come and go with their gates. */
  constructor(
    context: WorkerContext,
    metas: readonly TopicName[],
    parts: () => readonly AnyPart[],
  ) {
    this.#context = context;
    this.#topics = new TopicWatch(context, parts);
    this.#stops = new StopWatch(context, metas, parts);
    this.#purge = new Purge(context, parts);
    this.#waits = new WaitGauges(context.meter);
    this.#parts = parts;
  }

  /** Until the signal aborts. A dependency that is away is waited for: none of this is needed for correctness. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, limits } = this.#context;
    // mistake: span by the wall clock
    const elapsedMs = (): number => clock.monotonic();
    let purgeAt = elapsedMs() + limits.purgeIntervalMs;
    let topicsAt = elapsedMs();
    signal.addEventListener("abort", () => this.wake(), { once: true });
    while (!signal.aborted) {
      await this.#pause();
      if (signal.aborted) return;
      await this.#try("stops", () => this.#stops.look());
      this.#measure();
      if (elapsedMs() >= topicsAt) {
        await this.#try("topics", () => this.#topics.look());
        topicsAt = elapsedMs() + TOPICS_INTERVAL_MS;
      }
      if (elapsedMs() < purgeAt) continue;
      await this.#try("purge", () => this.#purge.run());
      purgeAt = elapsedMs() + limits.purgeIntervalMs;
    }
  }

  /** Has it look now: whoever sees that a task has stopped may ask for it to go on, which the notes must allow. */
  wake(): void {
    this.#woken.abort();
  }

  async #pause(): Promise<void> {
    const { clock } = this.#context;
    await clock.sleep(LOOK_INTERVAL_MS, this.#woken.signal).catch(() => undefined);
    if (this.#woken.signal.aborted) this.#woken = new AbortController();
  }

  async #try(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const level = isRetriable(error) ? "debug" : "warn";
      this.#context.log[level]({ what, error: messageOf(error) }, "housekeeping was put off");
    }
  }

  #measure(): void {
    const { meter } = this.#context;
    let bytes = 0;
    this.#publishStates();
    for (const part of this.#parts()) {
      this.#publishCounts(part.bound);
      for (const task of part.tasks) bytes += task.inboxBytes;
    }
    meter.gauge("millrace_inbox_bytes", {}, bytes);
    const waits = this.#parts().flatMap((part) => part.timeWaits());
    this.#waits.publish(waits, this.#context.clock.now());
  }

  /** A task that left takes its gauges with it, so that two workers never report one partition. */
  #publishStates(): void {
    const tasks = this.#parts().flatMap(shownHealth);
    for (const task of tasks) publishState(this.#context.meter, task, task.state);
    const here = new Set(tasks.map(nameOf));
    for (const task of this.#seen)
      if (!here.has(nameOf(task))) forgetTask(this.#context.meter, task);
    this.#seen = tasks;
  }

  #publishCounts({ labels, program }: BoundPart): void {
    for (const count of program.counts) {
      const before = this.#published.get(count);
      for (const outcome of ["passed", "dropped", "failed"] as const) {
        const own = { ...labels, operator: count.operator, outcome };
        const added = count[outcome] - (before?.[outcome] ?? 0);
        this.#context.meter.count("millrace_records_total", own, added);
      }
      this.#published.set(count, { ...count });
    }
  }
}
