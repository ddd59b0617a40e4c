// The copies of a worker in one Redis, over one connection; and whether that Redis is fit for state.
import { ConfigError, type MillraceError } from "../../core/errors.ts";
import type { ErrorCode } from "../../core/error-table.ts";
import type { StateCopies, StateCopy, StoreId } from "../../core/state.ts";
import { RedisConnection, type RedisConnectionOptions } from "./connection.ts";
import { RedisCopy } from "./copy.ts";
import { copyKey } from "./layout.ts";

export interface RedisCopiesOptions extends RedisConnectionOptions {
  /** An abandoned rebuild vanishes this long after it was last written to. */
  readonly rebuildTtlMs?: number;
}

const REBUILD_TTL_MS = 30 * 60_000;

/** Connects at the first use. */
export function redisCopies(options: RedisCopiesOptions): StateCopies {
  const { random, rebuildTtlMs = REBUILD_TTL_MS } = options;
  const redis = new RedisConnection(options);
  return {
    copy: (id: StoreId): StateCopy => new RedisCopy(redis, copyKey(id), { random, rebuildTtlMs }),
    problems: async () => {
      const info = await redis.run("", (client) => client.info());
      return problemsOf(factsOf(info), redis.address);
    },
    close: () => redis.close(),
  };
}

/** INFO as pairs: CONFIG is often forbidden. */
function factsOf(info: string): ReadonlyMap<string, string> {
  const lines = info.split(/\r?\n/).filter((line) => /^\w+:/.test(line));
  return new Map(
    lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]),
  );
}

function problemsOf(facts: ReadonlyMap<string, string>, address: string): readonly MillraceError[] {
  const found: MillraceError[] = [];
  const fact = (name: string): string => facts.get(name) ?? "unknown";
  const unless = (isFit: boolean, code: ErrorCode, detail: string): void => {
    if (!isFit) found.push(new ConfigError(code, `${detail}, at ${address}`));
  };
  const version = fact("redis_version");
  const policy = fact("maxmemory_policy");
  unless(isRecent(version), "MILL_REDIS_VERSION", `version ${version}, expected 6.2 or later`);
  unless(policy === "noeviction", "MILL_REDIS_EVICTS", `maxmemory-policy is ${policy}`);
  unless(fact("role") === "master", "MILL_REDIS_REPLICA", `its role is ${fact("role")}`);
  unless(fact("cluster_enabled") === "0", "MILL_REDIS_CLUSTER", "cluster_enabled is not 0");
  return found;
}

function isRecent(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 6 || (major === 6 && minor >= 2);
}
