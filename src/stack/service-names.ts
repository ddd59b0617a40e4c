// A server of the local stack: where it lives, how it is launched, how one sees that it answers.
// The four are kafka.ts, registry.ts, redis.ts and postgres.ts; stack.ts runs them.
import { readFileSync } from "node:fs";
import { ConfigError } from "../engine/core/errors.ts";

export type ServiceName = "kafka" | "registry" | "redis" | "postgres";

/** The variable that carries each service's address; set by the user, it wins over a server of ours. */
export const envNames = {
  kafka: "KAFKA_BROKERS",
  registry: "SCHEMA_REGISTRY_URL",
  redis: "REDIS_URL",
  postgres: "DATABASE_URL",
} as const satisfies Record<ServiceName, string>;
export const serviceNames: readonly ServiceName[] = ["kafka", "registry", "redis", "postgres"];

export type Env = Readonly<Record<string, string | undefined>>;
export type Say = (line: string) => void;

/** The folders, ports and settings of one service of one stack. */
export interface Place {
  /** Data and configuration, kept until `down --purge`. */
  readonly home: string;
  readonly ports: readonly number[];
  /** Downloads, shared by all stacks. */
  readonly cache: string;
  readonly env: Env;
  readonly say: Say;
  /** False: Postgres skips fsync, and Redis is open. For tests only, which lose nothing with the machine. */
  readonly durable: boolean;
}

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Env;
  /** Another user to run as, when ours is root and the server refuses that. */
  readonly user?: { readonly uid: number; readonly gid: number };
}

export interface Service {
  readonly name: ServiceName;
  readonly portCount: number;
  /** The signal that ends it in good order. */
  readonly stopSignal: NodeJS.Signals;
  /** Words in its log after which an early death is tried again: the last process is not quite gone. */
  readonly retryOn?: RegExp;
  /** Returns its data folder, if that is not `<dir>/<name>`; `known` is the folder so far. */
  home?(wanted: string, known: string | undefined): string;
  /** Fetches and configures what is missing; safe to repeat. */
  prepare(place: Place): Promise<Launch>;
  address(place: Place): string;
  /** Resolves with a version (or "") when it answers, rejects when it does not. */
  probe(address: string, env: Env): Promise<string>;
  /** Does what remains to be done once the server answers; safe to repeat. */
  settle?(place: Place): Promise<void>;
}

/** The address that the environment gives, itself or in the file that `*_FILE` names. */
export function givenAddress(name: ServiceName, env: Env): string | undefined {
  const direct = env[envNames[name]];
  if (direct !== undefined && direct !== "") return direct;
  const variable = `${envNames[name]}_FILE`;
  const file = env[variable];
  if (file === undefined || file === "") return undefined;
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    // Without the path, which may be the secret itself, given under the wrong name.
    const { code = "no code" } = error as NodeJS.ErrnoException;
    const detail = `${variable}: expected the path of a file that can be read, received another text (${code})`;
    throw new ConfigError("MILL_CONFIG_INVALID", detail);
  }
}

/** The environment that a server inherits: paths and locale, none of the user's settings or secrets. */
export function childEnv(env: Env, extra: Env = {}): Env {
  const kept = ["PATH", "HOME", "LANG", "JAVA_HOME", "TMPDIR"];
  return { ...Object.fromEntries(kept.map((name) => [name, env[name]])), ...extra };
}
