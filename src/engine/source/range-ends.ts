// The ends of a run's range, as its task sees them: of a source that is read to its end, the time is asserted that the run's
// bounds say, so that its windows close there; with `keep` none is, and they stay open (B1).
import type { Bounds } from "../core/bounds.ts";
import { NO_TIME } from "../core/event-time.ts";
import type { Part } from "../core/plan.ts";
import type { TaskInputs } from "../core/task-inputs.ts";

export class RangeEnds {
  readonly #inputs: TaskInputs;
  readonly #bounds: Bounds;
  readonly #part: Part;
  readonly #partition: number;
  readonly #unwatch: () => void;

  /** `onMoved`: the bounds have changed, so there may be something to assert. */
  constructor(
    inputs: TaskInputs,
    { part, partition }: { readonly part: Part; readonly partition: number },
    bounds: Bounds,
    onMoved: () => void,
  ) {
    [this.#inputs, this.#bounds, this.#part, this.#partition] = [inputs, bounds, part, partition];
    this.#unwatch = bounds.watch(onMoved);
  }

  assert(): void {
    const { group, sources } = this.#part;
    for (const { name: topic } of sources) {
      const at = { topic, partition: this.#partition };
      const timeMs = this.#bounds.timeAtEnd(group, at);
      const end = timeMs === NO_TIME ? null : this.#end(at);
      if (end !== null) this.#inputs.assertEnd(topic, end, timeMs);
    }
  }

  #end(at: { readonly topic: string; readonly partition: number }): bigint | null {
    const { group } = this.#part;
    return this.#bounds.end(group, at) ?? this.#bounds.last(group, at);
  }

  close(): void {
    this.#unwatch();
  }
}
