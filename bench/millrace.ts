// Millrace as a contestant: the real command line with the benchmark's pipelines, one process or several.
import { join } from "node:path";
import { appCommand, type App } from "../test/support/app.ts";
import { startProgram, type Contestant, type Program, type Run } from "./contestant.ts";
import { pathToFileURL, fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
export const bin: string = join(root, "bin/millrace.js");

interface MillraceOptions {
  readonly workers: number;
  /** Arguments of node. */
  readonly execArgv?: readonly string[];
  readonly settings?: Readonly<Record<string, string>>;
  /** Another checkout of Millrace, whose code and pipelines run instead of this one's. */
  readonly checkout?: string;
}

export const millrace = (options: MillraceOptions): Contestant => ({
  name: `millrace${options.checkout === undefined ? "" : " beside"}, ${String(options.workers)} ${options.workers === 1 ? "worker" : "workers"}`,
  closedShareMin: 1,
  prepare: () => Promise.resolve(),
  start: async (run) => startProgram(run, await millraceCommand(run, options)),
});

/** How Millrace is started for a run; its internal topics are there then. */
export async function millraceCommand(
  run: Run,
  { workers, execArgv = [], settings, checkout = root }: MillraceOptions,
): Promise<Program> {
  const app = appOf(run, checkout);
  const env = addressesOf(run);
  const program = join(checkout, "bin/millrace.js");
  const { code, out } = await appCommand(app, ["topics", "apply"], env, program);
  if (code !== 0) throw new Error(`topics apply: ${out}`);
  const { PATH, HOME } = process.env;
  const several = workers === 1 ? [] : ["--workers", String(workers)];
  return {
    command: process.execPath,
    args: [...execArgv, ...app.execArgv, program, "run", ...several],
    env: { PATH, HOME, ...env, ...app.env, ...settings, MILLRACE_HTTP_PORT: "0" },
    group: `${run.id}-${run.workload}.main`,
  };
}

export const appOf = ({ workload, input, output }: Run, checkout: string = root): App => ({
  execArgv: ["--import", pathToFileURL(join(checkout, "test/support/app-loader.ts")).href],
  env: {
    MILLRACE_TEST_APP: join(checkout, "bench/pipelines", `${workload}.ts`),
    BENCH_INPUT: input.topic,
    BENCH_OUTPUT: output,
  },
});

/** Neither Avro nor a table: registry and database are named, since settings must be, and never asked. */
export const addressesOf = ({ world, id }: Run): Readonly<Record<string, string>> => ({
  KAFKA_BROKERS: world.brokers,
  REDIS_URL: world.redisUrl,
  SCHEMA_REGISTRY_URL: "http://127.0.0.1:1",
  DATABASE_URL: world.databaseUrl ?? "postgres://127.0.0.1:1/none",
  MILLRACE_NAMESPACE: `${id}-`,
});
