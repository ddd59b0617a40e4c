// What the event loop and the thread that watches it say to each other.
import type { LogLevel } from "../../clients/pino-log.ts";
import type { LoopMemory } from "../../core/loop-memory.ts";

/** The thread counts on so often. */
export const TICK_MS = 50;

/** The steps of a part, in the order of their places. */
export interface PartSteps {
  readonly pipeline: string;
  readonly part: string;
  readonly operators: readonly string[];
}

export interface LoopPort {
  readonly memory: LoopMemory;
  /** Returns the place of the first of these steps. */
  name(steps: PartSteps): number;
}

/** A message to the thread: the steps from this place on. */
export interface PlacedSteps extends PartSteps {
  readonly first: number;
}

/** The start of the thread. */
export interface LoopThreadStart {
  readonly memory: SharedArrayBuffer;
  /** A loop that does not turn for so long is named. */
  readonly slowMs: number;
  /** Of the worker's log, which the thread writes to. */
  readonly level: LogLevel;
  readonly pid: number;
}
