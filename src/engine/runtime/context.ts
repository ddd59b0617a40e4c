// Ports, limits and identity that every part of one worker shares.
import type { Bounds, Pace } from "../core/bounds.ts";
import type { AdminPort, KafkaPort } from "../core/kafka.ts";
import type { Clock, Log, Meter, Random, SchemaRegistry, TableStore } from "../core/ports.ts";
import type { MillraceError } from "../core/errors.ts";
import type { PlanOptions, PlanResource, PlanTable } from "../core/plan.ts";
import type { StateCopies } from "../core/state.ts";
import type { CacheBudget } from "../state/task-stores.ts";
import type { LagBook } from "../observe/lag/append-times.ts";
import type { Resources } from "./calls/resources.ts";
import type { LoopPort } from "./loop/loop-port.ts";
import type { SchemaCache } from "./task/schema-cache.ts";

/** Limits of one worker; every default is documented in docs/operations.md. */
export interface WorkerLimits {
  readonly checkpointIntervalMs: number;
  /** Watermarks are said to the parts behind at most so often. */
  readonly markerIntervalMs: number;
  readonly checkpointRecordsMax: number;
  readonly inboxBytesMax: number;
  readonly sliceRecordsMax: number;
  readonly fetchBytesMax: number;
  readonly cacheBytesMax: number;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly transactionTimeoutMs: number;
  readonly idleCheckMs: number;
  readonly purgeIntervalMs: number;
  /** The age of a table's progress behind which its sink topic is purged. */
  readonly sinkPurgeAfterMs: number;
  readonly gateLookMs: number;
  /** Whether dead letters can halt a pipeline. */
  readonly breaker: boolean;
  /** The share of dead letters that this process allows, where it is more than a pipeline's own. */
  readonly haltAbove: number | null;
  /** A record that keeps the event loop for so long in one operator is counted, and named in the log. */
  readonly slowRecordMs: number;
}

export const defaultLimits: WorkerLimits = {
  checkpointIntervalMs: 100,
  markerIntervalMs: 1_000,
  checkpointRecordsMax: 20_000,
  inboxBytesMax: 4_000_000,
  sliceRecordsMax: 500,
  fetchBytesMax: 4_000_000,
  cacheBytesMax: 64_000_000,
  sessionTimeoutMs: 10_000,
  heartbeatIntervalMs: 1_000,
  rebalanceTimeoutMs: 60_000,
  transactionTimeoutMs: 20_000,
  idleCheckMs: 5_000,
  purgeIntervalMs: 30_000,
  sinkPurgeAfterMs: 3_600_000,
  gateLookMs: 1_000,
  breaker: true,
  haltAbove: null,
  slowRecordMs: 1_000,
};

/** The ports that a worker is made of: real clients, or the doubles of `#testing`. */
export interface WorkerPorts {
  readonly kafka: KafkaPort;
  readonly registry: SchemaRegistry;
  tableStore(table: PlanTable): TableStore;
  /** Copies of state, beside their changelogs. */
  stateCopies(kind: PlanOptions["state"]): StateCopies;
  /** Returns the faults of these tables; throws with disposition "retry" while the database is away. */
  checkTables(tables: readonly PlanTable[]): Promise<readonly MillraceError[]>;
  /** Opens what callbacks call. Left out, there is none. */
  openResource?(resource: PlanResource): Promise<OpenResource>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly meter: Meter;
  /** Left out, nobody watches the event loop. */
  readonly loop?: LoopPort;
  /** The name that transactional ids of workers begin with; left out, namespace and "millrace". */
  readonly workerName?: string;
  /** The bounds and the pace of a run of the reprocessor; a live pipeline has neither. */
  readonly bounds?: Bounds;
  readonly pace?: Pace;
}

export interface OpenResource {
  readonly client: unknown;
  close(): Promise<void>;
}

export interface WorkerContext extends WorkerPorts {
  readonly admin: AdminPort;
  readonly schemas: SchemaCache;
  readonly cache: CacheBudget;
  readonly resources: Resources;
  readonly lag: LagBook;
  readonly limits: WorkerLimits;
  /** The transactional id of this process, and its identity among the members of its groups. */
  readonly owner: string;
}
