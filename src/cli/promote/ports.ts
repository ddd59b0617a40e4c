// The ports of the promotion verbs, beside those of the reprocessor: the lock, the swap of tables in Postgres, and the
// run's workers as a process of this command's own.
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { MillraceError } from "../../engine/core/errors.ts";
import type { Plan } from "../../engine/core/plan.ts";
import type { Follower, PromotePorts } from "../../engine/reprocess/promote/ports.ts";
import { promoteTables } from "../../engine/reprocess/swap/turns.ts";
import type { RunRow } from "../../engine/reprocess/words/run.ts";
import { exitCodes, type CliIo } from "../io.ts";
import type { Reprocessing } from "../reprocess/connection.ts";
import { wholeOption, type ChangeOptions } from "../option-values.ts";

/** The run of that number, or the newest one. */
export async function runNamed(
  { ports }: Reprocessing,
  { pipeline }: Plan,
  text: string | undefined,
): Promise<RunRow> {
  const number = wholeOption("--run", text, { min: 1, fallback: null });
  const rows = await ports.runs.list(pipeline);
  const row = rows.find(({ run }) => number === null || run === number);
  if (row !== undefined) return row;
  const which = number === null ? "no run" : `no run ${String(number)}`;
  throw new MillraceError("MILL_NOT_FOUND", `${which} of ${pipeline}`);
}

export interface StepOptions extends ChangeOptions {
  readonly run?: string;
  readonly hold?: boolean;
  readonly patience?: string;
}

/** Promotes or undoes the run that is named, with the patience that is asked for. */
export function onRun(
  at: Reprocessing,
  plan: Plan,
  { run, patience }: StepOptions,
  work: (row: RunRow, limitMs: number, ports: PromotePorts) => Promise<number>,
): Promise<number> {
  const limitMs = wholeOption("--patience", patience, { min: 1, fallback: 120 }) * 1_000;
  return promoting(at, plan, limitMs, async (ports) =>
    work(await runNamed(at, plan, run), limitMs, ports),
  );
}

/** Under the lock of the pipeline's promotions; ends what it has started. */
export async function promoting(
  at: Reprocessing,
  plan: Plan,
  limitMs: number,
  work: (ports: PromotePorts) => Promise<number>,
): Promise<number> {
  const { io, ports } = at;
  const name = `millrace promote ${plan.namespace}${plan.pipeline}`;
  const lock = await ports.pool.lock(name);
  if (lock === null) {
    const detail = `another process promotes, verifies or undoes a run of ${plan.pipeline}`;
    throw new MillraceError("MILL_RUN_ACTIVE", detail);
  }
  const workers = new RunWorkers(io);
  const say = (line: string): void => io.err(line);
  try {
    const tables = promoteTables(ports.pool, ports.clock, limitMs, say);
    return await work({ ...ports, tables, say, follow: (row) => workers.follow(row) });
  } finally {
    await workers.stop();
    await lock.release();
  }
}

const AGAIN_MS = 5_000;

/** `reprocess run --follow` in a process of its own: it outlives this one if that is killed, and ends with the run. */
class RunWorkers {
  readonly #io: CliIo;
  #child: ChildProcess | null = null;
  #ended: Promise<string> | null = null;
  #isStopped = false;

  constructor(io: CliIo) {
    this.#io = io;
  }

  follow({ pipeline, run }: RunRow): Promise<Follower> {
    this.#ended ??= this.#keep(pipeline, run);
    return Promise.resolve({ ended: this.#ended });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#child?.kill("SIGTERM");
    const child = this.#child;
    if (child !== null && child.exitCode === null && child.signalCode === null)
      await new Promise((resolve) => child.once("exit", resolve));
  }

  /** While another session has the run at work, it is that one's. */
  async #keep(pipeline: string, run: number): Promise<string> {
    for (;;) {
      const code = await this.#once(pipeline, run);
      if (this.#isStopped || code !== exitCodes.conflict) return `exit ${String(code)}`;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS).unref());
    }
  }

  #once(pipeline: string, run: number): Promise<number | null> {
    const [program = ""] = process.argv.slice(1);
    const argv = ["reprocess", "run", pipeline, "--run", String(run), "--follow"];
    const child = spawn(process.execPath, [...process.execArgv, program, ...argv], {
      cwd: this.#io.cwd,
      env: this.#io.env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child = child;
    createInterface({ input: child.stderr }).on("line", (line) => {
      if (!line.includes("MILL_RUN_ACTIVE")) this.#io.err(`workers: ${line}`);
    });
    return new Promise((resolve) => child.once("exit", resolve));
  }
}
