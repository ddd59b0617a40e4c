// What verbs that operate pipelines are given: the connection, with tables and copies of state.
import type { Plan, PlanOptions, PlanTable } from "../engine/core/plan.ts";
import type { TableStore } from "../engine/core/ports.ts";
import type { StateCopies } from "../engine/core/state.ts";
import type { OperatePorts } from "../engine/operate/choice.ts";
import type { Connection } from "./connection.ts";
import type { CliIo } from "./io.ts";

export interface OperateConnection extends Connection {
  tableStore(table: PlanTable): TableStore;
  stateCopies(kind: PlanOptions["state"]): StateCopies;
}
export type ConnectOperate = (io: CliIo) => Promise<OperateConnection>;

/** What the verbs of `millrace dlq` and `millrace state` work with. */
export interface VerbContext<Options> {
  readonly io: CliIo;
  readonly plan: Plan;
  readonly ports: OperatePorts;
  readonly connection: OperateConnection;
  readonly options: Options;
}

/** Runs the work with an admin client of its own, and closes everything, also after an error. */
export async function operating<T>(
  connect: ConnectOperate,
  io: CliIo,
  work: (ports: OperatePorts, connection: OperateConnection) => Promise<T>,
): Promise<T> {
  const connection = await connect(io);
  const admin = connection.kafka.admin();
  try {
    const { kafka, clock } = connection;
    const ports: OperatePorts = {
      kafka,
      admin,
      clock,
      tableStore: (table) => connection.tableStore(table),
      stateCopies: (kind) => connection.stateCopies(kind),
    };
    return await work(ports, connection);
  } finally {
    await admin.close();
    await connection.close();
  }
}
