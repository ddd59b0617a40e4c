// What is missing on this machine, and the command that mends it. Pure: it asks a Machine (machine.ts is the real one).
import { javaVersionMin } from "./java.ts";
import { envNames, givenAddress, serviceNames, shown, type Env } from "./service-names.ts";
import type { ServiceName } from "./service-names.ts";
import type { ServiceRecord, StackFile } from "./stack-file.ts";
import { addressOf } from "./status.ts";

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

function checkNode({ machine }: Checkup): Finding {
  const [major = 0, minor = 0] = machine.nodeVersion.replace(/^v/, "").split(".").map(Number);
  const check = "Node.js";
  const isNew = major > 22 || (major === 22 && minor >= 18);
  if (isNew) return { check, verdict: "fine", detail: machine.nodeVersion };
  const detail = `${machine.nodeVersion}, needed 22.18 or newer`;
  return { check, verdict: "missing", detail, fix: "npm ci, then: npx millrace doctor" };
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
  const check = "Java";
  const major = await machine.javaMajor();
  if (major !== null && major >= javaVersionMin) {
    return { check, verdict: "fine", detail: String(major) };
  }
  const fix = installOf(machine, "openjdk-17-jre-headless", "openjdk@17");
  const detail =
    major === null ? "not found" : `${String(major)}, needed ${String(javaVersionMin)}`;
  return { check, verdict: "missing", detail, fix };
}

function checkMaven(machine: Machine, wanted: readonly string[]): Finding {
  const check = "Maven";
  if (wanted.length === 0) return { check, verdict: "fine", detail: "not needed any more" };
  const detail = `fetches ${wanted.join(", ")}`;
  if (machine.hasProgram("mvn")) return { check, verdict: "fine", detail };
  return { check, verdict: "missing", detail, fix: installOf(machine, "maven", "maven") };
}

function checkRedis(machine: Machine, hasRedis: boolean): Finding {
  const check = "Redis";
  if (hasRedis) return { check, verdict: "fine", detail: "redis-server" };
  if (machine.isFetched("redis")) return { check, verdict: "fine", detail: "fetched" };
  if (machine.hasProgram("mvn")) return { check, verdict: "fine", detail: "will be fetched" };
  const fix = installOf(machine, "redis-server", "redis");
  return { check, verdict: "missing", detail: "neither redis-server nor Maven", fix };
}

async function checkPostgres(machine: Machine): Promise<Finding> {
  const check = "Postgres";
  const folder = await machine.postgresFolder();
  if (folder !== null) return { check, verdict: "fine", detail: folder };
  const fix = installOf(machine, "postgresql", "postgresql@17");
  return { check, verdict: "missing", detail: "no initdb and postgres", fix };
}

async function checkPorts({ machine }: Checkup): Promise<Finding> {
  const check = "loopback ports";
  if (await machine.canListen()) return { check, verdict: "fine", detail: "can be opened" };
  const fix = "allow this user to listen on 127.0.0.1";
  return { check, verdict: "missing", detail: "none could be opened", fix };
}

/** An address that does not answer, or a process of stack.json that is gone. */
async function checkService(name: ServiceName, checkup: Checkup): Promise<Finding> {
  const { env, file, machine } = checkup;
  const { address, from } = addressOf(name, file, env);
  if (address === undefined) {
    return { check: name, verdict: "fine", detail: "not started (npx millrace up)" };
  }
  const process = from === "stack" ? file.services[name]?.process : undefined;
  if (process !== undefined && process !== null && !machine.isRunning(process)) {
    const detail = `stack.json names pid ${String(process.pid)}, which is gone`;
    return { check: name, verdict: "unreachable", detail, fix: "npx millrace up" };
  }
  const where = `${shown(address)} (${from})`;
  if (await machine.answers(name, address, from === "environment" ? env : {})) {
    return { check: name, verdict: "fine", detail: where };
  }
  return {
    check: name,
    verdict: "unreachable",
    detail: `${where} does not answer`,
    fix: fixOf(name, from),
  };
}

function fixOf(name: ServiceName, from: "environment" | "stack" | "docker" | "nowhere"): string {
  if (from === "environment")
    return `start it, or correct ${envNames[name]}, or: unset ${envNames[name]}`;
  return from === "docker" ? "npx millrace up --docker" : "npx millrace up";
}

function installOf(machine: Machine, debian: string, brew: string): string {
  if (machine.hasProgram("apt-get")) return `apt-get install -y ${debian}`;
  if (machine.hasProgram("brew")) return `brew install ${brew}`;
  return `install ${debian} with your package manager`;
}
