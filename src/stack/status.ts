// The state of each service, asked now: its address, where that comes from, and whether it is reached.
import { shownAddress } from "../engine/core/shown-address.ts";
import { resolve } from "node:path";
import { versionOf } from "./download.ts";
import { pidOf } from "./process.ts";
import { envNames, givenAddress, serviceNames, type Env } from "./service-names.ts";
import type { ServiceName } from "./service-names.ts";
import { services } from "./server.ts";
import { readStackFile, type StackFile } from "./stack-file.ts";

export interface ServiceStatus {
  readonly service: ServiceName;
  /** Without a password; null when nobody names one. */
  readonly address: string | null;
  readonly from: "environment" | "stack" | "docker" | "nowhere";
  readonly state: "up" | "down";
  /** The process of a server of ours that runs. */
  readonly pid: number | null;
  readonly version: string | null;
}

export function statusOf(dir: string, env: Env): Promise<readonly ServiceStatus[]> {
  const file = readStackFile(resolve(dir));
  return Promise.all(serviceNames.map((name) => statusOfOne(name, file, env)));
}

async function statusOfOne(
  service: ServiceName,
  file: StackFile,
  env: Env,
): Promise<ServiceStatus> {
  const { address, from } = addressOf(service, file, env);
  if (address === undefined) {
    return { service, address: null, from, state: "down", pid: null, version: null };
  }
  const probed = services[service].probe(address, from === "environment" ? env : {});
  const answer = await probed.catch(() => null);
  const ours = from === "stack";
  return {
    service,
    address: shownAddress(address),
    from,
    state: answer === null ? "down" : "up",
    pid: ours ? pidOf(file.services[service]?.process) : null,
    version: answer === "" && ours ? pinnedOf(service) : answer || null,
  };
}

/** The address in force, and who gives it. */
export function addressOf(
  service: ServiceName,
  file: StackFile,
  env: Env,
): { readonly address: string | undefined; readonly from: ServiceStatus["from"] } {
  const given = givenAddress(service, env);
  if (given !== undefined) return { address: given, from: "environment" };
  const address = file.env[envNames[service]];
  if (address === undefined) return { address, from: "nowhere" };
  return { address, from: file.docker ? "docker" : "stack" };
}

/** Kafka and the registry do not report their version; ours is the one in pom.xml. */
const pinnedOf = (service: ServiceName): string | null =>
  service === "kafka" || service === "registry" ? versionOf(service) : null;
