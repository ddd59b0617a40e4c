// Finds what this machine lacks, and the command that mends it. Pure: it asks a Machine (machine.ts is the real one).
import { shownAddress } from "../engine/core/shown-address.ts";
import { javaVersionMin } from "./java.ts";
import { envNames, givenAddress, serviceNames } from "./service-names.ts";
import type { Env, ServiceName } from "./service-names.ts";
import type { ServiceRecord, StackFile } from "./stack-file.ts";
import { addressOf, type ServiceStatus } from "./status.ts";

export interface Machine {
  readonly nodeVersion: string;
  /** The major version of the Java that would be used, null when there is none. */
  javaMajor(): Promise<number | null>;
  hasProgram(name: string): boolean;
  isFetched(what: "kafka" | "registry" | "redis"): boolean;
  /** The folder of Postgres' programs, null when there is none. */
  postgresFolder(): Promise<string | null>;
  canListen(): Promise<boolean>;
  isRunning(process: NonNullable<ServiceRecord["process"]>): boolean;
  answers(service: ServiceName, address: string, env: Env): Promise<boolean>;
}

export interface Finding {
  readonly check: string;
  readonly verdict: "fine" | "warning" | "missing" | "unreachable";
  readonly detail: string;
  /** The exact command, or setting, that mends it. */
  readonly fix?: string;
}

interface Checkup {
  readonly env: Env;
  readonly file: StackFile;
  readonly machine: Machine;
}

/** Every check, in the order in which one would mend them. */
export async function findings(checkup: Checkup): Promise<readonly Finding[]> {
  return [
    checkNode(checkup),
    ...(await checkPrograms(checkup)),
    await checkPorts(checkup),
    ...(await Promise.all(serviceNames.map((name) => checkService(name, checkup)))),
  ];
}

const fine = (check: string, detail: string): Finding => ({ check, verdict: "fine", detail });
const missing = (check: string, detail: string, fix: string): Finding => ({
  ...{ check, detail, fix },
  verdict: "missing",
});

function checkNode({ machine }: Checkup): Finding {
  const [major = 0, minor = 0] = machine.nodeVersion.replace(/^v/, "").split(".").map(Number);
  const isNew = major > 22 || (major === 22 && minor >= 18);
  if (isNew) return fine("Node.js", machine.nodeVersion);
  const detail = `${machine.nodeVersion}, needed 22.18 or newer`;
  return missing("Node.js", detail, "npm ci, then: npx millrace doctor");
}

/** Only what the servers of ours need: an address in the environment makes its server superfluous. */
async function checkPrograms(checkup: Checkup): Promise<readonly Finding[]> {
  const { env, machine } = checkup;
  const own = (name: ServiceName): boolean => givenAddress(name, env) === undefined;
  const all: Finding[] = [];
  if (own("kafka") || own("registry")) all.push(await checkJava(machine));
  const hasRedis = machine.hasProgram("redis-server");
  const wanted = (["kafka", "registry", "redis"] as const)
    .filter((what) => own(what) && !machine.isFetched(what))
    .filter((what) => what !== "redis" || !hasRedis);
  all.push(checkMaven(machine, wanted));
  if (own("redis")) all.push(checkRedis(machine, hasRedis));
  if (own("postgres")) all.push(await checkPostgres(machine));
  return all;
}

async function checkJava(machine: Machine): Promise<Finding> {
  const major = await machine.javaMajor();
  if (major !== null && major >= javaVersionMin) return fine("Java", String(major));
  const fix = installOf(machine, "openjdk-17-jre-headless", "openjdk@17");
  const needed = `needed ${String(javaVersionMin)}`;
  return missing("Java", major === null ? "not found" : `${String(major)}, ${needed}`, fix);
}

function checkMaven(machine: Machine, wanted: readonly string[]): Finding {
  if (wanted.length === 0) return fine("Maven", "not needed any more");
  const detail = `fetches ${wanted.join(", ")}`;
  if (machine.hasProgram("mvn")) return fine("Maven", detail);
  return missing("Maven", detail, installOf(machine, "maven", "maven"));
}

function checkRedis(machine: Machine, hasRedis: boolean): Finding {
  if (hasRedis) return fine("Redis", "redis-server");
  if (machine.isFetched("redis")) return fine("Redis", "fetched");
  if (machine.hasProgram("mvn")) return fine("Redis", "will be fetched");
  const fix = installOf(machine, "redis-server", "redis");
  return missing("Redis", "neither redis-server nor Maven", fix);
}

async function checkPostgres(machine: Machine): Promise<Finding> {
  const folder = await machine.postgresFolder();
  if (folder !== null) return fine("Postgres", folder);
  const fix = installOf(machine, "postgresql", "postgresql@17");
  return missing("Postgres", "no initdb and postgres", fix);
}

async function checkPorts({ machine }: Checkup): Promise<Finding> {
  if (await machine.canListen()) return fine("loopback ports", "can be opened");
  const fix = "allow this user to listen on 127.0.0.1";
  return missing("loopback ports", "none could be opened", fix);
}

/** An address that does not answer, or a process of stack.json that is gone. */
async function checkService(name: ServiceName, checkup: Checkup): Promise<Finding> {
  const { env, file, machine } = checkup;
  const { address, from } = addressOf(name, file, env);
  if (address === undefined) return fine(name, "not started (npx millrace up)");
  const process = from === "stack" ? file.services[name]?.process : undefined;
  if (process !== undefined && process !== null && !machine.isRunning(process)) {
    const detail = `stack.json names pid ${String(process.pid)}, which is gone`;
    return { check: name, verdict: "unreachable", detail, fix: "npx millrace up" };
  }
  const where = `${shownAddress(address)} (${from})`;
  if (await machine.answers(name, address, from === "environment" ? env : {}))
    return fine(name, where);
  const detail = `${where} does not answer`;
  return { check: name, verdict: "unreachable", detail, fix: fixOf(name, from) };
}

function fixOf(name: ServiceName, from: ServiceStatus["from"]): string {
  if (from === "environment")
    return `start it, or correct ${envNames[name]}, or: unset ${envNames[name]}`;
  return from === "docker" ? "npx millrace up --docker" : "npx millrace up";
}

function installOf(machine: Machine, debian: string, brew: string): string {
  if (machine.hasProgram("apt-get")) return `apt-get install -y ${debian}`;
  if (machine.hasProgram("brew")) return `brew install ${brew}`;
  return `install ${debian} with your package manager`;
}
