// The composition root of the commands: settings from the environment and the local stack, plans of every pipeline.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withAdmin } from "../data/with-admin.ts";
import { createLog } from "../engine/clients/pino-log.ts";
import type { TopicDefaults } from "../engine/core/own-topics.ts";
import { detailOf, type MillraceError } from "../engine/core/errors.ts";
import type { Plan } from "../engine/core/plan.ts";
import type { PlanSettings } from "../engine/core/plan-settings.ts";
import { plansOf as plansOfAll } from "../engine/define/plans.ts";
import { connect as connectClients, type Clients } from "../engine/runtime/host/connect.ts";
import { planSettingsOf, readSettings, topicDefaultsOf } from "../engine/runtime/host/settings.ts";
import { runningPlans } from "../engine/operate/gate/running-plan.ts";
import { desiredTopics } from "../engine/provision/desired-topics.ts";
import type { DesiredTopic } from "../engine/provision/topics.ts";
import { checkTables, type DeclaredTable } from "../engine/provision/tables/tables.ts";
import type { Probed } from "../engine/reprocess/run/session.ts";
import type { RunRow } from "../engine/reprocess/words/run.ts";
import { workOn } from "../engine/reprocess/run/work.ts";
import { pipelines } from "../pipelines/index.ts";
import { tables } from "../tables/index.ts";
import { readStackEnv } from "../stack/stack.ts";
import type { CliIo } from "./io.ts";
import type { TopicsOptions } from "./topics/connection.ts";

/** A command reports an outage instead of waiting it out. */
const COMMAND_DEADLINE_MS = 12_000;
/** Commands make tables and indexes, which takes what it takes; waiting for a lock has its own, short limit. */
const STATEMENT_TIMEOUT_MS = 3_600_000;

export interface CommandClients extends Clients, PlanSettings {
  readonly topicDefaults: TopicDefaults;
  readonly sessionTimeoutMs: number;
  /** The topics that must be there, with the stores that each pipeline uses by its notes. */
  topics(options: TopicsOptions): Promise<readonly DesiredTopic[]>;
  /** The plans of every pipeline, as declared and with the stores that they use. */
  allPlans(): Promise<readonly Plan[]>;
  readonly tables: readonly DeclaredTable[];
  /** Workers of a run of the reprocessor, until they have ended. */
  work(row: RunRow, shadow: Plan, probed: Probed): Promise<number>;
}

const workerOfRun = fileURLToPath(new URL("../reprocess.ts", import.meta.url));

/** Throws ConfigErrors before anything is connected. */
export function connectFor(io: CliIo): Promise<CommandClients> {
  const env = readStackEnv(join(io.cwd, ".millrace"), io.env);
  const settings = readSettings(env);
  const under = planSettingsOf(settings);
  const plans = plansOf(under);
  // Retries of a client are its own affair while a command still tries.
  const log = createLog({ level: "silent", base: {} });
  let isSaid = false;
  const onKafkaRetry = (error: MillraceError): void => {
    if (!isSaid) io.err(`waiting for Kafka: ${detailOf(error)}`);
    isSaid = true;
  };
  const clients = connectClients(settings, {
    log,
    deadlineMs: COMMAND_DEADLINE_MS,
    onKafkaRetry,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  });
  const { kafka } = clients;
  const topicDefaults = topicDefaultsOf(settings);
  const running = (): Promise<readonly Plan[]> =>
    withAdmin(kafka, (admin) => runningPlans(plans, { kafka, admin }));
  const topics = async (options: TopicsOptions): Promise<readonly DesiredTopic[]> =>
    desiredTopics(await running(), { defaults: topicDefaults, ...options });
  const allPlans = async (): Promise<readonly Plan[]> => [...plans, ...(await running())];
  // Beside a progress line only what is wrong is said, unless more is asked for.
  const quietEnv = { MILLRACE_LOG_LEVEL: "warn", ...env };
  const quiet = readSettings(quietEnv);
  const work = (row: RunRow, shadow: Plan, probed: Probed): Promise<number> => {
    const how = { settings: quiet, env: quietEnv, checkTables, entry: workerOfRun, probed };
    return workOn(row, shadow, how);
  };
  const sessionTimeoutMs = settings.MILLRACE_SESSION_TIMEOUT_MS;
  const own = { ...under, topicDefaults, sessionTimeoutMs, topics, allPlans, tables, work };
  return Promise.resolve({ ...clients, ...own });
}

/** The plans of every pipeline of the repository. */
export const plansOf = (settings: PlanSettings): readonly Plan[] => plansOfAll(pipelines, settings);
