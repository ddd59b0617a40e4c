// The way of records through a pipeline, for those who read its output topics: its parts with their groups, what each reads and
// writes, and for how long results may stay behind the time of a source. A reader walks it to know whether everything has
// come (docs/time.md). Pure.
import { END_OF_TIME, NO_TIME, type StoredTime } from "./event-time.ts";
import type { Part, Plan } from "./plan.ts";
import type { GroupId, TopicName } from "./record.ts";
import { delayBehind, sourcesOf } from "./upstream.ts";

/** A topic that a part reads. */
export interface FlowSource {
  readonly topic: TopicName;
  /** The Millrace pipeline that writes it, where it is another one. */
  readonly writtenBy?: string;
}

/** A part of a pipeline. */
export interface FlowStep {
  readonly group: GroupId;
  readonly reads: readonly FlowSource[];
  readonly writes: readonly TopicName[];
  /** Sources for whose time results wait in the part: none comes later that is older than that time less the delay. */
  readonly waits: readonly { readonly topic: TopicName; readonly delayMs: number }[];
}

/** The parts of the pipeline that write topics. */
export const flowStepsOf = ({ pipeline, parts }: Plan): FlowStep[] =>
  parts.flatMap((part) => {
    const writes = part.nodes.flatMap(({ facts, operation: { topic } }) =>
      facts.writes !== undefined && topic !== undefined ? [topic.name] : [],
    );
    if (writes.length === 0) return [];
    const reads = part.sources.map(({ name, writtenBy }): FlowSource => {
      const isOthers = writtenBy !== undefined && writtenBy !== pipeline;
      return isOthers ? { topic: name, writtenBy } : { topic: name };
    });
    return [{ group: part.group, reads, writes: [...new Set(writes)], waits: waitsOf(part) }];
  });

function waitsOf(part: Part): FlowStep["waits"] {
  const delays = new Map<TopicName, number>();
  const above = sourcesOf(part.nodes);
  for (const [at, node] of part.nodes.entries()) {
    if (node.facts.closes !== true) continue;
    for (const [topic, delayMs] of above[at] ?? [])
      delays.set(topic, Math.max(delays.get(topic) ?? 0, delayMs + delayBehind(part, node)));
  }
  return [...delays].map(([topic, delayMs]) => ({ topic, delayMs }));
}

/** The parts above a topic, sources first. */
export interface FlowPath {
  readonly steps: readonly FlowStep[];
  /** Parts feed each other in a circle. */
  readonly isCircle: boolean;
}

/** A pipeline on the way to a topic that has not noted how it writes one of the topics there. */
export interface UnnotedWriter {
  readonly topic: TopicName;
  readonly pipeline: string;
}

/** Null for a pipeline that has noted nothing. */
type StepsOf = (pipeline: string) => Promise<readonly FlowStep[] | null>;

/** The way to a topic through the pipeline that writes it, and through those that write what that one reads. */
export async function pathTo(
  { topic, pipeline }: UnnotedWriter,
  stepsOf: StepsOf,
): Promise<FlowPath | UnnotedWriter> {
  const path = new PathFinder(stepsOf);
  return (await path.above({ topic, pipeline })) ?? path;
}

class PathFinder implements FlowPath {
  readonly steps: FlowStep[] = [];
  isCircle = false;
  readonly #stepsOf: StepsOf;
  readonly #groups = new Map<string, "above" | "done">();

  constructor(stepsOf: StepsOf) {
    this.#stepsOf = stepsOf;
  }

  /** Takes the parts above a topic; the writer of which they are not known, or null. */
  async above(written: UnnotedWriter): Promise<UnnotedWriter | null> {
    const all = (await this.#stepsOf(written.pipeline)) ?? [];
    const writers = all.filter(({ writes }) => writes.includes(written.topic));
    for (const step of writers) {
      const known = this.#groups.get(step.group);
      this.isCircle ||= known === "above";
      if (known !== undefined) continue;
      this.#groups.set(step.group, "above");
      for (const { topic, writtenBy } of step.reads) {
        const isOwn = all.some(({ writes }) => writes.includes(topic));
        const pipeline = isOwn ? written.pipeline : writtenBy;
        const unnoted = pipeline === undefined ? null : await this.above({ topic, pipeline });
        if (unnoted !== null) return unnoted;
      }
      this.#groups.set(step.group, "done");
      this.steps.push(step);
    }
    return writers.length > 0 ? null : written;
  }
}

/** `source`: the topic whose time it is. */
export const unnotedText = ({ topic, pipeline }: UnnotedWriter, source: TopicName): string =>
  `the pipeline ${pipeline} has not noted how it writes ${topic}, so ${source} is never quiet, and what waits for its time waits for records: run that pipeline with this declaration of the topic`;

/** Whether a topic that the pipeline writes is read by the times of its writers: they say them even while nothing comes. */
export const isFollowed = ({ pipeline, topics }: Plan): boolean =>
  topics.output.some(({ writtenBy }) => writtenBy === pipeline);

/** Whether results in the part wait for time, so that its readers must know that time. */
export const waitsForTime = (part: Part): boolean => waitsOf(part).length > 0;

/** The watermark that stored progress says of an input. */
export function storedWatermark({ time, asserted, channels }: StoredTime): number {
  if (channels === undefined) return Math.max(time ?? NO_TIME, asserted ?? NO_TIME);
  return Math.min(END_OF_TIME, ...channels);
}
