// One side of the comparison: how its process is started for a workload, and what is known of it while it runs.
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import type { Input } from "./input.ts";
import type { World } from "./world.ts";

export type Workload = "map" | "sum" | "call" | TimeWorkload;
/** The workloads that every contestant has. */
export const workloads: readonly Workload[] = ["map", "sum"];
export type TimeWorkload = "tumbling" | "session" | "join";
/** The workloads of event time. */
export const timeWorkloads: readonly TimeWorkload[] = ["tumbling", "session", "join"];

export interface Run {
  readonly world: World;
  readonly workload: Workload;
  readonly input: Input;
  /** Kebab-case, new for each run: goes before groups and internal topics. */
  readonly id: string;
  /** The output topic; it is there. */
  readonly output: string;
}

export interface Contestant {
  readonly name: string;
  /** The share of the windows that its input closes of which it has rows when the input is decided. */
  readonly closedShareMin: number;
  /** What must be there before the first run: fetched, compiled. */
  prepare(world: World): Promise<void>;
  start(run: Run): Promise<Running>;
}

export interface Running {
  readonly pid: number;
  /** The consumer group whose offsets tell how far it is. */
  readonly group: string;
  /** False when the process has ended by itself. */
  isAlive(): boolean;
  /** The end of its log, for messages. */
  story(): string;
  stop(): Promise<void>;
}

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly group: string;
}

/** Starts the program with its output in a log file of its own. */
export function startProgram({ world, id }: Run, program: Program): Running {
  const log = `${world.dir}/${id}.log`;
  const file = openSync(log, "a");
  const { command, args, env, group } = program;
  const child = spawn(command, args, { cwd: world.dir, env, stdio: ["ignore", file, file] });
  closeSync(file);
  const ended = endOf(child);
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  return {
    pid: child.pid ?? 0,
    group,
    isAlive: () => child.exitCode === null && child.signalCode === null,
    story: () => readFileSync(log, "utf8").slice(-4_000),
    async stop() {
      child.kill("SIGTERM");
      await ended;
      process.off("exit", kill);
    },
  };
}

const endOf = (child: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    child.once("exit", () => resolve());
    child.once("error", reject);
  });
