// The options of a simulation.
import type { Double } from "./doubles/resource-double.ts";

export interface SimulateOptions {
  /** Decides how far the work has come when a crash strikes. Default: 1. */
  readonly seed?: number;
  /** "off": go on however many records become dead letters, as `run --no-breaker`. */
  readonly breaker?: "on" | "off";
  /** "expected": a task that has stopped at the end is part of what is tested. Default: "throw". */
  readonly stops?: "throw" | "expected";
  /** The partitions of topics that do not declare them, as MILLRACE_TOPIC_PARTITIONS says them elsewhere. Default: 4. */
  readonly topicPartitions?: number;
  /**
   * "close": behind the last step time ends, so every window closes, as in a bounded run; no source is ever quiet then. Default:
   * "keep", as live.
   */
  readonly end?: "close" | "keep";
  /** Doubles of the resources of the pipelines. */
  readonly resources?: readonly Double[];
}
