// Steps of a simulation, as data: what is sent, and what befalls the worker meanwhile.
import type { Duration } from "../core/span.ts";
import type { Headers } from "../core/record.ts";
import type { Topic } from "../define/topic.ts";

export interface SendOptions {
  /** The record's timestamp, epoch ms. Default: the virtual time. */
  readonly at?: number;
  readonly partition?: number;
  readonly headers?: Headers;
}

export type Step =
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

/** A typed record; `null` is a tombstone. */
export const send = <K, V>(
  topic: Topic<K, V>,
  key: K,
  value: V | null,
  options: SendOptions = {},
): Step => ({ kind: "send", topic: topic as Topic<unknown, unknown>, key, value, options });

/** Bytes as they are, good or bad. */
export const sendBytes = (
  topic: Topic<never, never> | Topic<unknown, unknown>,
  key: Buffer | null,
  value: Buffer | null,
  options: SendOptions = {},
): Step => ({
  kind: "send-bytes",
  topic: topic as Topic<unknown, unknown>,
  key,
  value,
  options,
});

/** Virtual time passes. */
export const advance = (duration: Duration): Step => ({ kind: "advance", duration });
/** The worker stands still for so long, then goes on: a zombie, if longer than its session. */
export const pause = (duration: Duration): Step => ({ kind: "pause", duration });
/** The worker dies at once, somewhere in its work; another starts. */
export const crash: Step = { kind: "crash" };
/** Every group hands out its partitions anew. */
export const rebalance: Step = { kind: "rebalance" };
/** Everything comes to rest; then every open letter that is not parked goes back to the task that refused it. */
export const redrive: Step = { kind: "redrive" };
