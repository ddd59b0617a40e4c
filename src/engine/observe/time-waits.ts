// The waits of operators for time, for people and for the meter: which partition keeps windows open, and how far it is behind.
import { instantText, NO_TIME, spanText } from "../core/event-time.ts";
import type { Labels, Meter } from "../core/ports.ts";
import { addressOf } from "../core/record.ts";
import type { TimeWait } from "../core/time-waits.ts";

/** An operator of a pipeline that waits. */
export interface PipelineWait extends TimeWait {
  readonly pipeline: string;
}

/** A wait as /ready and `millrace lag --json` have it. */
export interface ShownWait {
  readonly pipeline: string;
  readonly part: string;
  readonly operator: string;
  readonly topic: string;
  /** The number of the task that writes it, where it is a topic between parts. */
  readonly partition: number;
  readonly of: "source" | "writer";
  /** The time to which it has come; null before there is any. */
  readonly time: string | null;
  /** Behind the wall clock, and behind the fastest input of the operator; null where there is no time yet. */
  readonly behindSeconds: number | null;
  readonly behindFastestSeconds: number | null;
  readonly why: string;
}

const secondsBetween = (laterMs: number, ms: number): number =>
  Math.max(0, Math.round((laterMs - ms) / 1_000));

export function shownWait(wait: PipelineWait, nowMs: number): ShownWait {
  const { pipeline, part, operator, topic, partition, isWriter, timeMs, fastestMs } = wait;
  const at = { pipeline, part, operator, topic, partition, of: isWriter ? "writer" : "source" };
  const isTimed = Number.isFinite(timeMs);
  return {
    ...(at as Pick<ShownWait, "of"> & typeof at),
    time: isTimed ? instantText(timeMs) : null,
    behindSeconds: isTimed ? secondsBetween(nowMs, timeMs) : null,
    behindFastestSeconds: isTimed ? secondsBetween(fastestMs, timeMs) : null,
    why: waitText(wait, nowMs),
  };
}

/** The slowest of each operator, over several processes. */
export function slowestShown(waits: readonly ShownWait[]): ShownWait[] {
  const behindOf = ({ behindSeconds }: ShownWait): number => behindSeconds ?? Infinity;
  const byOperator = new Map<string, ShownWait>();
  for (const wait of waits) {
    const name = JSON.stringify([wait.pipeline, wait.part, wait.operator]);
    const known = byOperator.get(name);
    if (known === undefined || behindOf(wait) > behindOf(known)) byOperator.set(name, wait);
  }
  return [...byOperator.values()];
}

/** "by-user waits for views-3: its time is 2026-01-01T00:00:05.000Z, 312 seconds behind the wall clock". */
function waitText(wait: PipelineWait, nowMs: number): string {
  const { pipeline, part, operator, topic, partition, isWriter, timeMs, isQueued } = wait;
  const input = isWriter
    ? `task ${String(partition)}, which writes ${topic}`
    : addressOf({ topic, partition });
  const head = `${pipeline}.${part} ${operator} waits for ${input}`;
  if (isQueued) return `${head}: keys of its task are queued for calls`;
  if (timeMs === NO_TIME) return `${head}: it has no time yet`;
  return `${head}: its time is ${instantText(timeMs)}, ${distances(wait, nowMs)}`;
}

/** The units of so many seconds and more. */
const UNITS_S = [
  { from: 172_800, unit: 86_400 },
  { from: 7_200, unit: 3_600 },
  { from: 600, unit: 60 },
] as const;

/** Whole seconds, minutes, hours or days, in ms. */
function rounded(seconds: number): number {
  const { unit = 1 } = UNITS_S.find(({ from }) => seconds >= from) ?? {};
  return Math.round(seconds / unit) * unit * 1_000;
}

function distances({ timeMs, fastestMs }: TimeWait, nowMs: number): string {
  const behind = (laterMs: number): string => spanText(rounded(secondsBetween(laterMs, timeMs)));
  const wall = `${behind(nowMs)} behind the wall clock`;
  return fastestMs - timeMs < 1_000 ? wall : `${wall} and ${behind(fastestMs)} behind the fastest`;
}

/** Publishes the waits of a worker; a series goes when another input is the slowest. */
export class WaitGauges {
  readonly #meter: Meter;
  /** Since when the worker knows of each. */
  #since: ReadonlyMap<string, { readonly labels: Labels; readonly ms: number }> = new Map();

  constructor(meter: Meter) {
    this.#meter = meter;
  }

  publish(waits: readonly PipelineWait[], nowMs: number): void {
    const before = this.#since;
    const seen = waits.map((wait) => {
      const { pipeline, part, operator, topic } = wait;
      const labels = { pipeline, part, operator, topic, partition: String(wait.partition) };
      const name = JSON.stringify(Object.values(labels));
      const ms = before.get(name)?.ms ?? nowMs;
      const fromMs = Number.isFinite(wait.timeMs) ? wait.timeMs : ms;
      this.#meter.gauge("millrace_time_held_by", labels, Math.max(0, nowMs - fromMs) / 1_000);
      return [name, { labels, ms }] as const;
    });
    this.#since = new Map(seen);
    for (const [name, { labels }] of before) if (!this.#since.has(name)) this.#meter.forget(labels);
  }
}
