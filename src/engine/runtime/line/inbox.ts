// The inbox of a task, as its worker's limits and bounds want it.
import type { StartOffset } from "../../core/kafka.ts";
import { openInbox, type TaskInbox } from "../../source/bounded-inbox.ts";
import type { Valve } from "../../source/inbox.ts";
import type { WorkerContext } from "../context.ts";
import type { BoundPart } from "./bind.ts";

interface Owner {
  readonly context: WorkerContext;
  readonly bound: BoundPart;
  readonly valve: Valve;
}

export function inboxFor(
  { context, bound, valve }: Owner,
  starts: readonly StartOffset[],
): TaskInbox {
  const { bounds, pace, limits } = context;
  const own = { bytesMax: limits.inboxBytesMax, runRecordsMax: limits.runRecordsMax };
  return openInbox(starts, own, valve, { group: bound.part.group, bounds, pace });
}
