// The same stack in containers: docker-compose.yml, its addresses written where those of our own servers would be.
import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { MillraceError } from "../engine/core/errors.ts";
import { isRunning } from "./process.ts";
import type { Env, Say } from "./service-names.ts";
import { changeStackFile, readStackFile } from "./stack-file.ts";

const run = promisify(execFile);
const composeFile = join(import.meta.dirname, "../../docker-compose.yml");

/** The addresses that docker-compose.yml publishes. */
export const composeEnv: Readonly<Record<string, string>> = {
  KAFKA_BROKERS: "127.0.0.1:9092",
  SCHEMA_REGISTRY_URL: "http://127.0.0.1:8081/apis/ccompat/v7",
  REDIS_URL: "redis://:millrace@127.0.0.1:6379",
  DATABASE_URL: "postgres://millrace:millrace@127.0.0.1:5432/millrace",
};

/** Starts the containers, waits until they are healthy, and writes their addresses to stack.json. */
export async function startDocker(dir: string, env: Env, say: Say): Promise<void> {
  const root = resolve(dir);
  const ours = Object.values(readStackFile(root).services).filter(
    ({ process }) => process !== null && isRunning(process),
  );
  if (ours.length > 0) {
    throw new MillraceError("MILL_STACK_RUNNING", "it was started without --docker");
  }
  await requireCompose(env);
  say("docker compose up: pulling and starting, which may take some minutes the first time");
  await compose(["up", "-d", "--wait"], env);
  changeStackFile(root, (file) => ({ ...file, docker: true, env: composeEnv }));
}

/** Stops and removes the containers; `purge` removes their volumes too. */
export async function stopDocker(dir: string, env: Env, purge: boolean): Promise<void> {
  await compose(purge ? ["down", "--volumes"] : ["down"], env);
  changeStackFile(resolve(dir), (file) => ({ ...file, docker: false, env: {} }));
}

/** Without its plugin, docker takes `compose` for nothing it knows and prints its usage. */
async function requireCompose(env: Env): Promise<void> {
  await run("docker", ["compose", "version"], { env: { ...env } }).catch((cause: unknown) => {
    const isThere = (cause as NodeJS.ErrnoException).code !== "ENOENT";
    const what = isThere ? "docker has no compose plugin" : "docker is not on the PATH";
    throw new MillraceError("MILL_STACK_MISSING", what, { cause });
  });
}

async function compose(args: readonly string[], env: Env): Promise<void> {
  const all = ["compose", "-f", composeFile, ...args];
  await run("docker", all, { env: { ...env }, maxBuffer: 1 << 26 }).catch((cause: unknown) => {
    const { stderr = "" } = cause as { stderr?: string };
    const why = stderr.trim().split("\n").slice(-3).join("\n");
    throw new MillraceError("MILL_STACK_FAILED", `docker compose ${args[0] ?? ""}: ${why}`, {
      cause,
    });
  });
}
