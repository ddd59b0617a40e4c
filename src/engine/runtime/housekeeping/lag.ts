// The lag of every partition that a worker is responsible for, as gauges. Its fetches say where each log ends; a partition that
// nobody fetches now (its task waits, its inbox is full, the gate is shut) is looked at once a second. The figures need no
// server, so they go on while one is away.
import { claimAgeMaxMs, lookAhead } from "../../observe/lag/log-look.ts";
import { allPlaces, type LagPlace } from "../../observe/lag/lag-place.ts";
import { lagOf } from "../../observe/lag/lag.ts";
import { forgetTask, publishLag } from "../../observe/task-metrics.ts";
import { messageOf } from "../../core/errors.ts";
import type { Plan } from "../../core/plan.ts";
import { addressOf, type GroupId, type TopicName, type TopicPartition } from "../../core/record.ts";
import type { WorkerContext } from "../context.ts";
import { unlessAborted } from "../failure.ts";
import type { AnyPart } from "../task/part.ts";

/** A pipeline in this worker; without parts while its gate or what it waits for keeps it out. */
export interface MeasuredLane {
  readonly declared: Plan;
  readonly parts: readonly AnyPart[];
}

/** The progress that a partition had at the last look. */
interface Looked {
  readonly from: bigint;
  /** The record there was found. */
  readonly isRead: boolean;
}

const EVERY_MS = 1_000;

export class WorkerLag {
  readonly #context: WorkerContext;
  readonly #lanes: () => readonly MeasuredLane[];
  /** Progress of the places that were measured last, from their tasks, or from their groups where no task knows. */
  readonly #committed = new Map<string, bigint>();
  readonly #looked = new Map<string, Looked>();
  readonly #claimAges = new Map<TopicName, number>();
  #published: ReadonlyMap<string, LagPlace> = new Map();

  constructor(context: WorkerContext, lanes: () => readonly MeasuredLane[]) {
    this.#context = context;
    this.#lanes = lanes;
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const every = async (work: () => Promise<void> | void): Promise<void> => {
      while (!signal.aborted) {
        await work();
        // Cut short by the end.
        await this.#context.clock.sleep(EVERY_MS, signal).catch(() => undefined);
      }
    };
    await Promise.all([every(() => this.publish()), every(() => this.#look(signal))]);
  }

  /** The figures of this moment. */
  publish(): void {
    const { clock, meter } = this.#context;
    const published = new Map<string, LagPlace>();
    for (const place of this.#places()) {
      const lag = this.#lagOf(place, clock.now());
      if (lag === null) continue;
      publishLag(meter, place, lag);
      published.set(keyOf(place), place);
    }
    for (const [key, place] of this.#published) if (!published.has(key)) forgetTask(meter, place);
    this.#published = published;
  }

  #lagOf(place: LagPlace, nowMs: number): ReturnType<typeof lagOf> {
    const { lag, bounds } = this.#context;
    const committed = this.#progressOf(place);
    if (committed === null) return null;
    const times = lag.of(place.group, place);
    times.forget(committed);
    const claimAgeMs = this.#claimAges.get(place.topic);
    const oldestClaimMs = claimAgeMs === undefined ? null : nowMs - claimAgeMs;
    const end = bounds?.end(place.group, place) ?? null;
    return lagOf({ committed, times, end, oldestClaimMs }, nowMs);
  }

  #progressOf(place: LagPlace): bigint | null {
    const { committed } = place;
    if (committed === null) return this.#committed.get(keyOf(place)) ?? null;
    this.#committed.set(keyOf(place), committed);
    return committed;
  }

  #places(): LagPlace[] {
    return this.#lanes().flatMap(({ declared, parts }) =>
      parts.length > 0
        ? parts.flatMap((part) => part.places())
        : declared.parts.flatMap((part) => allPlaces(declared, part)),
    );
  }

  /** Never rejects: what could not be seen is looked at again. */
  async #look(signal: AbortSignal): Promise<void> {
    const quietly = async (what: string, work: () => Promise<void>): Promise<void> => {
      if (signal.aborted) return;
      await unlessAborted(signal, work()).catch((error: unknown) => {
        this.#context.log.debug({ what, error: messageOf(error) }, "lag was not looked at");
      });
    };
    await quietly("topics", () => this.#learnTopics());
    const places = this.#places();
    this.#forgetBut(new Set(places.map(keyOf)));
    const unknown = places.filter(({ committed }) => committed === null);
    for (const [group, own] of Map.groupBy(unknown, (place) => place.group))
      await quietly(group, () => this.#learnProgress(group, own));
    for (const [topic, own] of Map.groupBy(places, (place) => place.topic))
      await quietly(topic, () => this.#learnEnds(own));
    for (const place of places) await quietly(addressOf(place), () => this.#readAheadOf(place));
  }

  /** Progress that nobody keeps up to date would be wrong when it is asked for again. */
  #forgetBut(keys: ReadonlySet<string>): void {
    for (const key of this.#committed.keys()) if (!keys.has(key)) this.#committed.delete(key);
    for (const key of this.#looked.keys()) if (!keys.has(key)) this.#looked.delete(key);
  }

  /** How old a time of a producer may be, by topic; topics that are our own have event times. */
  async #learnTopics(): Promise<void> {
    const inputs = this.#lanes().flatMap(({ declared }) => declared.topics.input);
    const names = new Set(inputs.map(({ name }) => name).filter((it) => !this.#claimAges.has(it)));
    if (names.size === 0) return;
    const described = await this.#context.admin.describeTopics([...names]);
    for (const name of names) this.#claimAges.set(name, claimAgeMaxMs(described.get(name) ?? null));
  }

  async #learnProgress(group: GroupId, places: readonly LagPlace[]): Promise<void> {
    const { admin } = this.#context;
    const found = await admin.committed(group, places, { stable: false });
    for (const [i, place] of places.entries()) {
      const known = found[i]?.nextOffset ?? (await this.#beginOf(place));
      if (known !== null) this.#committed.set(keyOf(place), known);
    }
  }

  /** A part that has never run lags by all that there is. */
  async #beginOf({ topic, partition }: TopicPartition): Promise<bigint | null> {
    const marks = await this.#context.admin.watermarks(topic);
    return marks.find((mark) => mark.partition === partition)?.low ?? null;
  }

  async #learnEnds(places: readonly LagPlace[]): Promise<void> {
    const { admin, clock, lag } = this.#context;
    // A wall clock that was set back is as good a reason to look.
    const isOld = (place: LagPlace): boolean =>
      Math.abs(clock.now() - lag.of(place.group, place).seenMs) >= EVERY_MS / 2;
    const old = places.filter(isOld);
    const found = old.length === 0 ? [] : await admin.stableEnds(old);
    for (const [i, place] of old.entries()) {
      const { nextOffset } = found[i] ?? {};
      // A fetch may have come meanwhile, with what is newer.
      if (nextOffset !== undefined && isOld(place))
        lag.of(place.group, place).look(nextOffset, clock.now());
    }
  }

  /** Where progress stands still, or nothing tells when the record there was appended; once for each record. */
  async #readAheadOf(place: LagPlace): Promise<void> {
    const key = keyOf(place);
    const times = this.#context.lag.of(place.group, place);
    const from = this.#progressOf(place);
    if (from === null || times.pass(from) >= (times.end ?? 0n)) return;
    const before = this.#lookedAt(key, from);
    const stands = place.committed === null || before !== null;
    if (before?.isRead === true || !(stands || times.isOpen(from))) return;
    const isRead = await lookAhead(this.#context, times, place, from);
    this.#looked.set(key, { from, isRead });
  }

  /** The last look, if progress was the same; else this one is noted. */
  #lookedAt(key: string, from: bigint): Looked | null {
    const before = this.#looked.get(key);
    if (before?.from === from) return before;
    this.#looked.set(key, { from, isRead: false });
    return null;
  }
}

const keyOf = ({ group, ...at }: LagPlace): string => `${group}/${addressOf(at)}`;
