// Looks now and then whether the topics of running tasks are still those that they took over: of the same life, with as
// many partitions as declared. A part whose topics are not is taken over anew, and the takeover says what is wrong. A redrive
// topic that was made meanwhile is asked for by a rebalance.
import type { TopicDescription } from "../../core/kafka.ts";
import type { TopicName } from "../../core/record.ts";
import type { BoundPart } from "../task/bind.ts";
import type { AnyPart } from "../task/part.ts";
import type { WorkerContext } from "../context.ts";

export class TopicWatch {
  readonly #context: WorkerContext;
  readonly #parts: () => readonly AnyPart[];
  /** Null: gone at the last look. A single look may be a broker's that has not heard of the topic yet. */
  readonly #ids = new Map<TopicName, string | null>();

  constructor(context: WorkerContext, parts: () => readonly AnyPart[]) {
    this.#context = context;
    this.#parts = parts;
  }

  async look(): Promise<void> {
    const running = this.#parts().filter(({ tasks }) => tasks.length > 0);
    const names = running.flatMap(({ bound: { part, plan } }) => [
      ...part.sources.map(({ name }) => name),
      plan.redrive,
    ]);
    const found = await this.#context.admin.describeTopics([...new Set(names)]);
    const changed = new Set(running.filter(({ bound }) => this.#hasChanged(bound, found)));
    for (const [name, topic] of found) this.#ids.set(name, topic?.id ?? null);
    for (const part of changed) part.retake();
    for (const part of running.filter((one) => lacksRedrive(one, found))) part.rejoin();
  }

  #hasChanged(
    { part }: BoundPart,
    found: ReadonlyMap<TopicName, TopicDescription | null>,
  ): boolean {
    return part.sources.some(({ name }) => {
      const topic = found.get(name) ?? null;
      const last = this.#ids.get(name);
      if (topic === null) return last === null;
      const isOther = last !== undefined && last !== null && last !== topic.id;
      return isOther || topic.partitions !== part.partitions;
    });
  }
}

function lacksRedrive(
  part: AnyPart,
  found: ReadonlyMap<TopicName, TopicDescription | null>,
): boolean {
  const { redrive } = part.bound.plan;
  return part.lacks(redrive, found.get(redrive)?.partitions ?? 0);
}
