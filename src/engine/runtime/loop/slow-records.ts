// Records that keep the event loop for long: heartbeats, other tasks and the answers of servers wait meanwhile. Each is
// counted when it is over; the log names the operator and the place of the record, never its value.
import type { StepWatch } from "../../core/loop-memory.ts";
import type { Part } from "../../core/plan.ts";
import type { WorkerContext } from "../context.ts";
import { TICK_MS } from "./loop-port.ts";

/** An operator that is slow for every record is named once in this time. */
const SAID_AGAIN_MS = 60_000;

/** Undefined where nobody counts time. */
export function slowRecords(
  { loop, limits, clock, log, meter }: WorkerContext,
  pipeline: string,
  { name: part, nodes }: Part,
): StepWatch | undefined {
  if (loop === undefined) return undefined;
  const labels = { pipeline, part };
  const said = new Map<string, { atMs: number; since: number }>();
  const slow: StepWatch["slow"] = (name, at, count) => {
    const operator = name ?? "decode";
    meter.count("millrace_slow_records_total", { ...labels, operator });
    const now = clock.monotonic();
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
  const operators = ["decode", ...nodes.map((node) => node.name)];
  const firstPlace = loop.name({ ...labels, operators });
  const ticksMax = Math.ceil(limits.slowRecordMs / TICK_MS);
  return { memory: loop.memory, firstPlace, ticksMax, slow };
}
