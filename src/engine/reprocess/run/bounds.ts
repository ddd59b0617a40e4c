// Bounds and pace of a run's workers: how far they may read and how fast. Set from the run's row, once a second.
import type { Bounds, Pace } from "../../core/bounds.ts";
import { END_OF_TIME, NO_TIME } from "../../core/event-time.ts";
import { withReaders } from "../../core/pieces.ts";
import type { Plan } from "../../core/plan.ts";
import type { Clock } from "../../core/ports.ts";
import { addressOf, type GroupId, type TopicName, type TopicPartition } from "../../core/record.ts";
import {
  endsTime,
  FOLLOWING,
  PAUSED,
  type EndOfRun,
  type RangePlace,
  type RunRow,
} from "../words/run.ts";

const nothing: ReadonlySet<TopicName> = new Set();

type BoundingRow = Pick<RunRow, "range" | "state" | "step"> & EndOfRun;

export class RunBounds implements Bounds {
  readonly #plan: Plan;
  readonly #listeners = new Set<() => void>();
  #ends: ReadonlyMap<string, bigint> = new Map();
  #lasts: ReadonlyMap<string, bigint> = new Map();
  #asserted: ReadonlyMap<string, number> = new Map();
  /** By group and topic: what is read together with it. */
  readonly #beside: ReadonlyMap<string, ReadonlySet<TopicName>>;
  #isOrdered = true;
  readonly #timeAtEnd: number;

  /** The plan is the run's own. */
  constructor(plan: Plan, row: BoundingRow) {
    this.#plan = plan;
    this.#timeAtEnd = endsTime(plan, row) ? END_OF_TIME : NO_TIME;
    this.#beside = new Map(
      plan.parts.flatMap(({ group, sources }) => {
        const names = sources.map(({ name }) => name);
        return names.map((topic) => [`${group}/${topic}`, new Set(names)] as const);
      }),
    );
    this.set(row);
  }

  set({ range, state, step }: Omit<BoundingRow, "options">): void {
    this.#isOrdered = state === "running" && step !== FOLLOWING && step !== PAUSED;
    this.#ends = this.#byPlace(range.places, ({ to }) => to);
    this.#lasts = this.#byPlace(range.own, ({ to }) => to);
    this.#asserted = this.#byPlace(range.places, ({ assertedMs = NO_TIME }) => assertedMs);
    for (const listener of this.#listeners) listener();
  }

  end(group: GroupId, at: TopicPartition): bigint | null {
    return this.#ends.get(keyOf(group, at)) ?? null;
  }

  last(group: GroupId, at: TopicPartition): bigint | null {
    return this.#lasts.get(keyOf(group, at)) ?? null;
  }

  timeAtEnd(group: GroupId, at: TopicPartition): number {
    return Math.max(this.#timeAtEnd, this.#asserted.get(keyOf(group, at)) ?? NO_TIME);
  }

  beside(group: GroupId, topic: TopicName): ReadonlySet<TopicName> {
    return (this.#isOrdered ? this.#beside.get(`${group}/${topic}`) : undefined) ?? nothing;
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #byPlace<T>(
    places: readonly RangePlace[],
    valueOf: (place: RangePlace) => T,
  ): ReadonlyMap<string, T> {
    const groups = new Map(this.#plan.parts.map(({ name, group }) => [name, group]));
    return new Map(
      withReaders(this.#plan, places).map((place) => [
        keyOf(groups.get(place.part) ?? "", place),
        valueOf(place),
      ]),
    );
  }
}

const keyOf = (group: GroupId, at: TopicPartition): string => `${group}/${addressOf(at)}`;

/** While nothing may be read, it is asked this often whether something may. */
const LOOK_MS = 200;
/** Taken at once after a pause, so that batches are not torn into single records. */
const BURST_MS = 250;

/** So many records a second, with a little burst; a debt is waited out before more is taken. */
export class RunPace implements Pace {
  readonly #clock: Clock;
  #perSecond: number | null = null;
  /** May be below zero: a run of records is taken whole. */
  #tokens = 0;
  #filledMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#filledMs = clock.monotonic();
  }

  /** Null: no limit; 0: nothing until it is set again. */
  set(perSecond: number | null): void {
    this.#fill();
    this.#perSecond = perSecond;
    this.#tokens = Math.min(this.#tokens, this.#burst);
  }

  get isOpen(): boolean {
    this.#fill();
    return this.#perSecond === null || (this.#perSecond > 0 && this.#tokens >= 0);
  }

  async take(records: number, signal: AbortSignal): Promise<void> {
    while (!this.isOpen) {
      const debtMs = this.#perSecond ? (-this.#tokens * 1_000) / this.#perSecond : LOOK_MS;
      await this.#clock.sleep(Math.min(LOOK_MS, Math.max(1, Math.ceil(debtMs))), signal);
    }
    if (this.#perSecond !== null) this.#tokens -= records;
  }

  get #burst(): number {
    return ((this.#perSecond ?? 0) * BURST_MS) / 1_000;
  }

  #fill(): void {
    const now = this.#clock.monotonic();
    const passedMs = now - this.#filledMs;
    this.#filledMs = now;
    if (this.#perSecond === null) this.#tokens = 0;
    else this.#tokens = Math.min(this.#burst, this.#tokens + (this.#perSecond * passedMs) / 1_000);
  }
}
