// Steps of a simulation, as data: what is sent, and what befalls the worker meanwhile.
import type { Duration } from "../core/span.ts";
import type { Headers } from "../core/record.ts";
import type { Topic } from "../define/topic.ts";

export interface SendOptions {
  /**
   * The record's Kafka timestamp: epoch ms, or a duration since the start of virtual time. Default: the virtual time. Topics with
   * LogAppendTime always take that.
   * @example
   * send(views, "ann", view, { at: minutes(4) });
   */
  readonly at?: number | Duration;
  readonly partition?: number;
  readonly headers?: Headers;
}

export type SimulatedStep =
  | {
      readonly kind: "send";
      readonly topic: Topic<unknown, unknown>;
      readonly key: unknown;
      readonly value: unknown;
      readonly options: SendOptions;
    }
  | {
      readonly kind: "send-bytes";
      readonly topic: Topic<unknown, unknown>;
      readonly key: Buffer | null;
      readonly value: Buffer | null;
      readonly options: SendOptions;
    }
  | { readonly kind: "advance" | "pause"; readonly duration: Duration }
  | { readonly kind: "crash" | "rebalance" | "redrive" };

/** A typed record; `null` is a tombstone. The topic alone says the types: key and value must fit them. */
export const send = <K, V>(
  topic: Topic<K, V>,
  key: NoInfer<K>,
  value: NoInfer<V> | null,
  options: SendOptions = {},
): SimulatedStep => ({
  kind: "send",
  topic: topic as Topic<unknown, unknown>,
  key,
  value,
  options,
});

/** Bytes as they are, good or bad. */
export const sendBytes = <K, V>(
  topic: Topic<K, V>,
  key: Buffer | null,
  value: Buffer | null,
  options: SendOptions = {},
): SimulatedStep => ({
  kind: "send-bytes",
  topic: topic as Topic<unknown, unknown>,
  key,
  value,
  options,
});

const START_MS = Date.UTC(2026, 0, 1);

/**
 * The start of virtual time: 1 January 2026, or the latest time in a value, so that records
 * are not from the future of the topics that they are sent to. A time in the real future does not
 * count: its record is from the future.
 */
export function startOf(steps: readonly SimulatedStep[]): number {
  const nowMs = Date.now();
  const times = steps.map(timeIn).filter((ms) => ms > START_MS && ms <= nowMs);
  return times.reduce((latest, ms) => Math.max(latest, Math.ceil(ms)), START_MS);
}

/** NaN where it has no time. */
function timeIn(step: SimulatedStep): number {
  if (step.kind !== "send" || step.value === null) return NaN;
  try {
    return Number(step.topic.timestamp?.(step.value as never) ?? NaN);
  } catch {
    // The engine meets the same error, and makes a letter of it.
    return NaN;
  }
}

/**
 * Virtual time passes.
 * @throws TypeError for what is no duration: a bare number would let no time pass, and never end.
 */
export const advance = (duration: Duration): SimulatedStep => ({
  kind: "advance",
  duration: durationOf("advance", duration),
});
/** The worker is frozen for so long, then goes on: a zombie, if longer than its session. */
export const pause = (duration: Duration): SimulatedStep => ({
  kind: "pause",
  duration: durationOf("pause", duration),
});

/** Types are stripped at run time. */
function durationOf(step: string, duration: Duration | null | undefined): Duration {
  if (Number.isFinite(duration?.ms)) return duration as Duration;
  throw new TypeError(
    `${step} takes a duration: ${step}(minutes(5)); received ${String(duration)}`,
  );
}
/** The worker dies at once, somewhere in its work; another starts. */
export const crash: SimulatedStep = { kind: "crash" };
/** Every group hands out its partitions anew. */
export const rebalance: SimulatedStep = { kind: "rebalance" };
/** Everything comes to rest; then every open letter that is not parked goes back to the task that refused it. */
export const redrive: SimulatedStep = { kind: "redrive" };
