// The inbox of a task, as its worker's limits and bounds want it.
import type { StartOffset } from "../../core/kafka.ts";
import { Inbox, type Valve } from "../../source/inbox.ts";
import type { WorkerContext } from "../context.ts";
import type { BoundPart } from "./bind.ts";

interface Owner {
  readonly context: WorkerContext;
  readonly bound: BoundPart;
  readonly valve: Valve;
}

export function inboxFor({ context, bound, valve }: Owner, starts: readonly StartOffset[]): Inbox {
  const { bounds, pace, limits } = context;
  const own = { bytesMax: limits.inboxBytesMax, runRecordsMax: limits.runRecordsMax };
  return new Inbox(starts, own, valve, { group: bound.part.group, bounds, pace });
}
