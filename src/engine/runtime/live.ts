// live(): a process that runs pipelines until it is asked to stop. Everything that can be known to be wrong is said
// before anything is connected.
import { fork } from "node:child_process";
import { catalogue } from "../observe/catalogue.ts";
import { hidingSecretsOf } from "../clients/environment-secrets.ts";
import { createLog } from "../clients/pino-log.ts";
import { prometheusMeter, type PrometheusMeter } from "../clients/prometheus.ts";
import { entryOf } from "../core/error-table.ts";
import { exitCodeOf, exitCodes, isAuth } from "../core/exit-codes.ts";
import { ConfigErrors, MillraceError, messageOf } from "../core/errors.ts";
import type { PostgresPool } from "../clients/postgres/pool.ts";
import type { Plan, PlanTable } from "../core/plan.ts";
import { DEFAULT_PLAN_SETTINGS } from "../core/plan-settings.ts";
import type { TableSpec } from "../core/table-layout.ts";
import type { Log } from "../core/ports.ts";
import type { Hide } from "../core/secrets.ts";
import type { Pipeline } from "../define/pipeline.ts";
import { plansOf } from "../define/plans.ts";
import { livenessOf, readinessOf, type Health, type WorkerFacts } from "../observe/health.ts";
import { serveOperations, type OperationsServer } from "../observe/http.ts";
import { defaultLimits, type WorkerLimits, type WorkerPorts } from "./context.ts";
import { ours } from "./failure.ts";
import { connect, type Clients } from "./host/connect.ts";
import { readResources, type ResourceSettings } from "./host/resources.ts";
import { serversMissing } from "./host/servers.ts";
import {
  planSettingsOf,
  readSettings,
  workerNameOf,
  type WorkerSettings,
} from "./host/settings.ts";
import { onStopSignal } from "./host/signals.ts";
import { answerParent, hasParent, Supervisor } from "./host/supervise.ts";
import { systemClock } from "./host/system.ts";
import { resourcesOf } from "./calls/resources.ts";
import { startLoopWatch } from "./loop/loop-watch.ts";
import { UntilEnd } from "./until-end.ts";
import { Worker } from "./worker.ts";

export interface LiveOptions {
  readonly pipelines: readonly Pipeline[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Pipelines to run; all when left out. */
  readonly names?: readonly string[];
  /** Provisioning's word on declared tables: what is missing or different. */
  checkTables(tables: readonly TableSpec[], pool: PostgresPool): Promise<readonly MillraceError[]>;
  /** Processes; more than one makes this one their parent. */
  readonly workers?: number;
  /** The program that a worker process runs, with the names as arguments. */
  readonly entry?: string;
  /** Read to the ends as they are now, work off what is behind, and end. */
  readonly untilEnd?: boolean;
}

/** Runs until SIGTERM or SIGINT, or to the end; returns the exit code. Throws ConfigErrors before anything is connected. */
export async function live(options: LiveOptions): Promise<number> {
  const { settings, plans } = prepare(options);
  const { env, checkTables, workers = 1, entry = null } = options;
  const names = plans.map((plan) => plan.pipeline);
  const own = { plans, settings, checkTables, env, workers, entry };
  if (options.untilEnd !== true) return runPlans({ ...own, args: names });
  return runPlans({ ...own, args: [UNTIL_END, ...names], attach: attachEnd(plans), ends: true });
}

/** The argument of a worker process that is to come to its end. */
export const UNTIL_END = "--until-end";

const attachEnd =
  (plans: readonly Plan[]): Attach =>
  (ports) => {
    const bounds = new UntilEnd(plans, ports);
    return Promise.resolve({
      ports: { bounds },
      watch: (worker) => bounds.watchOver(worker),
      failure: () => bounds.failure,
    });
  };

export interface RunPlansOptions extends Pick<LiveOptions, "env" | "checkTables"> {
  readonly plans: readonly Plan[];
  readonly settings: WorkerSettings;
  readonly workers: number;
  /** The program of a worker process and its arguments; null: there is one worker, in this process. */
  readonly entry: string | null;
  readonly args: readonly string[];
  attach?: Attach;
  /** The workers end by themselves: one that has ended is not started again. */
  readonly ends?: boolean;
  /** Takes how to ask whether all of it is at work. */
  probed?(ready: () => Promise<Health>): void;
}

/** The additions to workers that come to an end: bounds, and who ends them. */
export type Attach = (ports: Clients & { readonly log: Log }) => Promise<{
  readonly ports: Pick<WorkerPorts, "bounds" | "pace">;
  /** Called when the worker runs. */
  watch(worker: Worker): void;
  /** Why the worker was ended before its time, once it has ended. */
  failure?(): MillraceError | null;
}>;

/** Runs one worker in this process, or several in processes of their own; until they have ended. */
export async function runPlans(options: RunPlansOptions): Promise<number> {
  const { settings, plans, workers, entry, args, env } = options;
  const onCut = (): void => void process.kill(process.pid, "SIGTERM");
  const base = { pid: process.pid };
  const hide = hidingSecretsOf(env);
  const log = createLog({ level: settings.MILLRACE_LOG_LEVEL, base, onCut: once(onCut), hide });
  const resources = readResources(resourcesOf(plans), env);
  if (workers === 1 || entry === null) return runWorker({ ...options, resources, log, hide });
  const spawn = (index: number) =>
    fork(entry, args, { env: { ...env, MILLRACE_WORKER: String(index) } });
  const meter = prometheusMeter(catalogue);
  const { ends = false } = options;
  const own = { workers, settings, clock: systemClock, log, meter, spawn, ends };
  const supervisor = new Supervisor(own);
  options.probed?.(() => supervisor.ready());
  return supervisor.run();
}

/** Settings and plans, with every problem of both at once. */
function prepare(options: LiveOptions): Pick<WorkerProcess, "settings" | "plans"> {
  const problems: MillraceError[] = [];
  const collect = <T>(work: () => T): T | null => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof ConfigErrors)) throw error;
      problems.push(...error.problems);
      return null;
    }
  };
  const settings = collect(() => readSettings(options.env));
  const wanted = chosen(options);
  const under = settings === null ? DEFAULT_PLAN_SETTINGS : planSettingsOf(settings);
  const plans = collect(() => plansOf(options.pipelines, under, wanted));
  // The resources of pipelines that cannot be built are not known.
  const resources = collect(() => readResources(resourcesOf(plans ?? []), options.env));
  if (settings !== null) problems.push(...serversMissing(settings, plans ?? []));
  if (plans === null || settings === null || resources === null || problems.length > 0)
    throw new ConfigErrors(problems);
  return { settings, plans };
}

function chosen({ pipelines, names = [] }: LiveOptions): readonly Pipeline[] {
  const known = pipelines.map((pipeline) => pipeline.name);
  const missing = names.filter((name) => !known.includes(name));
  if (missing.length > 0) {
    const detail = `pipeline ${missing.join(", ")}; there are: ${known.join(", ")}`;
    throw new MillraceError("MILL_NOT_FOUND", detail);
  }
  return names.length === 0 ? pipelines : pipelines.filter(({ name }) => names.includes(name));
}

/** A second signal would not drain. */
function once(work: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) work();
    isDone = true;
  };
}

interface WorkerProcess extends Omit<RunPlansOptions, "env" | "workers" | "entry" | "args"> {
  readonly resources: ResourceSettings;
  readonly log: Log;
  readonly hide: Hide;
}

const declarationOf = ({ declaration }: PlanTable): TableSpec => declaration as TableSpec;

async function runWorker(options: WorkerProcess): Promise<number> {
  const { plans, settings, resources, log, checkTables } = options;
  const meter = prometheusMeter(catalogue);
  meter.describeProcess({ version: VERSION, node: process.version });
  let starting: Worker | null = null;
  const onKafkaRetry = (error: MillraceError): void => starting?.kafkaWaits(error);
  const clients = connect(settings, { log, deadlineMs: 30_000, onKafkaRetry });
  const attached = await options.attach?.({ ...clients, log });
  const loop = startLoopWatch(log, settings);
  const ports: WorkerPorts = {
    ...clients,
    ...attached?.ports,
    workerName: workerNameOf(settings),
    ...{ log, meter, loop },
    openResource: resources.open,
    checkTables: (tables) => checkTables(tables.map(declarationOf), clients.pool),
  };
  const worker = new Worker(plans, ports, limitsOf(settings));
  starting = worker;
  const facts = watchLoop(worker);
  options.probed?.(() => Promise.resolve(readinessOf(facts())));
  // A start waits for a server for as long as that is away, and must end when it is asked to.
  const ignore = stopOnSignal(worker, log);
  const server = await serve(options, facts, withLag(meter, worker));
  try {
    if (await worker.start()) {
      attached?.watch(worker);
      log.info({ pipelines: plans.map((plan) => plan.pipeline), port: server?.port }, "running");
    }
    return await untilEnded(worker, log, () => attached?.failure?.() ?? null);
  } finally {
    await worker
      .stop()
      .catch((error: unknown) => log.warn({ error: messageOf(error) }, "stopping"));
    await server?.close();
    await Promise.all([clients.close(), loop.stop()]);
    ignore();
  }
}

/** Figures that are asked for are of this moment. */
const withLag = (meter: PrometheusMeter, worker: Worker): PrometheusMeter => ({
  ...meter,
  render: () => (worker.publishLag(), meter.render()),
  snapshot: () => (worker.publishLag(), meter.snapshot()),
});

const limitsOf = (settings: WorkerSettings): WorkerLimits => ({
  ...defaultLimits,
  sessionTimeoutMs: settings.MILLRACE_SESSION_TIMEOUT_MS,
  // A session outlives the loss of two heartbeats.
  heartbeatIntervalMs: Math.min(
    defaultLimits.heartbeatIntervalMs,
    Math.floor(settings.MILLRACE_SESSION_TIMEOUT_MS / 3),
  ),
  checkpointIntervalMs: settings.MILLRACE_CHECKPOINT_INTERVAL_MS,
  purgeIntervalMs: settings.MILLRACE_PURGE_INTERVAL_MS,
  sinkPurgeAfterMs: settings.MILLRACE_SINK_PURGE_AFTER_MS,
  breaker: settings.MILLRACE_BREAKER !== "off",
  haltAbove: shareOf(settings.MILLRACE_BREAKER),
  slowRecordMs: settings.MILLRACE_SLOW_RECORD_MS,
});

const shareOf = (text: string): number | null =>
  text.endsWith("%") ? parseFloat(text) / 100 : null;

/** A child answers its parent; a process of its own serves HTTP. */
async function serve(
  { settings, log, hide }: WorkerProcess,
  facts: () => WorkerFacts,
  meter: PrometheusMeter,
): Promise<OperationsServer | null> {
  const shown = (health: Health): Health => JSON.parse(hide(JSON.stringify(health))) as Health;
  const live = (): Health => shown(livenessOf(facts()));
  const ready = (): Health => shown(readinessOf(facts()));
  if (hasParent()) {
    answerParent(async () => ({ live: live(), ready: ready(), metrics: await meter.snapshot() }));
    return null;
  }
  const { MILLRACE_HTTP_HOST: host, MILLRACE_HTTP_PORT: port } = settings;
  return serveOperations({ host, port, log, live, ready, metrics: () => meter.render() });
}

const VERSION = "0.1.0";
const PASS_MS = 1_000;

/** Facts for /live and /ready; a timer that does not fire shows that the loop is stuck. */
function watchLoop(worker: Worker): () => WorkerFacts {
  let lastPass = systemClock.monotonic();
  setInterval(() => (lastPass = systemClock.monotonic()), PASS_MS).unref();
  return () => ({
    isJoined: worker.isJoined,
    waitingFor: worker.waitingFor,
    whyPaused: worker.whyPaused,
    passAgeMs: systemClock.monotonic() - lastPass,
    passAgeMsMax: 30 * PASS_MS,
    tasks: worker.health(),
    time: worker.timeWaits(),
  });
}

/** Returns how to stop listening. */
function stopOnSignal(worker: Worker, log: Log): () => void {
  const stop = (signal: string): void => {
    log.info({ signal }, "draining");
    // Ends in `worker.ended`; `runWorker` awaits and reports it.
    worker.stop().catch(() => undefined);
  };
  // A terminal signals parent and children, and the parent signals its children again: what is final comes from it alone.
  return hasParent() ? onStopSignal(stop, () => undefined) : onStopSignal(stop);
}

async function untilEnded(
  worker: Worker,
  log: Log,
  failure: () => MillraceError | null,
): Promise<number> {
  const ended = await worker.ended;
  await worker.stop();
  const error = ended ?? failure();
  if (error === null) return 0;
  const { code } = ours(error);
  const facts = { code, error: messageOf(error), action: entryOf(code).action };
  log.error(facts, "the worker has ended");
  if (ended === null) return exitCodeOf(error);
  return isAuth(code) ? exitCodes.auth : exitCodes.failure;
}
