// Markers of a worker: the watermarks of its tasks for the parts behind them (M1, M2). They go out in a checkpoint's
// transaction behind its records, to every partition of the topic, for all tasks together at most once an interval: their
// timing changes when something happens downstream, never what.
import { markIsDue, type ClosePoint } from "../../../core/close-points.ts";
import { END_OF_TIME, NO_TIME, type Mark } from "../../../core/event-time.ts";
import type { OutRecord, TopicName } from "../../../core/record.ts";
import { markerHeaders } from "../../../core/time-headers.ts";
import type { TaskTimes } from "../../../transform/program.ts";
import type { BoundPart } from "../bind.ts";

/** The watermark of one task in front of a topic that it writes. */
export interface TaskMark extends Mark {
  readonly topic: TopicName;
  readonly partitions: number;
}

/** The state of a task, as far as markers ask for it. */
export interface DueWatermark {
  /** Entries that were found due are in work. */
  readonly isFiring: boolean;
  /** The watermark in front of an operator while what is due by event time was not worked yet. */
  watermarkOfDue(at: number): number;
}

/** A topic that markers of the part go to, with the place of the node that writes it. */
interface MarkedTopic {
  readonly topic: TopicName;
  readonly partitions: number;
  readonly closePoints: readonly ClosePoint[] | undefined;
  readonly at: number;
}

/** The watermarks that a task says, and those that it has said last. A new owner says them anew (K2). */
export class TaskMarks {
  readonly #bound: BoundPart;
  readonly #channel: number;
  readonly #times: TaskTimes;
  readonly #topics: readonly MarkedTopic[];
  readonly #said = new Map<TopicName, number>();

  private constructor(bound: BoundPart, channel: number, times: TaskTimes) {
    this.#bound = bound;
    this.#channel = channel;
    this.#times = times;
    this.#topics = markedBy(bound);
  }

  /** Null where no part behind uses time. */
  static of(bound: BoundPart, channel: number, times: TaskTimes): TaskMarks | null {
    return markedBy(bound).length === 0 ? null : new TaskMarks(bound, channel, times);
  }

  /**
   * The watermarks that have passed a point at which something behind closes (M2): every record that the task writes there after
   * this checkpoint has an origin time of at least so much, also what is due and was not worked yet. Between two intervals only
   * the end of time is said.
   */
  moved(isInterval: boolean, state: DueWatermark | null): readonly TaskMark[] {
    // What is in work has left the stores and is not staged yet.
    if (state?.isFiring === true) return [];
    const { program } = this.#bound;
    return this.#topics.flatMap(({ topic, partitions, closePoints, at }) => {
      // mistake: marker before what is due
      const watermark = Math.min(
        program.watermark(at, this.#times),
        state?.watermarkOfDue(at) ?? END_OF_TIME,
      );
      const isNews = markIsDue(closePoints, this.#said.get(topic) ?? NO_TIME, watermark);
      const isDue = isInterval || watermark === END_OF_TIME;
      return isNews && isDue ? [{ topic, partitions, channel: this.#channel, watermark }] : [];
    });
  }

  say(marks: readonly TaskMark[]): void {
    for (const { topic, watermark } of marks) this.#said.set(topic, watermark);
  }
}

const markedBy = ({ part: { nodes } }: BoundPart): MarkedTopic[] =>
  nodes.flatMap(({ facts, operation: { topic } }, at) =>
    facts.writes === "repartition" && topic?.channels !== undefined
      ? [{ topic: topic.name, partitions: topic.partitions, closePoints: topic.closePoints, at }]
      : [],
  );

/** A record for each partition of each topic. */
export function markersOf(marks: readonly TaskMark[], nowMs: number): OutRecord[] {
  const byTopic = Map.groupBy(marks, ({ topic }) => topic);
  return [...byTopic].flatMap(([topic, own]) => {
    const headers = markerHeaders(own);
    // mistake: marker to one partition
    const { partitions } = own[0] as TaskMark;
    return Array.from({ length: partitions }, (_, partition) => {
      return { topic, partition, key: null, value: null, headers, timestamp: nowMs };
    });
  });
}
