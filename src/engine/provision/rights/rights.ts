// The rights that a pipeline needs, for three roles: a worker runs it, an operator makes its topics and tables, works on
// letters, offsets and state and reprocesses it, a reader looks. Pure; docs/rights.md says how they are given.
import type { Plan } from "../../core/plan.ts";
import { keyPatterns, readingCommands, writingCommands } from "../../clients/redis/access.ts";
import { kafkaGrants, type KafkaGrant, type KafkaNames } from "./kafka.ts";
import { tableGrants } from "./postgres.ts";
import { unknownWriters } from "./writers.ts";

export type Role = "worker" | "operator" | "reader";
export const ROLES: readonly Role[] = ["worker", "operator", "reader"];

export interface RedisGrant {
  readonly keys: readonly string[];
  readonly commands: readonly string[];
}

/** Everything that one role of one pipeline needs. */
export interface Rights {
  readonly pipeline: string;
  readonly role: Role;
  readonly user: string;
  readonly kafka: readonly KafkaGrant[];
  /** Pipelines that write a topic of this one and are declared elsewhere: a worker needs Describe on what they read too. */
  readonly unknownWriters: readonly string[];
  /** Null for a pipeline without state in Redis. */
  readonly redis: RedisGrant | null;
  /** SQL. Of worker and reader, to be run when the tables are there. */
  readonly postgres: readonly string[];
}

export function rightsOf(plan: Plan, role: Role, user: string, names: KafkaNames): Rights {
  return {
    pipeline: plan.pipeline,
    role,
    user,
    kafka: kafkaGrants(plan, role, names),
    unknownWriters: role === "worker" ? unknownWriters(plan, names.plans) : [],
    redis: redisGrant(plan, role),
    postgres: tableGrants(plan, role, user),
  };
}

function redisGrant({ options, parts, namespace, pipeline }: Plan, role: Role): RedisGrant | null {
  if (options.state !== "redis" || parts.every(({ stores }) => stores.length === 0)) return null;
  return {
    keys: keyPatterns(`${namespace}${pipeline}`),
    commands: role === "reader" ? readingCommands : writingCommands,
  };
}
