// Records that keep the event loop for long: heartbeats, other tasks and the answers of servers wait meanwhile. Each is
// counted; the log names the operator and the place of the record, never its value. A thread of its own counts time, since
// a clock that is asked for each record and operator would cost more than the operators.
import { Worker } from "node:worker_threads";
import { messageOf } from "../core/errors.ts";
import type { Log } from "../core/ports.ts";
import type { TaskAddress } from "../observe/health.ts";
import type { StepWatch } from "../transform/operator.ts";
import type { WorkerContext } from "./context.ts";

export const TICK_MS = 50;
/** An operator that is slow for every record is named once in this time. */
const SAID_AGAIN_MS = 60_000;

/** Undefined where nobody counts time. */
export function slowRecords(
  { ticks, limits, clock, log, meter }: WorkerContext,
  labels: Pick<TaskAddress, "pipeline" | "part">,
): StepWatch | undefined {
  if (ticks === undefined) return undefined;
  const said = new Map<string, { atMs: number; since: number }>();
  const slow: StepWatch["slow"] = (name, at, count) => {
    const operator = name ?? "decode";
    meter.count("millrace_slow_records_total", { ...labels, operator });
    const now = clock.now();
    const last = said.get(operator);
    if (last !== undefined && now - last.atMs < SAID_AGAIN_MS) return void last.since++;
    said.set(operator, { atMs: now, since: 0 });
    const { topic, partition, offset } = at;
    const facts = { ...labels, operator, topic, partition, offset: String(offset) };
    const more = last === undefined || last.since === 0 ? {} : { others: last.since };
    log.warn(
      { ...facts, ms: count * TICK_MS, ...more },
      "a record has kept the event loop for long: everything else of the worker has waited",
    );
  };
  return { ticks, ticksMax: Math.ceil(limits.slowRecordMs / TICK_MS), slow };
}

const COUNTING = `
  const { workerData } = require("node:worker_threads");
  const ticks = new Int32Array(workerData);
  setInterval(() => Atomics.add(ticks, 0, 1), ${String(TICK_MS)});
`;

/** Time that goes on while the event loop does not turn. A thread that fails is missed by nobody but the watch. */
export function startTicks(log: Log): { readonly ticks: Int32Array; stop(): Promise<unknown> } {
  const shared = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const resourceLimits = { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 };
  const thread = new Worker(COUNTING, { eval: true, workerData: shared, resourceLimits });
  thread.on("error", (error) => log.warn({ error: messageOf(error) }, "slow records are not seen"));
  thread.unref();
  return { ticks: new Int32Array(shared), stop: () => thread.terminate() };
}
