// The connection of verbs that operate pipelines, with tables and copies of state.
import { withAdmin } from "../data/with-admin.ts";
import { BatchError, detailOf, MillraceError } from "../engine/core/errors.ts";
import type { Plan, PlanOptions, PlanTable } from "../engine/core/plan.ts";
import type { TableStore } from "../engine/core/ports.ts";
import type { StateCopies } from "../engine/core/state.ts";
import { refuseOtherFormats, type FormatPorts } from "../engine/core/stored-format.ts";
import { leadOf } from "../engine/notes/stops.ts";
import { planNamed, type OperatePorts } from "../engine/operate/choice.ts";
import { defaultLimits } from "../engine/runtime/context.ts";
import { connected, type Connection, type PlansOf } from "./connection.ts";
import type { CliIo, RunCommand } from "./io.ts";

export interface OperateConnection extends Connection {
  /** The session of a worker under these settings; left out, its default. */
  readonly sessionTimeoutMs?: number;
  tableStore(table: PlanTable): TableStore;
  stateCopies(kind: PlanOptions["state"]): StateCopies;
}
export type ConnectOperate = (io: CliIo) => Promise<OperateConnection>;

/** The time that a coordinator may take to notice that a session has ended. */
const AFTER_SESSION_MS = 5_000;

/** `--no-wait` refuses groups with members at once. */
export const asPatient = <P extends FormatPorts>(ports: P, { wait }: WaitOptions): P =>
  wait !== false ? ports : { ...ports, patience: { waitMs: 0, say: () => undefined } };

export interface WaitOptions {
  /** False by `--no-wait`; another verb takes a number of seconds. */
  readonly wait?: boolean | string;
}

/** Runs the work with an admin client of its own, and closes everything, also after an error. */
export const operating = <C extends OperateConnection, T>(
  connect: (io: CliIo) => Promise<C>,
  io: CliIo,
  work: (ports: OperatePorts, connection: C) => Promise<T>,
): Promise<T> =>
  connected(connect, io, (connection) =>
    withAdmin(connection.kafka, (admin) => {
      const {
        kafka,
        clock,
        topicDefaults,
        sessionTimeoutMs = defaultLimits.sessionTimeoutMs,
      } = connection;
      const patience = {
        waitMs: sessionTimeoutMs + AFTER_SESSION_MS,
        say: (line: string) => io.err(line),
      };
      const ports: OperatePorts = {
        kafka,
        admin,
        clock,
        patience,
        ...(topicDefaults === undefined ? {} : { topicDefaults }),
        tableStore: (table) => connection.tableStore(table),
        stateCopies: (kind) => connection.stateCopies(kind),
      };
      return work(ports, connection);
    }),
  );

/** The inputs of a verb on one pipeline. */
export interface VerbContext<Options> {
  readonly io: CliIo;
  readonly plan: Plan;
  readonly ports: OperatePorts;
  readonly connection: OperateConnection;
  readonly options: Options;
}

interface WritingOptions extends WaitOptions {
  readonly dryRun?: boolean;
}

/** A verb that writes: refused beside workers of another release, before it changes anything. */
export const writing =
  <Options extends WritingOptions>(work: (at: VerbContext<Options>) => Promise<number>) =>
  async (at: VerbContext<Options>): Promise<number> => {
    await refuseBeside([at.plan], at.ports, at.options);
    return work(at);
  };

/** Nothing is written by --dry-run. */
export async function refuseBeside(
  plans: readonly Plan[],
  ports: FormatPorts,
  options: WritingOptions,
): Promise<void> {
  if (options.dryRun !== true) await refuseOtherFormats(plans, asPatient(ports, options));
}

/** Runs a verb on the pipeline of that name. */
export type OnPipeline = <Options>(
  name: string,
  options: Options,
  work: (at: VerbContext<Options>) => Promise<number>,
) => Promise<void>;

/** `planOf` gives another plan than the declared one. */
/** A batch in a changelog that nobody can read has the way on that its task prints. */
function ledOn(error: unknown, plan: Plan): unknown {
  if (!(error instanceof BatchError)) return error;
  const { code, where, cause } = error;
  const stores = plan.parts.flatMap((part) => part.stores);
  if (!stores.some(({ changelog }) => changelog.name === where.topic)) return error;
  return new MillraceError(code, `${detailOf(error)}${leadOf(error, plan)}`, { where, cause });
}

export const onPipeline =
  (
    connect: ConnectOperate,
    plans: PlansOf,
    run: RunCommand,
    planOf?: (plan: Plan, ports: OperatePorts) => Promise<Plan>,
  ): OnPipeline =>
  (name, options, work) =>
    run((io) =>
      operating(connect, io, async (ports, connection) => {
        const declared = planNamed(plans(connection), name);
        const plan = planOf === undefined ? declared : await planOf(declared, ports);
        return work({ io, plan, ports, connection, options }).catch((error: unknown) => {
          throw ledOn(error, plan);
        });
      }),
    );
