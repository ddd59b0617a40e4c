// The ports for work on runs; made in the command line's composition root.
import type { PostgresPool } from "../../clients/postgres/pool.ts";
import type { PlanTable } from "../../core/plan.ts";
import type { SchemaRegistry } from "../../core/ports.ts";
import type { OperatePorts } from "../../operate/choice.ts";
import type { Runs } from "./rows.ts";

export interface ReprocessPorts extends OperatePorts {
  readonly registry: SchemaRegistry;
  readonly pool: PostgresPool;
  readonly runs: Runs;
  tableExists(table: PlanTable): Promise<boolean>;
}
