// Whether the times of tasks have come to where they go: the watermark that a task has in front of a topic between parts has
// been said there and was read, as far as anything behind it closes by it; and what became due by it was worked. By the
// metadata of committed progress alone. Pure.
import { markIsDue } from "./close-points.ts";
import { NO_TIME, SourceTime, type StoredTime } from "./event-time.ts";
import type { Part, PlanNode, PlanTopic } from "./plan.ts";
import type { TaskProgress } from "./progress.ts";
import { taskKey, type TaskAt, type TopicName } from "./record.ts";
import { decodeMetadata, timeOfPart } from "./task-inputs.ts";
import { sourcesOf, type SourceDelays } from "./upstream.ts";

/** A node that writes a topic whose readers wait for its tasks. */
interface Writer {
  readonly part: Part;
  readonly delays: SourceDelays;
}

/** A task in an input, with what its progress has stored. */
export type StoredTimes = TaskAt & Pick<TaskProgress, "metadata">;

export class SaidTimes {
  readonly #times: ReadonlyMap<string, StoredTime>;
  readonly #writers: ReadonlyMap<TopicName, readonly Writer[]>;

  constructor(parts: readonly Part[], progress: readonly StoredTimes[]) {
    this.#times = new Map(
      progress.map((task) => [taskKey(task), decodeMetadata(task.metadata ?? "")?.time ?? {}]),
    );
    this.#writers = Map.groupBy(
      parts.flatMap((part) => writersIn(part)),
      ({ topic }) => topic,
    );
  }

  timeOf(at: TaskAt): StoredTime {
    return this.#times.get(taskKey(at)) ?? {};
  }

  /** Whether the task has read what every writer of the topic can say of its watermark by now. */
  isHeard(at: TaskAt, { channels, closePoints }: PlanTopic): boolean {
    if (channels === undefined) return true;
    const { channels: heard = [] } = this.timeOf(at);
    return (this.#writers.get(at.topic) ?? []).every((writer) =>
      Array.from({ length: channels }, (_, channel) => {
        const watermark = this.#watermark(writer, channel);
        return !markIsDue(closePoints, heard[channel] ?? NO_TIME, watermark);
      }).every(Boolean),
    );
  }

  /** Behind queued keys nothing is said, so there is nothing to hear. */
  #watermark({ part, delays }: Writer, partition: number): number {
    const timeOf = timeOfPart(part);
    let least = Infinity;
    for (const [topic, delay] of delays) {
      const source = part.sources.find(({ name }) => name === topic);
      if (source === undefined || partition >= source.partitions) continue;
      const stored = this.timeOf({ part: part.name, topic, partition });
      if (stored.left === "queued") return NO_TIME;
      const watermark = timeOf(topic, stored)?.watermark ?? NO_TIME;
      least = Math.min(least, watermark - delay);
    }
    return least;
  }
}

/** Whether the end of a range has ended the time of the source; of what keeps none there is nothing to end. */
export const hasTime = (part: Part, topic: TopicName): boolean =>
  timeOfPart(part)(topic, {}) instanceof SourceTime;

const isMarked = ({ facts, operation: { topic } }: PlanNode): boolean =>
  facts.writes === "repartition" && topic?.channels !== undefined;

function writersIn(part: Part): (Writer & { readonly topic: TopicName })[] {
  const delays = sourcesOf(part.nodes);
  return part.nodes.flatMap((node, at) =>
    isMarked(node)
      ? [{ part, topic: node.operation.topic?.name ?? "", delays: delays[at] as SourceDelays }]
      : [],
  );
}
