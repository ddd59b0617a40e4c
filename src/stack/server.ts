// Starts one server of a stack until it answers, or stops it until it is gone. stack.json records the result.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MillraceError } from "../engine/core/errors.ts";
import { shownAddress } from "../engine/core/shown-address.ts";
import { cacheOf } from "./download.ts";
import { kafka } from "./kafka.ts";
import { choosePorts, portsOfFolder } from "./port.ts";
import { postgres } from "./postgres.ts";
import { end, isRunning, launch, sizeOf, succeeds, tailOf, type ProcessId } from "./process.ts";
import { redis } from "./redis.ts";
import { registry } from "./registry.ts";
import {
  envNames,
  serviceNames,
  type Env,
  type Place,
  type Say,
  type Service,
} from "./service-names.ts";
import type { ServiceName } from "./service-names.ts";
import { changeStackFile, readStackFile, withService } from "./stack-file.ts";

export const services: Readonly<Record<ServiceName, Service>> = {
  kafka,
  registry,
  redis,
  postgres,
};

const readyMsMax = 300_000;
const graceMs = 15_000;
const triesMax = 10;

interface StartOne {
  readonly dir: string;
  readonly name: ServiceName;
  readonly env: Env;
  readonly say: Say;
  /** Its clients know the address: never choose another. */
  readonly isRestart?: boolean;
}
export interface Started {
  readonly name: ServiceName;
  /** False when it was running already. */
  readonly isNew: boolean;
}

/** Starts the server, unless it runs, and returns once it answers. */
export async function startOne(which: StartOne): Promise<Started> {
  return (await isUp(which)) ? { name: which.name, isNew: false } : startDown(which);
}

/** Also true for one whose start was cut short, as soon as it answers. */
async function isUp({ dir, name, env, say }: StartOne): Promise<boolean> {
  const file = readStackFile(dir);
  const record = file.services[name];
  const address = file.env[envNames[name]];
  if (record === undefined || record.process === null || address === undefined) return false;
  const outcome = await readyOrDead(services[name], address, record.process);
  if (outcome !== "ready") return false;
  const { durable } = file;
  await services[name].settle?.({ ...record, cache: cacheOf(env), env, say, durable });
  return true;
}

async function startDown(which: StartOne): Promise<Started> {
  const { dir, name, say } = which;
  const began = performance.now();
  const service = services[name];
  const place = await placeOf(which);
  const log = logOf(dir, name);
  const remember = (process: ProcessId | null, address?: string): void => {
    const { home, ports } = place;
    changeStackFile(dir, (file) => withService(file, name, { home, ports, process }, address));
  };
  // Before anything is made there: what fails half-way can still be purged.
  remember(null);
  const what = await service.prepare(place);
  const address = service.address(place);
  const process = await launchUntilReady(service, log, address, async () => {
    const launched = await launch(what, log);
    remember(launched, address);
    return launched;
  });
  await service.settle?.(place);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  say(`${name}: ${shownAddress(address)} (pid ${String(process.pid)}, ready in ${seconds} s)`);
  return { name, isNew: true };
}

/** Stops the server if it runs; false when it did not. Its address stays in stack.json. */
export async function stopOne(
  dir: string,
  name: ServiceName,
  signal: NodeJS.Signals = services[name].stopSignal,
): Promise<boolean> {
  const record = readStackFile(dir).services[name];
  if (record === undefined || record.process === null) return false;
  const wasRunning = await end(record.process, signal, graceMs);
  changeStackFile(dir, (file) => withService(file, name, { ...record, process: null }));
  return wasRunning;
}

const logOf = (dir: string, name: ServiceName): string => join(dir, "logs", `${name}.log`);

async function placeOf({ dir, name, env, say, isRestart }: StartOne): Promise<Place> {
  mkdirSync(join(dir, "logs"), { recursive: true });
  const file = readStackFile(dir);
  const known = file.services[name];
  const wanted = join(dir, name);
  const keeps = isRestart === true && known !== undefined;
  const { portCount } = services[name];
  const usual = portsOfFolder(dir, serviceNames.indexOf(name), portCount);
  return {
    home: services[name].home?.(wanted, known?.home) ?? wanted,
    ports: keeps ? known.ports : await choosePorts(portCount, known?.ports ?? usual),
    cache: cacheOf(env),
    env,
    say,
    durable: file.durable,
  };
}

/** An early death is tried again only where the log says that the last process was not quite gone. */
async function launchUntilReady(
  service: Service,
  log: string,
  address: string,
  start: () => Promise<ProcessId>,
): Promise<ProcessId> {
  for (let tries = 1; ; tries++) {
    const fromByte = sizeOf(log);
    const process = await start();
    const outcome = await readyOrDead(service, address, process);
    if (outcome === "ready") return process;
    await end(process, "SIGKILL", 0);
    const tail = tailOf(log, fromByte, 15);
    if (outcome === "dead" && tries < triesMax && service.retryOn?.test(tail) === true) {
      await sleep(300);
      continue;
    }
    const what = outcome === "dead" ? "ended" : `was not ready in ${String(readyMsMax / 1000)} s`;
    throw new MillraceError(
      "MILL_STACK_FAILED",
      `${service.name} ${what}; its log ${log} ends with:\n${tail}`,
    );
  }
}

async function readyOrDead(
  service: Service,
  address: string,
  process: ProcessId,
): Promise<"ready" | "dead" | "late"> {
  const deadline = performance.now() + readyMsMax;
  while (performance.now() < deadline) {
    if (!isRunning(process)) return "dead";
    // Our own servers take no credentials, whatever the user's environment says of others.
    if ((await succeeds(service.probe(address, {}))) && isRunning(process)) return "ready";
    await sleep(50);
  }
  return "late";
}
