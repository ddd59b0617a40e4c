// Starts the thread that watches the event loop of a worker (loop-thread.ts).
import { Worker } from "node:worker_threads";
import { LOOP_MEMORY_BYTES, loopMemory, NO_PLACE, WORD } from "../../core/loop-memory.ts";
import { messageOf } from "../../core/errors.ts";
import type { Log } from "../../core/ports.ts";
import type { WorkerSettings } from "../host/settings.ts";
import { TICK_MS, type LoopPort, type LoopThreadStart, type PlacedSteps } from "./loop-port.ts";

export interface LoopWatch extends LoopPort {
  stop(): Promise<unknown>;
}

type LoopSettings = Pick<WorkerSettings, "MILLRACE_LOG_LEVEL" | "MILLRACE_SLOW_RECORD_MS">;

/** The thread lies beside this file, whatever both are compiled to. */
const FILE = new URL(import.meta.url.replace(/loop-watch(\.\w+)$/, "loop-thread$1"));

/** A thread that fails is missed by nobody but the watch. */
export function startLoopWatch(
  log: Log,
  { MILLRACE_LOG_LEVEL: level, MILLRACE_SLOW_RECORD_MS: slowMs }: LoopSettings,
): LoopWatch {
  const bytes = new SharedArrayBuffer(LOOP_MEMORY_BYTES);
  const memory = loopMemory(bytes);
  const resourceLimits = {
    maxOldGenerationSizeMb: 32,
    maxYoungGenerationSizeMb: 2,
    stackSizeMb: 1,
  };
  const workerData: LoopThreadStart = { memory: bytes, slowMs, level, pid: process.pid };
  const thread = new Worker(FILE, { workerData, resourceLimits });
  thread.on("error", (error) => log.warn({ error: messageOf(error) }, "slow records are not seen"));
  thread.unref();
  const turn = setInterval(() => Atomics.add(memory.words, WORD.turns, 1), TICK_MS);
  turn.unref();
  let next = NO_PLACE + 1;
  return {
    memory,
    name(steps) {
      const first = next;
      next += steps.operators.length;
      thread.postMessage({ ...steps, first } satisfies PlacedSteps);
      return first;
    },
    stop() {
      clearInterval(turn);
      return thread.terminate();
    },
  };
}
