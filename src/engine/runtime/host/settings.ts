// Settings of a process, from the environment. Every secret may come from a file (`NAME_FILE`). All problems are
// reported together, before anything is connected.
import { readFileSync } from "node:fs";
import { z } from "zod";
import { ConfigError, ConfigErrors } from "../../core/errors.ts";
import { shownAddress } from "../../core/shown-address.ts";
import { BROKER_DEFAULTS, type TopicDefaults } from "../../core/own-topics.ts";
import { DEFAULT_PLAN_SETTINGS, type PlanSettings } from "../../core/plan-settings.ts";
import { address, brokers } from "./address.ts";
import { securityProblems } from "./security.ts";

export type Env = Readonly<Record<string, string | undefined>>;

const optional = z.string().min(1).optional();

/** Plans, and all that has a name in a server, are made under them. */
const nameShape = {
  MILLRACE_NAMESPACE: z
    .string()
    .regex(/^([a-z0-9]+[-.])?$/, { error: 'expected letters and digits that end in "-" or "."' })
    .default(DEFAULT_PLAN_SETTINGS.namespace),
  MILLRACE_TOPIC_PARTITIONS: z.coerce
    .number()
    .int()
    .min(1)
    .max(100_000)
    .default(DEFAULT_PLAN_SETTINGS.topicPartitions),
  MILLRACE_WORKER_PREFIX: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,59}$/, {
      error: "expected at most 60 lower-case letters, digits, dots, dashes and underscores",
    })
    .default("millrace"),
};

const shape = {
  KAFKA_BROKERS: brokers,
  KAFKA_SECURITY_PROTOCOL: z
    .enum(["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
    .default("PLAINTEXT"),
  KAFKA_SASL_MECHANISM: z.enum(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]).optional(),
  KAFKA_SASL_USERNAME: optional,
  KAFKA_SASL_PASSWORD: optional,
  KAFKA_SSL_CA: optional,
  KAFKA_SSL_CERT: optional,
  KAFKA_SSL_KEY: optional,
  SCHEMA_REGISTRY_URL: address({
    protocols: /^https?:$/,
    form: "http://host:port/path, or https://",
  }).optional(),
  SCHEMA_REGISTRY_USERNAME: optional,
  SCHEMA_REGISTRY_PASSWORD: optional,
  REDIS_URL: address({
    protocols: /^rediss?:$/,
    form: "redis://user:password@host:port/database, or rediss:// for TLS",
  }).optional(),
  DATABASE_URL: address({
    protocols: /^postgres(ql)?:$/,
    form: "postgres://user:password@host:port/database",
    hasParameters: true,
  }).optional(),
  ...nameShape,
  MILLRACE_LOG_LEVEL: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
  MILLRACE_HTTP_HOST: z.string().default("127.0.0.1"),
  MILLRACE_HTTP_PORT: z.coerce.number().int().min(0).max(65_535).optional(),
  MILLRACE_SESSION_TIMEOUT_MS: z.coerce.number().int().min(1_000).default(10_000),
  MILLRACE_CHECKPOINT_INTERVAL_MS: z.coerce.number().int().min(1).default(100),
  MILLRACE_PURGE_INTERVAL_MS: z.coerce.number().int().min(1_000).default(30_000),
  MILLRACE_SINK_PURGE_AFTER_MS: z.coerce.number().int().min(1_000).default(3_600_000),
  MILLRACE_BATCH_BYTES_MAX: z.coerce
    .number()
    .int()
    .min(1_048_576)
    .max(1_073_741_824)
    .default(134_217_728),
  MILLRACE_BATCH_GROWTH_MAX: z.coerce.number().int().min(1).max(100_000).default(100),
  MILLRACE_BREAKER: z
    .string()
    .regex(/^(on|off|(100|\d{1,2}(\.\d{1,3})?) ?%)$/, {
      error: "expected on, off, or the share of dead letters that halts, such as 20%",
    })
    .default("on"),
  MILLRACE_SLOW_RECORD_MS: z.coerce.number().int().min(100).max(600_000).default(1_000),
  MILLRACE_TOPIC_REPLICATION: z.coerce.number().int().min(1).max(32_767).optional(),
  MILLRACE_TOPIC_MIN_INSYNC: z.coerce.number().int().min(1).max(32_767).optional(),
};

/** The settings of a process; see the names above for defaults. */
export interface WorkerSettings {
  readonly KAFKA_BROKERS: readonly string[];
  readonly KAFKA_SECURITY_PROTOCOL: "PLAINTEXT" | "SSL" | "SASL_PLAINTEXT" | "SASL_SSL";
  readonly KAFKA_SASL_MECHANISM?: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" | undefined;
  readonly KAFKA_SASL_USERNAME?: string | undefined;
  readonly KAFKA_SASL_PASSWORD?: string | undefined;
  readonly KAFKA_SSL_CA?: string | undefined;
  readonly KAFKA_SSL_CERT?: string | undefined;
  readonly KAFKA_SSL_KEY?: string | undefined;
  /** Needed by pipelines and commands that read or write Avro. */
  readonly SCHEMA_REGISTRY_URL?: string | undefined;
  readonly SCHEMA_REGISTRY_USERNAME?: string | undefined;
  readonly SCHEMA_REGISTRY_PASSWORD?: string | undefined;
  /** Needed by pipelines whose state is in Redis. */
  readonly REDIS_URL?: string | undefined;
  /** Needed by pipelines that write tables, and by the reprocessor. */
  readonly DATABASE_URL?: string | undefined;
  readonly MILLRACE_NAMESPACE: string;
  /** Transactional ids of workers, and client ids, begin with the namespace and this name. */
  readonly MILLRACE_WORKER_PREFIX: string;
  readonly MILLRACE_LOG_LEVEL: "debug" | "info" | "warn" | "error" | "silent";
  readonly MILLRACE_HTTP_HOST: string;
  /** Not set: 9464, or a free one where that is taken. */
  readonly MILLRACE_HTTP_PORT?: number | undefined;
  readonly MILLRACE_SESSION_TIMEOUT_MS: number;
  readonly MILLRACE_CHECKPOINT_INTERVAL_MS: number;
  readonly MILLRACE_PURGE_INTERVAL_MS: number;
  /** A sink topic is purged only behind progress that Postgres has had for so long. */
  readonly MILLRACE_SINK_PURGE_AFTER_MS: number;
  /** The most that a compressed batch may become: bytes, and as a multiple of its topic's max.message.bytes. */
  readonly MILLRACE_BATCH_BYTES_MAX: number;
  readonly MILLRACE_BATCH_GROWTH_MAX: number;
  /** on, off, or a share such as 20%. */
  readonly MILLRACE_BREAKER: string;
  /** A record that keeps the event loop for so long is counted and named in the log. */
  readonly MILLRACE_SLOW_RECORD_MS: number;
  /** Of topics whose declaration does not say. */
  readonly MILLRACE_TOPIC_PARTITIONS: number;
  /** Of topics that Millrace makes; the brokers' own where it is not set. */
  readonly MILLRACE_TOPIC_REPLICATION?: number | undefined;
  readonly MILLRACE_TOPIC_MIN_INSYNC?: number | undefined;
}

const schema: z.ZodType<WorkerSettings> = z.object(shape).refine(
  // What the brokers would give a new topic is not known here, and may be too few to be written at all.
  ({ MILLRACE_TOPIC_REPLICATION: replicas = 1, MILLRACE_TOPIC_MIN_INSYNC: least = 1 }) =>
    least <= replicas,
  {
    path: ["MILLRACE_TOPIC_MIN_INSYNC"],
    error: "expected at most MILLRACE_TOPIC_REPLICATION, which must be set",
  },
);

export const topicDefaultsOf = (settings: WorkerSettings): TopicDefaults => ({
  replicationFactor: settings.MILLRACE_TOPIC_REPLICATION ?? BROKER_DEFAULTS.replicationFactor,
  minInsync: settings.MILLRACE_TOPIC_MIN_INSYNC ?? BROKER_DEFAULTS.minInsync,
});

type PlanShape = Pick<WorkerSettings, "MILLRACE_NAMESPACE" | "MILLRACE_TOPIC_PARTITIONS">;

/** Every way to a plan takes them from here. */
export const planSettingsOf = (settings: PlanShape): PlanSettings => ({
  namespace: settings.MILLRACE_NAMESPACE,
  topicPartitions: settings.MILLRACE_TOPIC_PARTITIONS,
});

/** For commands that connect to nothing: other settings need not be there. Throws ConfigErrors. */
export function readNameSettings(env: Env): PlanSettings & { readonly workerName: string } {
  const problems: ConfigError[] = [];
  const settings = parsedFrom(env, z.object(nameShape), Object.keys(nameShape), problems);
  if (problems.length > 0 || settings === undefined) throw new ConfigErrors(problems);
  return { ...planSettingsOf(settings), workerName: workerNameOf(settings) };
}

export function readPlanSettings(env: Env): PlanSettings {
  const { namespace, topicPartitions } = readNameSettings(env);
  return { namespace, topicPartitions };
}

/** The name that workers' transactional ids begin with; a dash and a random text follow. */
export const workerNameOf = (
  settings: Pick<WorkerSettings, "MILLRACE_NAMESPACE" | "MILLRACE_WORKER_PREFIX">,
): string => `${settings.MILLRACE_NAMESPACE}${settings.MILLRACE_WORKER_PREFIX}`;

/** Every name that is read; each may have _FILE behind it. */
export const settingNames: readonly string[] = Object.keys(shape);

/** Throws ConfigErrors with every problem. */
export function readSettings(env: Env): WorkerSettings {
  const problems: ConfigError[] = [];
  const settings = parsedFrom(env, schema, settingNames, problems);
  if (settings !== undefined)
    for (const detail of securityProblems(settings))
      problems.push(new ConfigError("MILL_CONFIG_INVALID", detail));
  if (problems.length > 0 || settings === undefined) throw new ConfigErrors(problems);
  return settings;
}

/** Reads each `NAME` or the file that `NAME_FILE` names; undefined when something is wrong, which is added to the problems. */
export function parsedFrom<T>(
  env: Env,
  of: z.ZodType<T>,
  names: readonly string[],
  problems: ConfigError[],
): T | undefined {
  const given: Record<string, string> = {};
  for (const name of names) {
    const value = valueOf(env, name, problems);
    if (value !== undefined && value !== "") given[name] = value;
  }
  const { data, error } = of.safeParse(given);
  for (const issue of error?.issues ?? []) problems.push(problemOf(issue, given));
  return data;
}

function valueOf(env: Env, name: string, problems: ConfigError[]): string | undefined {
  const file = env[`${name}_FILE`];
  if (file === undefined) return env[name];
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    // The system's own words quote the path, which may be the secret itself, given under the wrong name.
    const { code = "no code" } = error as NodeJS.ErrnoException;
    const detail = `${name}_FILE: expected the path of a file that can be read, received another text (${code})`;
    problems.push(new ConfigError("MILL_CONFIG_INVALID", detail));
    return undefined;
  }
}

const SET_IT = ". Set it, or start the local stack: npx millrace up";

/** The error of a setting that only some pipelines and commands need. */
export const settingMissing = (name: string, why: string): ConfigError =>
  new ConfigError("MILL_CONFIG_INVALID", `${name}: ${why}, received nothing${SET_IT}`);

/** Only names that are ours alone: a value of another one may be a secret, also of a resource or in the wrong place. */
const OPEN = /^MILLRACE_/;

function receivedText(name: string, value: string): string {
  if (OPEN.test(name)) return `"${value}"`;
  return name === "KAFKA_BROKERS" ? `"${shownAddress(value)}"` : "a value";
}

function problemOf(issue: z.core.$ZodIssue, given: Record<string, string>): ConfigError {
  const name = String(issue.path[0]);
  const value = given[name];
  const received = value === undefined ? "nothing" : receivedText(name, value);
  const next = value === undefined ? SET_IT : "";
  const detail = `${name}: ${issue.message}, received ${received}${next}`;
  return new ConfigError("MILL_CONFIG_INVALID", detail);
}
