// The four servers of a run, each behind a proxy: workers reach them through it, onlookers directly.
import { privateStack } from "../../support/stack.ts";
import { FaultProxy } from "../../support/fault-proxy.ts";
import { stopStack, type Stack } from "../../../src/stack/stack.ts";
import { Cluster } from "./cluster.ts";
import type { Home } from "./home.ts";

export interface Servers {
  readonly home: Home;
  readonly stack: Stack;
  readonly cluster: Cluster;
  readonly redis: FaultProxy;
  readonly postgres: FaultProxy;
  readonly registry: FaultProxy;
  /** Past the proxies. */
  readonly direct: Env;
  /** For workers. */
  readonly proxied: Env;
}

type Env = Readonly<
  Record<"KAFKA_BROKERS" | "SCHEMA_REGISTRY_URL" | "REDIS_URL" | "DATABASE_URL", string>
>;

export async function startServers(home: Home, brokers: 1 | 3): Promise<Servers> {
  const [stack, cluster] = await Promise.all([
    privateStack(["registry", "redis", "postgres"]),
    Cluster.start(home, brokers),
  ]);
  home.after(() => stopStack(stack.dir, () => undefined, { purge: true }));
  const [redis, postgres, registry] = await Promise.all(
    [stack.redis.url, stack.postgres.url, stack.registry.url].map((url) => FaultProxy.forUrl(url)),
  );
  if (redis === undefined || postgres === undefined || registry === undefined)
    throw new Error("a proxy is missing");
  for (const { proxy } of [redis, postgres, registry]) home.after(() => proxy.close());
  return {
    home,
    stack,
    cluster,
    redis: redis.proxy,
    postgres: postgres.proxy,
    registry: registry.proxy,
    direct: {
      KAFKA_BROKERS: cluster.addresses,
      SCHEMA_REGISTRY_URL: stack.registry.url,
      REDIS_URL: stack.redis.url,
      DATABASE_URL: stack.postgres.url,
    },
    proxied: {
      KAFKA_BROKERS: cluster.proxied,
      SCHEMA_REGISTRY_URL: registry.url,
      REDIS_URL: redis.url,
      DATABASE_URL: postgres.url,
    },
  };
}

/** The same server, another database. */
export function withDatabase(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = new URL(database).pathname;
  return other.href;
}
