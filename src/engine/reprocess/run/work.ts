// The workers of a run: the same worker and the same groups' machinery as live, on the run's plan, within its bounds.
import { MillraceError } from "../../core/errors.ts";
import type { Plan } from "../../core/plan.ts";
import type { Pipeline } from "../../define/pipeline.ts";
import { plansOf } from "../../define/plans.ts";
import { createLog } from "../../clients/pino-log.ts";
import { connect } from "../../runtime/host/connect.ts";
import { planSettingsOf, readSettings, type WorkerSettings } from "../../runtime/host/settings.ts";
import { runPlans, type RunPlansOptions } from "../../runtime/live.ts";
import { attachTo } from "./attach.ts";
import { shadowOfRun } from "./prepare.ts";
import { Runs } from "../words/rows.ts";
import { isWorking, type RunRow } from "../words/run.ts";

export interface WorkOptions extends Pick<RunPlansOptions, "env" | "checkTables" | "probed"> {
  readonly settings: WorkerSettings;
  /** The program of one worker of a run; its arguments are the pipeline and the number of the run. Null: this process is it. */
  readonly entry: string | null;
}

/** Until the run is over or a signal comes; returns the exit code. */
export function workOn(row: RunRow, shadow: Plan, options: WorkOptions): Promise<number> {
  const { workers } = row.options;
  const args = [row.pipeline, String(row.run)];
  // The live pipeline may serve its port on this machine.
  const settings = { ...options.settings, MILLRACE_HTTP_PORT: 0 };
  const plans = [shadow];
  return runPlans({ ...options, plans, settings, workers, args, attach: attachTo(shadow, row) });
}

interface ProcessOptions extends Omit<WorkOptions, "settings" | "entry"> {
  readonly pipelines: readonly Pipeline[];
  readonly pipeline: string;
  readonly run: number;
}

const DEADLINE_MS = 30_000;

/** A process that is one worker of a run. */
export async function runWorkerProcess(options: ProcessOptions): Promise<number> {
  const settings = readSettings(options.env);
  const named = options.pipelines.filter(({ name }) => name === options.pipeline);
  const [plan] = plansOf(named, planSettingsOf(settings));
  if (plan === undefined) throw new MillraceError("MILL_NOT_FOUND", `pipeline ${options.pipeline}`);
  const row = await rowOf(options, settings);
  if (!isWorking(row)) return 0;
  const { env, checkTables } = options;
  return workOn(row, shadowOfRun(plan, row), { settings, env, checkTables, entry: null });
}

async function rowOf({ pipeline, run }: ProcessOptions, settings: WorkerSettings): Promise<RunRow> {
  const log = createLog({ level: "silent", base: {} });
  const clients = connect(settings, { log, deadlineMs: DEADLINE_MS });
  try {
    const row = await new Runs(clients.pool, clients.clock).find(pipeline, run);
    if (row !== null) return row;
    throw new MillraceError("MILL_NOT_FOUND", `run ${String(run)} of ${pipeline}`);
  } finally {
    await clients.close();
  }
}
