// The inputs that time waits for: in front of each operator whose results come as time goes on, the slowest partition of its
// sources, or the slowest task that writes one of its topics between parts. Pure.
import { markIsDue } from "./close-points.ts";
import { END_OF_TIME, NO_TIME, SourceTime, type InputTime } from "./event-time.ts";
import type { Part, PlanNode } from "./plan.ts";
import type { TopicName } from "./record.ts";
import { SaidTimes, type StoredTimes } from "./said-times.ts";
import { timeOfPart } from "./task-inputs.ts";
import { behindQueues, sourcesOf, type SourceDelays } from "./upstream.ts";

/** An input, and the time to which it has come. */
export interface SlowestInput {
  readonly topic: TopicName;
  /** The partition of a source; of a topic between parts the task that writes it. */
  readonly partition: number;
  readonly isWriter: boolean;
  /** Epoch ms; NO_TIME before there is any, END_OF_TIME where nothing comes any more. */
  readonly timeMs: number;
  /** The watermark in front of the operator stays so far behind it (W2). */
  readonly delayMs: number;
  /** The time of the fastest input beside it; that of the slowest where there is no other. */
  readonly fastestMs: number;
  /** Its task has records of queued keys, behind which time does not move. */
  readonly isQueued: boolean;
}

/** An operator, and the input that it waits for. */
export interface TimeWait extends SlowestInput {
  readonly part: string;
  readonly operator: string;
}

/** A task, as far as its times go. */
export interface TimedInputs {
  readonly partition: number;
  /** Undefined where the topic has no partition for the task; null where the input keeps no time. */
  timeOf(topic: TopicName): InputTime | null | undefined;
  /** Records of queued keys wait in its state. */
  readonly hasQueued: boolean;
}

const closes = ({ facts }: PlanNode): boolean => facts.closes === true;

/** Whether results of the part come as time goes on. */
export const waitsForTime = ({ nodes }: Part): boolean => nodes.some(closes);

/** The names of such operators behind a topic, also of those that it comes to through topics between parts. */
export function closingBehind(parts: readonly Part[], topic: TopicName): string[] {
  const names = new Set<string>();
  const topics = new Set([topic]);
  for (const from of topics)
    for (const { nodes } of parts)
      for (const [at, sources] of sourcesOf(nodes).entries()) {
        const node = nodes[at] as PlanNode;
        if (!sources.has(from)) continue;
        if (closes(node)) names.add(node.name);
        const { topic: written } = node.operation;
        if (node.facts.writes === "repartition" && written !== undefined) topics.add(written.name);
      }
  return [...names];
}

export class PartTimeWaits {
  readonly #part: Part;
  readonly #sources: readonly SourceDelays[];
  readonly #isBehindQueue: readonly boolean[];

  constructor(part: Part) {
    this.#part = part;
    this.#sources = sourcesOf(part.nodes);
    this.#isBehindQueue = behindQueues(part.nodes);
  }

  /** Waits by operator, for one task. */
  of(task: TimedInputs): TimeWait[] {
    const { nodes, name: part } = this.#part;
    return nodes.flatMap((node, at) => {
      const slowest = closes(node) ? this.inFrontOf(at, task) : null;
      return slowest === null ? [] : [{ ...slowest, part, operator: node.name }];
    });
  }

  /** The slowest input in front of the node at this place; null where it has none. */
  inFrontOf(at: number, task: TimedInputs): SlowestInput | null {
    const isQueued = task.hasQueued && this.#isBehindQueue[at] === true;
    let [slowest, leastMs, fastestMs]: [SlowestInput | null, number, number] = [null, 0, NO_TIME];
    for (const [topic, delayMs] of this.#sources[at] ?? []) {
      const input = inputOf(topic, task);
      if (input === null) continue;
      fastestMs = Math.max(fastestMs, input.fastestMs);
      if (slowest !== null && input.timeMs - delayMs >= leastMs) continue;
      [slowest, leastMs] = [{ ...input, delayMs, isQueued }, input.timeMs - delayMs];
    }
    return slowest === null ? null : { ...slowest, fastestMs };
  }
}

function inputOf(topic: TopicName, { partition, timeOf }: TimedInputs): SlowestInput | null {
  const time = timeOf(topic);
  if (time === undefined) return null;
  const own = { topic, delayMs: 0, isQueued: false };
  if (time === null || time instanceof SourceTime) {
    const timeMs = time?.watermark ?? NO_TIME;
    return { ...own, partition, isWriter: false, timeMs, fastestMs: timeMs };
  }
  const { slowest, watermark: timeMs, fastest: fastestMs } = time;
  return { ...own, partition: slowest, isWriter: true, timeMs, fastestMs };
}

/** The slowest of each operator, over several tasks of its part; of those at the end of time nobody waits. */
export function slowestWaits<T extends TimeWait>(waits: readonly T[]): T[] {
  const byOperator = new Map<string, T>();
  for (const wait of waits) {
    if (wait.timeMs === END_OF_TIME && !wait.isQueued) continue;
    const name = JSON.stringify([wait.part, wait.operator]);
    const known = byOperator.get(name);
    const fastestMs = Math.max(wait.fastestMs, known?.fastestMs ?? NO_TIME);
    const slower = known === undefined || isSlower(wait, known) ? wait : known;
    byOperator.set(name, { ...slower, fastestMs });
  }
  return [...byOperator.values()];
}

const isSlower = (a: TimeWait, b: TimeWait): boolean =>
  a.isQueued === b.isQueued ? a.timeMs < b.timeMs : a.isQueued;

/** A wait by committed progress, followed up through the topics between parts. */
export interface FoundWait extends TimeWait {
  /** The topics between parts through which the input holds the operator back, the one that it reads first. */
  readonly through: readonly TopicName[];
}

/** The waits of every operator of a plan, by committed progress alone: each leads to the source partition that it begins with. */
export class CommittedWaits {
  readonly #parts: ReadonlyMap<Part, PartTimeWaits>;
  readonly #said: SaidTimes;

  constructor(parts: readonly Part[], progress: readonly StoredTimes[]) {
    this.#parts = new Map(parts.map((part) => [part, new PartTimeWaits(part)]));
    this.#said = new SaidTimes(parts, progress);
  }

  all(): FoundWait[] {
    return [...this.#parts].flatMap(([part, waits]) => {
      const tasks = Array.from({ length: part.partitions }, (_, n) => this.#task(part, n));
      return slowestWaits(tasks.flatMap((task) => waits.of(task))).map((wait): FoundWait => ({
        ...wait,
        ...this.#begun(wait, []),
      }));
    });
  }

  #task(part: Part, partition: number): TimedInputs {
    const timeOf = timeOfPart(part);
    const storedOf = (topic: TopicName) => this.#said.timeOf({ part: part.name, topic, partition });
    return {
      partition,
      hasQueued: part.sources.some(({ name }) => storedOf(name).left === "queued"),
      timeOf: (topic) => {
        const source = part.sources.find(({ name }) => name === topic);
        if (source === undefined || partition >= source.partitions) return undefined;
        return timeOf(topic, storedOf(topic));
      },
    };
  }

  /** A task that has said all it knows waits for an input of its own; parts may form a circle, whose last input is named then. */
  #begun(
    input: SlowestInput,
    through: readonly TopicName[],
  ): SlowestInput & Pick<FoundWait, "through"> {
    const found = { ...input, through };
    if (!input.isWriter || through.includes(input.topic)) return found;
    const above = this.#above(input);
    return above === null ? found : this.#begun(above, [...through, input.topic]);
  }

  /** The slowest input of the task that writes a topic; null where the task knows a time that its reader has not read yet. */
  #above({ topic, partition, timeMs, fastestMs }: SlowestInput): SlowestInput | null {
    for (const [part, waits] of this.#parts) {
      const at = part.nodes.findIndex(
        ({ facts, operation }) => facts.writes === "repartition" && operation.topic?.name === topic,
      );
      const written = part.nodes[at]?.operation.topic;
      if (written === undefined) continue;
      const above = waits.inFrontOf(at, this.#task(part, partition));
      if (above === null) return null;
      const watermark = above.isQueued ? NO_TIME : above.timeMs - above.delayMs;
      return markIsDue(written.closePoints, timeMs, watermark)
        ? null
        : { ...above, fastestMs: Math.max(fastestMs, above.fastestMs) };
    }
    return null;
  }
}
