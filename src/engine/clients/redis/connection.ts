// A connection to Redis, kept up: a command is answered, or fails within its deadline and is never sent again by
// itself. No database is used but the one that was named. This file knows nothing of stores.
import { Redis } from "ioredis";
import { assert, ConfigError } from "../../core/errors.ts";
import { shownAddress } from "../../core/shown-address.ts";
import type { Random } from "../../core/ports.ts";
import { isDemoted, isTimeout, isUnwritable, translate, unavailable } from "./fault.ts";
import type { Script } from "./scripts.ts";

export interface RedisConnectionOptions {
  /** redis://user:password@host:port/database, or rediss:// for TLS. */
  readonly url: string;
  readonly random: Random;
  /** For a connection to come up, and again for each answer. */
  readonly commandTimeoutMs?: number;
}

type Argument = string | Buffer | number;

export class RedisConnection {
  /** host:port/database, for messages. */
  readonly address: string;
  readonly #redis: Redis;
  readonly #timeoutMs: number;
  #isClosed = false;
  #comingUp: Promise<void> | undefined;
  /** The error of the newest connection, or of the attempt to make it. */
  #fault: Error | null = null;

  constructor({ url, random, commandTimeoutMs = 5_000 }: RedisConnectionOptions) {
    const parsed = parseUrl(url);
    const port = parsed.port || "6379";
    this.address = shownAddress(`${parsed.hostname}:${port}/${String(databaseOf(parsed))}`);
    this.#timeoutMs = commandTimeoutMs;
    this.#redis = new Redis({
      host: parsed.hostname.replace(/^\[|\]$/g, ""),
      port: Number(port),
      username: decodeURIComponent(parsed.username),
      password: decodeURIComponent(parsed.password),
      db: databaseOf(parsed),
      ...(parsed.protocol === "rediss:" ? { tls: {} } : {}),
      lazyConnect: true,
      disableClientInfo: true,
      keepAlive: 30_000,
      connectTimeout: commandTimeoutMs,
      commandTimeout: commandTimeoutMs,
      // A command without an answer fails at once; the caller finds out whether it was carried out.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (tries) => backoffMs(tries) * (0.5 + random.next() / 2),
    });
    this.#redis.on("connect", () => (this.#fault = null));
    this.#redis.on("error", (error) => {
      this.#fault = error;
      this.#refuseHalfOpen(error);
    });
  }

  /** Runs commands, and translates what goes wrong with them. `key` is for the message. */
  async run<R>(key: string, work: (redis: Redis) => Promise<R>): Promise<R> {
    const where = key === "" ? `at ${this.address}` : `${key} at ${this.address}`;
    try {
      await this.#whenReady();
      return await work(this.#redis);
    } catch (error) {
      if (isTimeout(error) || isDemoted(error)) this.#reconnect();
      throw translate(isUnwritable(error) ? (this.#fault ?? error) : error, where);
    }
  }

  /** Runs a script by its hash; where Redis does not know it (any more), by its text. Replies are Buffers. */
  async script(
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
  ): Promise<unknown> {
    return this.run(keys[0] ?? "", async (redis) => {
      const rest = [keys.length, ...keys, ...args];
      try {
        return await redis.callBuffer("evalsha", script.sha, ...rest);
      } catch (error) {
        if (!isUnknownScript(error)) throw error;
        return redis.callBuffer("eval", script.lua, ...rest);
      }
    });
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#redis.disconnect();
    return Promise.resolve();
  }

  #whenReady(): Promise<void> {
    assert(!this.#isClosed, "Redis is used after it was closed");
    if (this.#redis.status === "ready") return Promise.resolve();
    this.#comingUp ??= this.#comeUp().finally(() => (this.#comingUp = undefined));
    return this.#comingUp;
  }

  /** The next attempt to connect decides. */
  #comeUp(): Promise<void> {
    const redis = this.#redis;
    return new Promise<void>((resolve, reject) => {
      const settle = (outcome: () => void) => () => {
        clearTimeout(timer);
        redis.off("ready", onReady);
        for (const event of ["error", "close", "end"]) redis.off(event, onFault);
        outcome();
      };
      const fail = (detail: string) =>
        settle(() => reject(this.#fault ?? unavailable(detail, `at ${this.address}`)));
      const timer = setTimeout(fail("no connection in time"), this.#timeoutMs);
      const onReady = settle(resolve);
      const onFault = fail("the connection was lost");
      redis.once("ready", onReady);
      for (const event of ["error", "close", "end"]) redis.once(event, onFault);
      // `end`: an attempt was given up before it had begun. Events say how this one goes.
      if (redis.status === "wait" || redis.status === "end") redis.connect().catch(ignore);
    });
  }

  /** Commands without an answer may still be carried out; their answers are not waited for. */
  #reconnect(): void {
    if (this.#redis.status === "ready") this.#redis.disconnect(true);
  }

  /** ioredis goes on when SELECT or AUTH is refused: with another database, or as another user. */
  #refuseHalfOpen(error: Error): void {
    if (error.name === "ReplyError" && this.#redis.status !== "reconnecting")
      this.#redis.disconnect(true);
  }
}

const ignore = (): void => undefined;

const BACKOFF_MAX_MS = 2_000;
const backoffMs = (tries: number): number =>
  Math.min(BACKOFF_MAX_MS, 25 * 2 ** Math.min(tries, 10));

const isUnknownScript = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith("NOSCRIPT");

function parseUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const isFit =
    parsed !== null &&
    /^rediss?:$/.test(parsed.protocol) &&
    parsed.hostname !== "" &&
    parsed.search === "" &&
    /^\/?\d{0,5}$/.test(parsed.pathname);
  // The URL contains a password: it is not repeated.
  if (!isFit)
    throw new ConfigError(
      "MILL_CONFIG_INVALID",
      "REDIS_URL: expected redis://user:password@host:port/database, or rediss:// for TLS",
    );
  return parsed;
}

const databaseOf = (url: URL): number => Number(url.pathname.slice(1) || "0");
