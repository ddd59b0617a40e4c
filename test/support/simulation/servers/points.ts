// Where something may strike: every call of a worker to a server, before it is sent and after it took effect, and every
// end of a sleep. Servers ask here what becomes of a call.
import type { WorkerSwitch } from "../../../../src/engine/testing/doubles/worker-switch.ts";

/** What becomes of one call. */
export interface CallVerdict {
  /** late: its sender hears of a failure, and it takes effect after all, `lateMs` later. */
  readonly lose?: "request" | "reply" | "late" | "deadlock";
  readonly lateMs?: number;
  /** It took effect, and its reply is not sent yet; what it waits for holds the reply up. */
  taken?(): Promise<void> | void;
}

export interface Call {
  readonly server: "kafka" | "redis" | "postgres" | "registry" | "clock";
  readonly call: string;
  /** Null: not a worker's. */
  readonly worker: WorkerSwitch | null;
}

/** May delay the call, stop its worker, or say what becomes of it. */
export type Strike = (call: Call) => Promise<CallVerdict> | CallVerdict;
