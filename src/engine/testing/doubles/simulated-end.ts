// The end of a simulation that ends time, as a bounded run does: each topic that comes from outside ends where it ends when
// everything was sent, and each of a pipeline's own once its writers are done. Until then nothing has an end.
import type { Bounds } from "../../core/bounds.ts";
import { END_OF_TIME } from "../../core/event-time.ts";
import type { AdminPort, Watermarks } from "../../core/kafka.ts";
import { PartFlow, type BoundedPlace } from "../../core/part-flow.ts";
import { outputOf, type Part, type Plan } from "../../core/plan.ts";
import type { Clock } from "../../core/ports.ts";
import { readProgress, type ProgressPorts, type TaskProgress } from "../../core/progress.ts";
import { watermarksOf } from "../../core/read-range.ts";
import { addressOf, type GroupId, type TopicName, type TopicPartition } from "../../core/record.ts";

const LOOK_MS = 1_000;
const nothing: ReadonlySet<TopicName> = new Set();
const keyOf = (group: GroupId, at: TopicPartition): string => `${group}/${addressOf(at)}`;

/** What one look at a pipeline has found; progress is read before the ends. */
interface EndFacts {
  readonly progress: readonly TaskProgress[];
  readonly ends: ReadonlyMap<string, Watermarks>;
}

interface ReadPorts extends ProgressPorts {
  readonly admin: AdminPort;
}

export class SimulatedEnd implements Bounds {
  readonly #plans: readonly Plan[];
  readonly #ends = new Map<string, bigint>();
  readonly #places = new Map<Plan, readonly BoundedPlace[]>();
  readonly #done = new Set<Plan>();
  readonly #listeners = new Set<() => void>();

  constructor(plans: readonly Plan[]) {
    this.#plans = plans;
  }

  /** The pipelines that are not at their ends yet, and read nothing that one of the others may still write. */
  get #ending(): readonly Plan[] {
    const left = this.#plans.filter((plan) => !this.#done.has(plan));
    return left.filter((plan) => {
      const others = left.filter((other) => other !== plan);
      const written = new Set(
        others.flatMap(({ topics }) => topics.output.map(({ name }) => name)),
      );
      return plan.topics.input.every(({ name }) => !written.has(name));
    });
  }

  /** Resolves when every pipeline is at its end; `isBusy`: queued keys still have outputs to come. */
  async reach(ports: ReadPorts, clock: Pick<Clock, "sleep">, isBusy: () => boolean): Promise<void> {
    while (this.#ending.length > 0) {
      if (!isBusy())
        for (const plan of this.#ending) {
          const progress = await readProgress(plan, ports);
          const topics = plan.parts.flatMap(({ sources }) => sources.map(({ name }) => name));
          this.#look(plan, { progress, ends: await watermarksOf(ports.admin, topics) });
        }
      await clock.sleep(LOOK_MS);
    }
  }

  #look(plan: Plan, facts: EndFacts): void {
    const places = this.#places.get(plan) ?? placesOf(plan, facts.ends);
    this.#places.set(plan, places);
    const flow = new PartFlow(plan.parts, places, { ...facts, endsTime: true });
    const groups = new Map(plan.parts.map(({ name, group }) => [name, group]));
    for (const place of [...places, ...flow.ended])
      this.#ends.set(keyOf(groups.get(place.part) ?? "", place), place.to);
    if (flow.isDone) this.#done.add(plan);
    for (const listener of this.#listeners) listener();
  }

  end(): null {
    return null;
  }

  last(group: GroupId, at: TopicPartition): bigint | null {
    return this.#ends.get(keyOf(group, at)) ?? null;
  }

  timeAtEnd(): number {
    return END_OF_TIME;
  }

  beside(): ReadonlySet<TopicName> {
    return nothing;
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** The sources that the pipeline does not write itself. */
function placesOf({ parts }: Plan, ends: EndFacts["ends"]): readonly BoundedPlace[] {
  const own = new Set(parts.flatMap(({ nodes }) => nodes.map((node) => outputOf(node)?.name)));
  const isOutside = ({ name, internal }: Part["sources"][0]): boolean =>
    internal === null && !own.has(name);
  return parts.flatMap(({ name: part, sources }) =>
    sources.filter(isOutside).flatMap(({ name: topic, partitions }) =>
      Array.from({ length: partitions }, (_, partition): BoundedPlace => {
        const to = ends.get(addressOf({ topic, partition }))?.high ?? 0n;
        return { part, topic, partition, from: 0n, to };
      }),
    ),
  );
}
