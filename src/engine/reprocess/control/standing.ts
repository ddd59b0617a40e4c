// How far a run is, and whether it is done: parts in the order of the flow, each once its sources are at their ends, where a
// topic of the run's own ends when everybody who writes it is done. Progress is read before the ends it is compared with.
import { sumLedgers } from "../../core/ledger.ts";
import type { AdminPort } from "../../core/kafka.ts";
import type { Part, Plan } from "../../core/plan.ts";
import { addressOf, type TopicName } from "../../core/record.ts";
import { readProgress, type PartProgress, type ProgressPorts } from "../../runtime/ledgers.ts";
import type { RangePlace, RunRange } from "../run/run.ts";

export interface Standing {
  readonly isDone: boolean;
  /** Offsets of the range that are decided. */
  readonly done: number;
  readonly total: number;
  readonly letters: number;
  /** Ends of the run's own topics that are known by now. */
  readonly own: readonly RangePlace[];
  readonly progress: readonly PartProgress[];
}

/** The plan is the run's own. */
export async function standingOf(
  plan: Plan,
  range: RunRange,
  ports: ProgressPorts,
): Promise<Standing> {
  const progress = await readProgress(plan, ports);
  const ends = await endsOf(plan, range, ports.admin);
  const flow = new Flow(plan, range, { progress, ends });
  const steps = range.places.map((place) => ({
    total: Number(place.to - place.from),
    done: Number(within(place, flow.positionOf(place.part, place))),
  }));
  const sum = (of: "total" | "done"): number => steps.reduce((all, step) => all + step[of], 0);
  const letters = sumLedgers(progress.flatMap(({ ledger }) => ledger ?? []))["dead-lettered"];
  return {
    isDone: plan.parts.every((part) => flow.isDone(part)),
    done: sum("done"),
    total: sum("total"),
    letters: Object.values(letters).reduce((all, count) => all + count, 0),
    own: plan.parts.flatMap((part) => flow.endedFor(part)),
    progress,
  };
}

const within = ({ from, to }: RangePlace, position: bigint): bigint =>
  (position > to ? to : position < from ? from : position) - from;

type Ends = ReadonlyMap<string, bigint>;

/** High watermarks of the run's own topics, by address. */
async function endsOf(plan: Plan, { places }: RunRange, admin: AdminPort): Promise<Ends> {
  const bounded = new Set(places.map(({ topic }) => topic));
  const names = new Set(plan.parts.flatMap(({ sources }) => sources.map(({ name }) => name)));
  const own = [...names].filter((name) => !bounded.has(name));
  const marks = (await Promise.all(own.map((name) => admin.watermarks(name)))).flat();
  return new Map(marks.map((mark) => [addressOf(mark), mark.high]));
}

/** Parts that write a topic. */
export const writersOf = ({ parts }: Plan, topic: TopicName): readonly Part[] =>
  parts.filter(({ nodes }) =>
    nodes.some(
      ({ operation }) =>
        operation.kind !== "source" && "topic" in operation && operation.topic.name === topic,
    ),
  );

interface Facts {
  readonly progress: readonly PartProgress[];
  readonly ends: Ends;
}

class Flow {
  readonly #plan: Plan;
  readonly #range: RunRange;
  readonly #facts: Facts;
  readonly #done = new Map<Part, boolean>();

  constructor(plan: Plan, range: RunRange, facts: Facts) {
    this.#plan = plan;
    this.#range = range;
    this.#facts = facts;
  }

  positionOf(part: string, at: { readonly topic: TopicName; readonly partition: number }): bigint {
    const found = this.#facts.progress.find(
      (task) => task.part === part && addressOf(task) === addressOf(at),
    );
    return found?.nextOffset ?? -1n;
  }

  isDone(part: Part): boolean {
    const known = this.#done.get(part);
    if (known !== undefined) return known;
    const isDone = part.sources.every(({ name }) => {
      const ends = this.#endsFor(part, name);
      return ends?.every((place) => this.positionOf(part.name, place) >= place.to) ?? false;
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
    if (!writersOf(this.#plan, topic).every((writer) => this.isDone(writer))) return null;
    return Array.from({ length: part.partitions }, (_, partition) => ({
      part: part.name,
      topic,
      partition,
      from: 0n,
      to: this.#facts.ends.get(addressOf({ topic, partition })) ?? 0n,
    }));
  }

  /** What a part reads of the run's own and nobody writes any more. */
  endedFor(part: Part): readonly RangePlace[] {
    const own = part.sources.filter(
      ({ name }) => !this.#range.places.some(({ topic }) => topic === name),
    );
    return own.flatMap(({ name }) => this.#endsFor(part, name) ?? []);
  }
}
