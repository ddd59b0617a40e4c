// A Redis that a test may stop, fill, wipe and reconfigure; and a proxy in front of it that misbehaves on demand.
import { Redis } from "ioredis";
import { redisCopies, type RedisCopiesOptions } from "../../../src/engine/clients/redis/copies.ts";
import type { StateCopies, StoreId } from "../../../src/engine/core/state.ts";
import { systemRandom } from "../../../src/engine/runtime/host/system.ts";
import { FaultProxy } from "../../support/fault-proxy.ts";
import { privateStack } from "../../support/stack.ts";

export interface OwnRedis {
  readonly dir: string;
  readonly pid: number;
  readonly url: string;
  readonly proxy: FaultProxy;
  /** For what a test does to Redis behind our back. */
  readonly admin: Redis;
  /** The key of a store's copy, written out here a second time: other programs rely on it. */
  keyOf(store: StoreId): string;
  /** Straight to Redis, or through the proxy; closed with the fixture. */
  copies(options?: Partial<RedisCopiesOptions>): StateCopies;
  copiesThroughProxy(options?: Partial<RedisCopiesOptions>): StateCopies;
  close(): Promise<void>;
}

export async function ownRedis(): Promise<OwnRedis> {
  const { dir, pids, redis } = await privateStack(["redis"]);
  const { proxy, url: proxied } = await FaultProxy.forUrl(redis.url);
  const admin = new Redis(redis.url);
  admin.on("error", () => undefined);
  const open: StateCopies[] = [];
  const copiesOf = (url: string, options: Partial<RedisCopiesOptions> = {}): StateCopies => {
    const copies = redisCopies({ url, random: systemRandom, ...options });
    open.push(copies);
    return copies;
  };
  return {
    dir,
    pid: pids.redis ?? 0,
    url: redis.url,
    proxy,
    admin,
    keyOf: ({ prefix, store, partition }) => `{${prefix}:${store}:${String(partition)}}`,
    copies: (options) => copiesOf(redis.url, options),
    copiesThroughProxy: (options) => copiesOf(proxied, options),
    close: async () => {
      for (const copies of open) await copies.close();
      admin.disconnect();
      await proxy.close();
    },
  };
}
