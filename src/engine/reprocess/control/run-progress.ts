// The progress of a run, and whether it is done: parts in the order of the flow, each when its sources are at the end.
// A topic of the run's own ends when all its writers are done. Progress is read before the ends it is compared with.
import { sumLedgers } from "../../core/ledger.ts";
import type { OperatePorts } from "../../operate/choice.ts";
import type { Watermarks } from "../../core/kafka.ts";
import { withReaders } from "../../core/pieces.ts";
import { queuesKeys, type Part, type Plan } from "../../core/plan.ts";
import { addressOf, taskKey, type TaskAt, type TopicName } from "../../core/record.ts";
import { queuedKeysIn } from "../../runtime/calls/left-behind.ts";
import { readProgress, type TaskProgress } from "../../core/progress.ts";
import { watermarksOf } from "../../core/read-range.ts";
import type { RangePlace, RunRange } from "../words/run.ts";

export interface RunProgress {
  readonly isDone: boolean;
  /** Offsets of the range that are decided. */
  readonly done: number;
  readonly total: number;
  readonly letters: number;
  /** Ends of the run's own topics that are known by now. */
  readonly own: readonly RangePlace[];
  readonly progress: readonly TaskProgress[];
}

/** The plan is the run's own. */
export async function progressOfRun(
  plan: Plan,
  given: RunRange,
  ports: Pick<OperatePorts, "admin" | "tableStore">,
): Promise<RunProgress> {
  const range = { ...given, places: withReaders(plan, given.places) };
  const progress = await readProgress(plan, ports);
  const ends = await watermarksOf(ports.admin, topicsOf(plan, range));
  const flow = new PartFlow(plan, range, progress, ends);
  const steps = range.places.map((place) => ({
    total: Number(place.to - place.from),
    done: Number(within(place, flow.positionOf(place))),
  }));
  const sum = (of: "total" | "done"): number => steps.reduce((all, step) => all + step[of], 0);
  const letters = sumLedgers(progress.flatMap(({ ledger }) => ledger ?? []))["dead-lettered"];
  return {
    isDone: flow.isDone,
    done: sum("done"),
    total: sum("total"),
    letters: Object.values(letters).reduce((all, count) => all + count, 0),
    own: flow.ended,
    progress,
  };
}

/**
 * Whether a run that seems done is done: queued keys still have outputs to come. None is queued any more at the first look,
 * and the second look sees that their outputs were read to the end; no key is queued behind the ends.
 */
export async function isSettled(
  plan: Plan,
  range: RunRange,
  ports: OperatePorts,
): Promise<boolean> {
  const calls = plan.parts
    .flatMap(({ nodes }) => nodes)
    .flatMap((node) => (queuesKeys(node) && node.operation.store) || []);
  for (const { changelog } of calls)
    if ((await queuedKeysIn(changelog.name, ports)) > 0) return false;
  return calls.length === 0 || (await progressOfRun(plan, range, ports)).isDone;
}

const within = ({ from, to }: RangePlace, position: bigint): bigint =>
  (position > to ? to : position < from ? from : position) - from;

/** Topics of the run's own that it reads. */
function topicsOf({ parts }: Plan, { places }: RunRange): readonly TopicName[] {
  const bounded = new Set(places.map(({ topic }) => topic));
  const names = parts.flatMap(({ sources }) => sources.map(({ name }) => name));
  return names.filter((name) => !bounded.has(name));
}

class PartFlow {
  readonly #parts: readonly Part[];
  readonly #range: RunRange;
  readonly #positions: ReadonlyMap<string, bigint | null>;
  readonly #ends: ReadonlyMap<string, Watermarks>;
  readonly #done = new Map<Part, boolean>();

  constructor(
    plan: Plan,
    range: RunRange,
    progress: readonly TaskProgress[],
    ends: ReadonlyMap<string, Watermarks>,
  ) {
    this.#parts = plan.parts;
    this.#range = range;
    this.#positions = new Map(progress.map((task) => [taskKey(task), task.nextOffset]));
    this.#ends = ends;
  }

  get isDone(): boolean {
    return this.#parts.every((part) => this.#isDone(part));
  }

  positionOf(at: TaskAt): bigint {
    return this.#positions.get(taskKey(at)) ?? -1n;
  }

  #isDone(part: Part): boolean {
    const known = this.#done.get(part);
    if (known !== undefined) return known;
    const isDone = part.sources.every(({ name: topic }) => {
      const ends = this.#endsFor(part, topic);
      return ends?.every((place) => this.positionOf(place) >= place.to) ?? false;
    });
    this.#done.set(part, isDone);
    return isDone;
  }

  /** Null: somebody may still write it. */
  #endsFor(part: Part, topic: TopicName): readonly RangePlace[] | null {
    const bounded = this.#range.places.filter(
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
  get ended(): readonly RangePlace[] {
    const bounded = new Set(this.#range.places.map(({ topic }) => topic));
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
