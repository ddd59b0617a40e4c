// Keeps the notes of a worker's tasks true: one that has stopped is noted, one that runs is not, whoever noted it. Takes
// stopped tasks over anew when an operator wishes it. Nothing here is needed for a task to run or to stop.
import { sendOnce } from "../../core/send-once.ts";
import { entryOf } from "../../core/error-table.ts";
import type { OutRecord, TopicName } from "../../core/record.ts";
import type { TaskHealth } from "../../observe/health.ts";
import { noteRecord, NoteTail, type Notes } from "../../notes/notes.ts";
import { isResumed, resumeKey, stopKey, stopText, type StopNote } from "../../notes/stop-notes.ts";
import type { WorkerContext } from "../context.ts";
import type { AnyPart } from "../task/part.ts";

/** The tasks that people see. A task of the redrive topic is shown only when it has stopped: it is the same part's. */
export const shownHealth = (part: AnyPart): TaskHealth[] =>
  part
    .health()
    .filter(({ topic, state }) => topic !== part.bound.plan.redrive || state === "stopped");

/** While something has stopped, somebody may wait for an answer. */
const OFTEN_MS = 4_000;
/** For what a worker that has lost the task may have noted late. */
const SELDOM_MS = 10_000;

export class StopWatch {
  readonly #pipelines: readonly PipelineStops[];

  constructor(
    context: WorkerContext,
    metas: readonly TopicName[],
    parts: () => readonly AnyPart[],
  ) {
    this.#pipelines = metas.map((meta) => {
      const own = () => parts().filter(({ bound }) => bound.plan.meta === meta);
      return new PipelineStops(context, meta, own);
    });
  }

  /** Cheap when nothing is new and nothing is due. */
  async look(): Promise<void> {
    await Promise.all(this.#pipelines.map((pipeline) => pipeline.look()));
  }
}

/** Noted for the pipeline as a whole. */
const OF_THE_GATE = "MILL_PIPELINE_HALTED";

interface PartTask {
  readonly part: AnyPart;
  readonly health: TaskHealth;
}

type StoppedHealth = Extract<TaskHealth, { state: "stopped" }>;

class PipelineStops {
  readonly #context: WorkerContext;
  readonly #meta: TopicName;
  readonly #parts: () => readonly AnyPart[];
  readonly #tail: NoteTail;
  #seen = "";
  #dueMs = 0;

  constructor(context: WorkerContext, meta: TopicName, parts: () => readonly AnyPart[]) {
    this.#context = context;
    this.#meta = meta;
    this.#parts = parts;
    this.#tail = new NoteTail(context, meta);
  }

  async look(): Promise<void> {
    const now = this.#context.clock.monotonic();
    const tasks = this.#tasks();
    const seen = tasks.map(({ health }) => markOf(health)).join(" ");
    if (seen === "" || (seen === this.#seen && now < this.#dueMs)) return;
    const hasStopped = tasks.some(({ health }) => health.state === "stopped");
    this.#seen = seen;
    // Also after a look that fails.
    this.#dueMs = now + OFTEN_MS;
    const isSettled = await this.#compare();
    if (!isSettled) this.#dueMs = now;
    else if (!hasStopped) this.#dueMs = now + SELDOM_MS;
  }

  /** Tasks that run or have stopped, except those that the gate has stopped. */
  #tasks(): PartTask[] {
    const known = (task: TaskHealth): boolean =>
      task.state === "running" || (task.state === "stopped" && task.code !== OF_THE_GATE);
    return this.#parts().flatMap((part) =>
      part
        .health()
        .filter(known)
        .map((health) => ({ part, health })),
    );
  }

  /** Returns whether all notes are true now: that of a task that was resumed waits until the task has shown that it goes on. */
  async #compare(): Promise<boolean> {
    const notes = await this.#tail.look();
    for (const part of this.#parts()) {
      const again = part.health().filter((task) => this.#isWished(task, notes));
      if (again.length > 0) part.resume([...new Set(again.map(({ partition }) => partition))]);
    }
    const untrue: OutRecord[] = [];
    let isSettled = true;
    for (const { part, health } of this.#tasks()) {
      if (health.state === "stopped") untrue.push(...this.#stopped(health, notes));
      else if (!isNoted(health, notes) || (await part.goesOn(health)))
        untrue.push(...this.#over(health, notes));
      else isSettled = false;
    }
    await sendOnce(this.#context.kafka, untrue);
    return isSettled;
  }

  #stopped(task: StoppedHealth, notes: Notes): OutRecord[] {
    const text = stopText(this.#noteOf(task));
    return notes.get(stopKey(task)) === text ? [] : [noteRecord(this.#meta, stopKey(task), text)];
  }

  #over(task: TaskHealth, notes: Notes): OutRecord[] {
    const over = [stopKey(task), resumeKey(task)].filter((key) => notes.has(key));
    return over.map((key) => noteRecord(this.#meta, key, null));
  }

  #noteOf({ code, message, sinceMs }: StoppedHealth): StopNote {
    const { owner } = this.#context;
    // A defect's own text is a stranger's and may quote a value; the log of the worker has it.
    const text = code === "MILL_ENGINE_INVARIANT" ? entryOf(code).message : message;
    return { kind: "stopped", code, message: text, atMs: sinceMs, owner };
  }

  #isWished(task: TaskHealth, notes: Notes): boolean {
    return task.state === "stopped" && isResumed(notes, task, this.#noteOf(task));
  }
}

const isNoted = (task: TaskHealth, notes: Notes): boolean => notes.has(stopKey(task));

/** Changes when a task stops, also when it stops again. */
const markOf = (task: TaskHealth): string => {
  const since = task.state === "stopped" ? String(task.sinceMs) : "";
  return `${stopKey(task)}=${task.state}${since}`;
};
