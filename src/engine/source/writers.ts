// Whether a Millrace pipeline that writes a topic has worked all that its own sources had (I4). Its flow is walked from its
// sources: the ends of a part's inputs are read at or after the start of the walk, then its committed progress must have come
// there, then the next part, so that whatever the pipeline has made of it lies in the topic. An outage of the pipeline makes
// a walk last; it never ends one.
import { isRetriable, messageOf } from "../core/errors.ts";
import { END_OF_TIME, NO_TIME } from "../core/event-time.ts";
import { storedWatermark, type FlowStep } from "../core/flow-steps.ts";
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

/** The parts above a topic, sources first. */
interface FlowPath {
  readonly steps: readonly FlowStep[];
  /** Parts feed each other in a circle. */
  readonly isCircle: boolean;
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
    const path = await this.#path();
    if (path !== null) return walked(path, this.#ports, this.#life);
    this.#warn(
      `the pipeline ${this.#pipeline} has not noted how it writes the topic, so it is never quiet: run that pipeline with this declaration of the topic`,
    );
    return null;
  }

  /** Null where a pipeline on the way has noted nothing. */
  async #path(): Promise<FlowPath | null> {
    const steps: FlowStep[] = [];
    const groups = new Map<string, "above" | "done">();
    let isCircle = false;
    const visit = async (topic: TopicName, pipeline: string): Promise<boolean> => {
      const all = (await this.#ports.stepsOf(pipeline)) ?? [];
      const writers = all.filter(({ writes }) => writes.includes(topic));
      for (const step of writers) {
        const known = groups.get(step.group);
        isCircle ||= known === "above";
        if (known !== undefined) continue;
        groups.set(step.group, "above");
        for (const { topic: read, writtenBy } of step.reads) {
          const isOwn = all.some(({ writes }) => writes.includes(read));
          const writer = isOwn ? pipeline : writtenBy;
          if (writer !== undefined && !(await visit(read, writer))) return false;
        }
        groups.set(step.group, "done");
        steps.push(step);
      }
      return writers.length > 0;
    };
    return (await visit(this.#topic, this.#pipeline)) ? { steps, isCircle } : null;
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
