// `.millrace/stack.json`: the addresses of the local stack under the names of the environment, and the processes that
// `up` started. Written whole, by rename. Holds the password of the local database, so only its owner reads it.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError } from "../engine/core/errors.ts";
import type { ProcessId } from "./process.ts";
import { envNames, type Env, type ServiceName } from "./service-names.ts";

export interface ServiceRecord {
  readonly home: string;
  readonly ports: readonly number[];
  /** Null when it is stopped; its data and ports wait for the next start. */
  readonly process: ProcessId | null;
}

export interface StackFile {
  readonly version: 1;
  /** Addresses, by the names of the environment. Empty when the stack is down. */
  readonly env: Readonly<Record<string, string>>;
  readonly services: Readonly<Partial<Record<ServiceName, ServiceRecord>>>;
  readonly durable: boolean;
  /** True when Docker runs it. */
  readonly docker: boolean;
}

const nothing: StackFile = { version: 1, env: {}, services: {}, durable: true, docker: false };

export const stackFileOf = (dir: string): string => join(dir, "stack.json");

/** The stack file of this folder; empty when there is none. */
export function readStackFile(dir: string): StackFile {
  const file = stackFileOf(dir);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return nothing;
    throw error;
  }
  try {
    const parsed = JSON.parse(text) as StackFile;
    if (parsed.version === 1) return { ...nothing, ...parsed };
  } catch {
    // Falls through to the one message below.
  }
  throw new ConfigError(
    "MILL_CONFIG_INVALID",
    `${file} is not ours; remove it, then: npx millrace up`,
  );
}

/** Changes the file in one step. Synchronous, so that the starts of one process never overwrite each other. */
export function changeStackFile(dir: string, change: (file: StackFile) => StackFile): StackFile {
  mkdirSync(dir, { recursive: true });
  const next = change(readStackFile(dir));
  const temporary = `${stackFileOf(dir)}.${String(process.pid)}`;
  writeFileSync(temporary, `${JSON.stringify(next, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, stackFileOf(dir));
  return next;
}

/** The environment, completed by the addresses of the local stack; what the environment says wins. */
export function readStackEnv(dir: string, env: Env): Env {
  const local = readStackFile(dir).env;
  const missing = Object.entries(local).filter(([name]) => !isSet(env, name));
  return { ...env, ...Object.fromEntries(missing) };
}

const isSet = (env: Env, name: string): boolean =>
  [env[name], env[`${name}_FILE`]].some((value) => value !== undefined && value !== "");

/** The file after a service was prepared, started (its address and process) or stopped (no process). */
export function withService(
  file: StackFile,
  name: ServiceName,
  record: ServiceRecord,
  address?: string,
): StackFile {
  const services = { ...file.services, [name]: record };
  if (address === undefined) return { ...file, services };
  return { ...file, services, env: { ...file.env, [envNames[name]]: address } };
}
