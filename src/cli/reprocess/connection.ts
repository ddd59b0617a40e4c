// The connection of the reprocessor's verbs; made in the composition root, doubled in tests.
import type { Command } from "commander";
import type { Plan, PlanTable } from "../../engine/core/plan.ts";
import type { PostgresPool } from "../../engine/clients/postgres/pool.ts";
import { findTable } from "../../engine/provision/tables/found.ts";
import type { ReprocessPorts } from "../../engine/reprocess/words/ports.ts";
import type { Probed } from "../../engine/reprocess/run/session.ts";
import { shadowOfRun } from "../../engine/reprocess/run/prepare.ts";
import { Runs } from "../../engine/reprocess/words/rows.ts";
import type { RunRow } from "../../engine/reprocess/words/run.ts";
import type { TableSpec } from "../../engine/core/table-layout.ts";
import type { PlansOf } from "../connection.ts";
import type { CliIo, RunCommand } from "../io.ts";
import { operating, refuseBeside, type OperateConnection } from "../operating.ts";

export interface ReprocessConnection extends OperateConnection {
  readonly pool: PostgresPool;
  /** Workers of a run, until they have ended; returns their exit code. */
  work(row: RunRow, shadow: Plan, probed: Probed): Promise<number>;
}
export type ConnectReprocess = (io: CliIo) => Promise<ReprocessConnection>;

export interface Reprocessing {
  readonly io: CliIo;
  readonly ports: ReprocessPorts;
  readonly plans: readonly Plan[];
  readonly connection: ReprocessConnection;
}

/** Runs the work on a connection and closes it, also after an error. */
export type OnRuns = (work: (at: Reprocessing) => Promise<number>) => Promise<void>;
/** Runs the work on the pipeline of that name. */
export type OnRunsOf = (
  name: string,
  work: (at: Reprocessing, plan: Plan) => Promise<number>,
) => Promise<void>;
/** Adds one verb to `millrace reprocess`. */
export type AddVerb = (group: Command, within: OnRunsOf, onRuns: OnRuns) => void;

/** A verb that writes: refused beside workers of another release, live or of a run, before it changes anything. */
export const writingRun =
  <Options extends { readonly dryRun?: boolean }>(
    work: (at: Reprocessing, plan: Plan, options: Options) => Promise<number>,
    options: Options,
  ) =>
  async (at: Reprocessing, plan: Plan): Promise<number> => {
    await refuseBeside([plan], at.ports, options);
    const active = await at.ports.runs.active(plan.pipeline);
    if (active !== null) await refuseBeside([shadowOfRun(plan, active)], at.ports, options);
    return work(at, plan, options);
  };

export const onRuns =
  (connect: ConnectReprocess, plans: PlansOf, run: RunCommand): OnRuns =>
  (work) =>
    run((io) =>
      operating(connect, io, (operatePorts, connection) => {
        const { pool, registry, clock } = connection;
        const tableExists = async ({ declaration }: PlanTable): Promise<boolean> => {
          const { schema, name } = declaration as TableSpec;
          return (await findTable(pool, schema, name)) !== null;
        };
        const runs = new Runs(pool, clock);
        const ports = { ...operatePorts, pool, registry, runs, tableExists };
        return work({ io, ports, plans: plans(connection), connection });
      }),
    );
