// The composition root of the commands: settings from the environment and the local stack, plans of every pipeline.
import { join } from "node:path";
import { createLog } from "../engine/clients/pino-log.ts";
import type { Plan } from "../engine/core/plan.ts";
import { plansOf as plansOfAll } from "../engine/define/plans.ts";
import { connect as connectClients, type Clients } from "../engine/runtime/host/connect.ts";
import { readSettings } from "../engine/runtime/host/settings.ts";
import { runningPlans } from "../engine/operate/gate/running-plan.ts";
import { desiredTopics } from "../engine/provision/desired-topics.ts";
import type { DesiredTopic } from "../engine/provision/topics.ts";
import type { DeclaredTable } from "../engine/provision/tables/tables.ts";
import { pipelines } from "../pipelines/index.ts";
import { tables } from "../tables/index.ts";
import { readStackEnv } from "../stack/stack.ts";
import type { CliIo } from "./io.ts";

/** A command reports an outage instead of waiting it out. */
const COMMAND_DEADLINE_MS = 12_000;
/** Commands make tables and indexes, which takes what it takes; waiting for a lock has its own, short limit. */
const STATEMENT_TIMEOUT_MS = 3_600_000;

export interface CommandClients extends Clients {
  readonly namespace: string;
  /** What must be there, with the stores on which each pipeline stands by its notes. */
  topics(): Promise<readonly DesiredTopic[]>;
  readonly tables: readonly DeclaredTable[];
}

/** Throws ConfigErrors before anything is connected. */
export function connectFor(io: CliIo): Promise<CommandClients> {
  const settings = readSettings(readStackEnv(join(io.cwd, ".millrace"), io.env));
  // Retries of a client are its own affair while a command still tries.
  const log = createLog({ level: "silent", base: {} });
  const clients = connectClients(settings, {
    log,
    deadlineMs: COMMAND_DEADLINE_MS,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  });
  const namespace = settings.MILLRACE_NAMESPACE;
  const topics = async (): Promise<readonly DesiredTopic[]> => {
    const admin = clients.kafka.admin();
    const running = runningPlans(plansOf(namespace), { kafka: clients.kafka, admin });
    return desiredTopics(await running.finally(() => admin.close()));
  };
  return Promise.resolve({ ...clients, namespace, topics, tables });
}

/** The plans of every pipeline of the repository. */
export const plansOf = (namespace: string): readonly Plan[] => plansOfAll(pipelines, namespace);
