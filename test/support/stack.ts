// Real servers for tests. `MILLRACE_TEST_STACK` names the folder of a stack that is up already (one for a whole run);
// without it a stack is started on first use, and gone when this process is gone, whatever way it ends.
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { envNames, serviceNames, type ServiceName } from "../../src/stack/service-names.ts";
import { stackOf, startStack, type Stack } from "../../src/stack/stack.ts";

/** Addresses by the names of the environment. */
export interface StackEnv {
  readonly KAFKA_BROKERS: string;
  readonly SCHEMA_REGISTRY_URL: string;
  readonly REDIS_URL: string;
  readonly DATABASE_URL: string;
}

let shared: Promise<Stack> | undefined;

/** The servers that tests of one run share: make names of your own in them, and never stop one. */
export async function sharedStack(): Promise<StackEnv> {
  shared ??= findOrStart();
  const { env } = await shared;
  const addressOf = (name: ServiceName): string => {
    const address = env[envNames[name]];
    if (address === undefined) throw new Error(`the shared stack has no ${name}`);
    return address;
  };
  return {
    KAFKA_BROKERS: addressOf("kafka"),
    SCHEMA_REGISTRY_URL: addressOf("registry"),
    REDIS_URL: addressOf("redis"),
    DATABASE_URL: addressOf("postgres"),
  };
}

function findOrStart(): Promise<Stack> {
  const dir = process.env["MILLRACE_TEST_STACK"];
  return dir === undefined || dir === "" ? privateStack() : Promise.resolve(stackOf(dir, {}));
}

/** Servers for one test file alone, which may stop, kill and start them (stopService, startService with `stack.dir`). */
export function privateStack(
  services: readonly ServiceName[] = serviceNames,
  settings: Readonly<Record<string, string>> = {},
): Promise<Stack> {
  const dir = mkdtempSync(join(tmpdir(), "millrace-test-"));
  keep(dir);
  const env = { ...serverEnv(), ...settings };
  return startStack({ dir, env, say: () => undefined, services, durable: false });
}

/** The environment without addresses: tests never use servers that somebody has set up for other ends. */
export function serverEnv(): Readonly<Record<string, string | undefined>> {
  const names = serviceNames.flatMap((name) => [envNames[name], `${envNames[name]}_FILE`]);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !names.includes(name)));
}

/** Another process stops the servers when its input ends, which happens however this one ends. */
export function keep(dir: string): void {
  const keeper = spawn(process.execPath, [join(import.meta.dirname, "stack-keeper.ts"), dir], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  keeper.unref();
  (keeper.stdin as Socket).unref();
}
