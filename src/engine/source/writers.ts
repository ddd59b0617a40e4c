// Whether a Millrace pipeline that writes a topic has worked all that its own sources had (I4). Its flow is walked from its
// sources: the ends of a part's inputs are read at or after the start of the walk, then its committed progress must have come
// there, then the next part, so that whatever the pipeline has made of it lies in the topic. An outage of the pipeline makes
// a walk last; it never ends one.
import { isRetriable, messageOf } from "../core/errors.ts";
import { END_OF_TIME, NO_TIME } from "../core/event-time.ts";
import {
  pathTo,
  storedWatermark,
  unnotedText,
  type FlowPath,
  type FlowStep,
} from "../core/flow-steps.ts";
import type { AdminPort, CommittedOffset, Watermarks } from "../core/kafka.ts";
import { readingOf, type Clock, type ClockReading, type Log } from "../core/ports.ts";
import { watermarksOf } from "../core/read-range.ts";
import type { TopicName } from "../core/record.ts";
import { decodeMetadata } from "../core/task-inputs.ts";

export interface WriterPorts {
  readonly admin: Pick<AdminPort, "watermarks" | "committed">;
  readonly clock: Clock;
  readonly log: Pick<Log, "debug" | "warn">;
  /** The flow of a pipeline as it has noted it; null when it has not. */
  stepsOf(pipeline: string): Promise<readonly FlowStep[] | null>;
}

/** A walk that has found everything worked. */
export interface Walk {
  readonly start: ClockReading;
  /** The ends of the topic behind it, by partition: whatever came of what had been there at its start lies in front of them. */
  readonly ends: ReadonlyMap<number, bigint>;
  /** No result that comes later is older: results of windows wait for time, whatever the offsets are. */
  readonly leastMs: number;
}

/** Between the starts of two walks. */
const EVERY_MS = 500;
const LOOK_MS = { first: 50, most: 500 } as const;

/** The walks over the pipeline that writes one topic. */
export class TopicWriter {
  readonly #topic: TopicName;
  readonly #pipeline: string;
  readonly #ports: WriterPorts;
  readonly #life: AbortSignal;
  #last: Walk | null = null;
  #isWalking = false;
  #startedMs = NO_TIME;
  #lastWarning = "";

  constructor(
    { topic, pipeline }: { readonly topic: TopicName; readonly pipeline: string },
    ports: WriterPorts,
    life: AbortSignal,
  ) {
    [this.#topic, this.#pipeline, this.#ports, this.#life] = [topic, pipeline, ports, life];
  }

  /** The last walk, where this is the end of the partition behind it; asks for another one. Null: something has come since. */
  walkTo(partition: number, end: bigint): Walk | null {
    const { clock } = this.#ports;
    const sinceMs = clock.monotonic() - this.#startedMs;
    if (!this.#isWalking && sinceMs >= EVERY_MS) void this.#walk();
    return this.#last?.ends.get(partition) === end ? this.#last : null;
  }

  /** Never rejects: what could not be seen is looked at again. */
  async #walk(): Promise<void> {
    const { admin, clock, log } = this.#ports;
    this.#isWalking = true;
    const start = readingOf(clock);
    this.#startedMs = start.monotonicMs;
    try {
      const leastMs = await this.#leastBehind();
      if (leastMs !== null) {
        const marks = await admin.watermarks(this.#topic);
        const ends = new Map(marks.map(({ partition, high }) => [partition, high]));
        this.#last = { start, ends, leastMs };
      }
    } catch (error) {
      const text = `the pipeline ${this.#pipeline} was not looked at: ${messageOf(error)}`;
      if (this.#life.aborted || isRetriable(error)) log.debug({ topic: this.#topic }, text);
      else this.#warn(text);
    }
    this.#isWalking = false;
  }

  #warn(text: string): void {
    if (this.#lastWarning !== text) this.#ports.log.warn({ topic: this.#topic }, text);
    this.#lastWarning = text;
  }

  async #leastBehind(): Promise<number | null> {
    const written = { topic: this.#topic, pipeline: this.#pipeline };
    const path = await pathTo(written, (pipeline) => this.#ports.stepsOf(pipeline));
    if ("steps" in path) return walked(path, this.#ports, this.#life);
    this.#warn(unnotedText(path, this.#topic));
    return null;
  }
}

/**
 * Resolves when every part has worked what its inputs had when they were asked, with the time behind which no result comes
 * any more. In a circle a second round must find that nothing was added.
 */
async function walked(
  { steps, isCircle }: FlowPath,
  ports: WriterPorts,
  life: AbortSignal,
): Promise<number> {
  const made = new Set(steps.flatMap(({ writes }) => writes));
  for (let before = ""; ;) {
    const ends: string[] = [];
    let leastMs = END_OF_TIME;
    for (const step of steps) {
      const marks = await watermarksOf(
        ports.admin,
        step.reads.map(({ topic }) => topic),
      );
      leastMs = Math.min(leastMs, await workedBy(step, [...marks.values()], ports, life));
      for (const [address, { topic, high }] of marks)
        if (made.has(topic)) ends.push(`${address} ${String(high)}`);
    }
    const found = ends.join();
    if (!isCircle || found === before) return leastMs;
    before = found;
  }
}

/** Resolves when the part has committed up to these ends, with the time that holds for what it makes later. */
async function workedBy(
  { group, waits }: FlowStep,
  marks: readonly Watermarks[],
  { admin, clock }: WriterPorts,
  life: AbortSignal,
): Promise<number> {
  for (let lookMs: number = LOOK_MS.first; ; lookMs = Math.min(2 * lookMs, LOOK_MS.most)) {
    const progress = await admin.committed(group, marks, { stable: true });
    life.throwIfAborted();
    if (progress.every((at, i) => isWorked(at, marks[i] as Watermarks)))
      return Math.min(END_OF_TIME, ...progress.map((at) => leastAfter(at, waits)));
    await clock.sleep(lookMs, life);
  }
}

/** Read to that end, with nothing left to do beside records. */
function isWorked({ nextOffset, metadata }: CommittedOffset, { low, high }: Watermarks): boolean {
  // mistake: writer not walked
  if (low < high && (nextOffset ?? -1n) < high) return false;
  return decodeMetadata(metadata)?.time?.left === undefined;
}

function leastAfter({ topic, metadata }: CommittedOffset, waits: FlowStep["waits"]): number {
  const wait = waits.find((one) => one.topic === topic);
  if (wait === undefined) return END_OF_TIME;
  // mistake: windows of a writer forgotten
  return storedWatermark(decodeMetadata(metadata)?.time ?? {}) - wait.delayMs;
}
