// Whether the parts of a plan have read all that there is: in the order of the flow, each when its sources are at their ends. A
// topic that parts write ends when all its writers are done. Progress is read before the ends that it is compared with.
import { END_OF_TIME, NO_TIME } from "./event-time.ts";
import type { Watermarks } from "./kafka.ts";
import type { Part } from "./plan.ts";
import type { TaskProgress } from "./progress.ts";
import { addressOf, taskKey, type TaskAt, type TopicName } from "./record.ts";
import { hasTime, SaidTimes } from "./said-times.ts";

/** A range of one partition, as one part reads it; the record at `to` is not read any more. */
export interface BoundedPlace extends TaskAt {
  readonly from: bigint;
  readonly to: bigint;
  /** The time to which the task comes there at least. */
  readonly assertedMs?: number;
}

interface FlowFacts {
  readonly progress: readonly TaskProgress[];
  /** The ends of the other topics, by address. */
  readonly ends: ReadonlyMap<string, Watermarks>;
  /** Time ends with the range, so that a task is done when everything has become due. */
  readonly endsTime?: boolean;
}

export class PartFlow {
  readonly #parts: readonly Part[];
  readonly #places: readonly BoundedPlace[];
  readonly #positions: ReadonlyMap<string, bigint | null>;
  readonly #times: SaidTimes;
  readonly #endsTime: boolean;
  readonly #ends: ReadonlyMap<string, Watermarks>;
  readonly #done = new Map<Part, boolean>();
  /** Parts whose answer is being looked for. */
  readonly #asked = new Set<Part>();

  /** `places`: the topics that end where they are said to end, each with all its partitions. */
  constructor(
    parts: readonly Part[],
    places: readonly BoundedPlace[],
    { progress, ends, endsTime = false }: FlowFacts,
  ) {
    this.#parts = parts;
    this.#endsTime = endsTime;
    this.#times = new SaidTimes(parts, progress);
    this.#places = places;
    this.#positions = new Map(progress.map((task) => [taskKey(task), task.nextOffset]));
    this.#ends = ends;
  }

  get isDone(): boolean {
    return this.#parts.every((part) => this.#isDone(part));
  }

  positionOf(at: TaskAt): bigint {
    return this.#positions.get(taskKey(at)) ?? -1n;
  }

  /** Whether the partition is read to its end, which is known. */
  isRead(at: TaskAt): boolean {
    const part = this.#parts.find(({ name }) => name === at.part);
    const ends = part === undefined ? null : this.#endsFor(part, at.topic);
    const place = ends?.find(({ partition }) => partition === at.partition);
    return part !== undefined && place !== undefined && this.#isWorked(part, { ...place, ...at });
  }

  #isDone(part: Part): boolean {
    const known = this.#done.get(part);
    if (known !== undefined) return known;
    // It writes what it reads: its own end is no condition of itself.
    if (this.#asked.has(part)) return true;
    this.#asked.add(part);
    const isDone = part.sources.every(({ name: topic }) => {
      const ends = this.#endsFor(part, topic);
      return ends?.every((place) => this.#isWorked(part, place)) ?? false;
    });
    this.#asked.delete(part);
    if (!isDone || this.#asked.size === 0) this.#done.set(part, isDone);
    return isDone;
  }

  /** Read to its end, with everything that has become due by then, and with all that is said there of time. */
  #isWorked(part: Part, place: BoundedPlace): boolean {
    if (this.positionOf(place) < place.to) return false;
    const { left } = this.#times.timeOf(place);
    if (left === "due" || (left === "queued" && this.#endsTime)) return false;
    const source = part.sources.find(({ name }) => name === place.topic);
    if (source?.internal === "repartition") return this.#times.isHeard(place, source);
    return this.#hasEnded(part, place);
  }

  /** Whether a source is at the time that is asserted at the end of its range. */
  #hasEnded(part: Part, place: BoundedPlace): boolean {
    const { time = NO_TIME, asserted = time } = this.#times.timeOf(place);
    const leastMs = this.#endsTime ? END_OF_TIME : (place.assertedMs ?? NO_TIME);
    return asserted >= leastMs || !hasTime(part, place.topic);
  }

  /** Null: somebody may still write it. */
  #endsFor(part: Part, topic: TopicName): readonly BoundedPlace[] | null {
    const bounded = this.#places.filter(
      (place) => place.part === part.name && place.topic === topic,
    );
    if (bounded.length > 0) return bounded;
    const writers = this.#parts.filter((writer) => writes(writer, topic));
    if (!writers.every((writer) => this.#isDone(writer))) return null;
    return Array.from({ length: part.partitions }, (_, partition) => ({
      part: part.name,
      topic,
      partition,
      from: 0n,
      to: this.#ends.get(addressOf({ topic, partition }))?.high ?? 0n,
    }));
  }

  /** The ends of the run's own topics that nobody writes any more. */
  get ended(): readonly BoundedPlace[] {
    const bounded = new Set(this.#places.map(({ topic }) => topic));
    return this.#parts.flatMap((part) =>
      part.sources
        .filter(({ name }) => !bounded.has(name))
        .flatMap(({ name }) => this.#endsFor(part, name) ?? []),
    );
  }
}

const writes = ({ nodes }: Part, topic: TopicName): boolean =>
  nodes.some(
    ({ facts, operation }) => facts.writes !== undefined && operation.topic?.name === topic,
  );
