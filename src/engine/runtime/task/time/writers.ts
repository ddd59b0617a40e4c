// The Millrace pipelines that write sources of a part (I4): this one, whose plan says how, and others, of which their notes do.
import { flowStepsOf, type FlowStep } from "../../../core/flow-steps.ts";
import { Mutex } from "../../../core/mutex.ts";
import type { TopicName } from "../../../core/record.ts";
import { flowNote, NoteTail } from "../../../notes/notes.ts";
import { TopicWriter } from "../../../source/writers.ts";
import type { WorkerContext } from "../../context.ts";
import type { BoundPart } from "../bind.ts";

/** The writers by topic; they are looked at until the signal aborts. */
export function writersOf(
  { plan, part }: BoundPart,
  context: WorkerContext,
  life: AbortSignal,
): ReadonlyMap<TopicName, TopicWriter> {
  const notes = new FlowNotes(context, plan.namespace);
  const stepsOf = (pipeline: string): Promise<readonly FlowStep[] | null> =>
    pipeline === plan.pipeline ? Promise.resolve(flowStepsOf(plan)) : notes.stepsOf(pipeline);
  const { admin, clock, log } = context;
  return new Map(
    part.sources.flatMap(({ name: topic, writtenBy: pipeline, idleAfterMs }) => {
      if (pipeline === undefined || idleAfterMs === undefined) return [];
      const ports = { admin, clock, log, stepsOf };
      return [[topic, new TopicWriter({ topic, pipeline }, ports, life)] as const];
    }),
  );
}

/** The flows of other pipelines, each as last noted. */
class FlowNotes {
  readonly #context: WorkerContext;
  readonly #namespace: string;
  readonly #tails = new Map<string, NoteTail>();
  readonly #lock = new Mutex();

  constructor(context: WorkerContext, namespace: string) {
    [this.#context, this.#namespace] = [context, namespace];
  }

  stepsOf(pipeline: string): Promise<readonly FlowStep[] | null> {
    const known = this.#tails.get(pipeline);
    const tail = known ?? new NoteTail(this.#context, `${this.#namespace}${pipeline}-meta`);
    this.#tails.set(pipeline, tail);
    return this.#lock.run(async () => flowNote(await tail.look()));
  }
}
