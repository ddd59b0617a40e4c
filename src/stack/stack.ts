// The local servers: starts what the environment does not name, stops what was started, remembers it in stack.json.
// Every call is safe to repeat. Servers outlive the process that started them.
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { MillraceError } from "../engine/core/errors.ts";
import { withLock } from "./lock.ts";
import { pidOf } from "./process.ts";
import { envNames, givenAddress, serviceNames, type Env, type Say } from "./service-names.ts";
import type { ServiceName } from "./service-names.ts";
import { startOne, stopOne, type Started } from "./server.ts";
import { changeStackFile, readStackFile, stackFileOf } from "./stack-file.ts";

export { readStackEnv } from "./stack-file.ts";
export type { ServiceName } from "./service-names.ts";

interface StackOptions {
  /** The stack's folder, `.millrace` of a project. Any number of stacks live side by side. */
  readonly dir: string;
  readonly env: Env;
  readonly say: Say;
  /** All four by default. */
  readonly services?: readonly ServiceName[];
  /** False: Postgres skips fsync, Redis takes every command from anybody (tests). Remembered. */
  readonly durable?: boolean;
}

/** Addresses are empty for services that were left out. */
export interface Stack {
  readonly dir: string;
  readonly kafka: { readonly brokers: readonly string[] };
  readonly registry: { readonly url: string };
  readonly redis: { readonly url: string };
  readonly postgres: { readonly url: string };
  /** The same addresses by the names of the environment. */
  readonly env: Readonly<Record<string, string>>;
  /** The process ids of the servers that are ours. */
  readonly pids: Readonly<Partial<Record<ServiceName, number>>>;
}

/** Starts what is not running yet; independent services at once. If one fails, what this call started is stopped again. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const dir = resolve(options.dir);
  // Passwords, data and logs of the servers are nobody else's to read.
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  return withLock(join(dir, "lock"), async () => {
    const { durable } = options;
    if (readStackFile(dir).docker) {
      throw new MillraceError("MILL_STACK_RUNNING", "it was started with --docker");
    }
    changeStackFile(dir, (file) => ({ ...file, durable: durable ?? file.durable }));
    const wanted = options.services ?? serviceNames;
    const outcomes = await Promise.allSettled(
      wanted.map((name) => startWanted(name, dir, options)),
    );
    const started = outcomes.filter((outcome) => outcome.status === "fulfilled");
    const failure = outcomes.find((outcome) => outcome.status === "rejected");
    if (failure !== undefined) {
      const ours = started.map(({ value }) => value).filter(({ isNew }) => isNew);
      await Promise.all(ours.map(({ name }) => stopOne(dir, name)));
      throw failure.reason;
    }
    if (!started.some(({ value }) => value.isNew)) options.say("already up");
    return stackOf(dir, options.env, wanted);
  });
}

async function startWanted(
  name: ServiceName,
  dir: string,
  { env, say }: StackOptions,
): Promise<Started> {
  if (givenAddress(name, env) === undefined) return startOne({ dir, name, env, say });
  say(`${name}: ${envNames[name]} is set, so that one is used`);
  return { name, isNew: false };
}

/** The stack of this folder by the environment and its file, whether it runs or not. */
export function stackOf(
  dir: string,
  env: Env,
  wanted: readonly ServiceName[] = serviceNames,
): Stack {
  const file = readStackFile(dir);
  const addresses: Record<string, string> = {};
  const pids: Partial<Record<ServiceName, number>> = {};
  for (const name of wanted) {
    const address = givenAddress(name, env) ?? file.env[envNames[name]];
    if (address !== undefined) addresses[envNames[name]] = address;
    const pid = pidOf(file.services[name]?.process);
    if (pid !== null) pids[name] = pid;
  }
  const urlOf = (name: ServiceName): string => addresses[envNames[name]] ?? "";
  return {
    dir,
    kafka: { brokers: urlOf("kafka") === "" ? [] : urlOf("kafka").split(",") },
    registry: { url: urlOf("registry") },
    redis: { url: urlOf("redis") },
    postgres: { url: urlOf("postgres") },
    env: addresses,
    pids,
  };
}

/** Stops every server that `startStack` started here; data stays, unless `purge`. */
export async function stopStack(
  dir: string,
  say: Say,
  options: { readonly purge?: boolean } = {},
): Promise<void> {
  const root = resolve(dir);
  await withLock(join(root, "lock"), async () => {
    const names = serviceNames.filter((name) => readStackFile(root).services[name] !== undefined);
    await Promise.all(
      names.map(async (name) => {
        if (await stopOne(root, name)) say(`${name}: stopped`);
      }),
    );
    if (options.purge === true) purge(root);
    else changeStackFile(root, (file) => ({ ...file, env: {} }));
  });
}

/** Removes data, logs and stack.json of a stack that is down. Downloads stay: they are no data. */
function purge(dir: string): void {
  for (const record of Object.values(readStackFile(dir).services)) {
    rmSync(record.home, { recursive: true, force: true });
  }
  rmSync(join(dir, "logs"), { recursive: true, force: true });
  rmSync(stackFileOf(dir), { force: true });
}

/** Stops one server and keeps its address and data, as a fault would: SIGKILL for a crash. */
export async function stopService(
  dir: string,
  name: ServiceName,
  options: { readonly signal?: NodeJS.Signals } = {},
): Promise<void> {
  await stopOne(resolve(dir), name, options.signal);
}

/** Starts one server again, on the same port and with its data. */
export async function startService(
  dir: string,
  name: ServiceName,
  env: Env = process.env,
): Promise<void> {
  await startOne({ dir: resolve(dir), name, env, say: () => undefined, isRestart: true });
}
