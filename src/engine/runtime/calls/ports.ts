// The ports of one task's calls: clock, chance, the worker's open resources, and the metrics of calls.
import type { TaskAddress } from "../../observe/health.ts";
import type { CallPorts } from "../../transform/calls/call.ts";
import type { StepWatch } from "../../core/loop-memory.ts";
import type { WorkerContext } from "../context.ts";

export function callPortsOf(
  { clock, random, meter, resources }: WorkerContext,
  { pipeline, part }: TaskAddress,
  signal: AbortSignal,
  watch: StepWatch,
): CallPorts {
  const labels = (operator: string) => ({ pipeline, part, operator });
  return {
    clock,
    random,
    signal,
    watch,
    clientOf: resources.clientOf,
    onCall: (step, seconds, end) =>
      meter.observe("millrace_call_seconds", { ...labels(step), outcome: end }, seconds),
    onRetry: (step) => meter.count("millrace_call_retries_total", labels(step)),
  };
}
