// What happens to Redis, which holds copies of state: gone, emptied, set back in time, full, slow, replaced by a replica
// that had not heard everything.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { cacheOf } from "../../../src/stack/download.ts";
import { end, launch } from "../../../src/stack/process.ts";
import { redis as service } from "../../../src/stack/redis.ts";
import { readStackFile } from "../../../src/stack/stack-file.ts";
import { startService, stopService } from "../../../src/stack/stack.ts";
import { TIMERS } from "../../support/apps/chaos.ts";
import { copyKeys, cutLog, layAside, logSize, putBack } from "../../support/copies-behind.ts";
import { eventually } from "../../support/eventually.ts";
import { FaultProxy } from "../../support/fault-proxy.ts";
import { freePort } from "../../support/worker-process.ts";
import type { World } from "../world/world.ts";
import { between, once, type Fault, type Struck } from "./fault.ts";

const REPAIRS = "a copy of state was brought up";
const STORES = ["repeats", "shop-total", TIMERS] as const;

const keysOf = ({ summing }: World): string[] =>
  STORES.flatMap((store) => copyKeys(summing.plan, store));

/** Until a worker had to bring a copy up since then. */
const isRepaired = ({ crew }: World, since: number): Promise<boolean> =>
  eventually("a copy is brought up", () => (crew.said(REPAIRS, since) > 0 ? true : null), 90_000)
    .then(() => true)
    .catch(() => false);

async function repaired(world: World, work: () => Promise<string>): Promise<Struck> {
  const since = world.crew.spoken;
  const note = await work();
  const endedMs = performance.now();
  const isSeen = await isRepaired(world, since);
  const count = String(world.crew.said(REPAIRS, since));
  return once(isSeen, `${note}; ${count} copies brought up`, endedMs);
}

const homeOf = ({ servers }: World): string =>
  readStackFile(servers.stack.dir).services.redis?.home ?? "";

const killed: Fault = {
  row: 10,
  name: "Redis killed",
  how: "SIGKILL, away for 1 to 6 s, restarted with its log",
  brokers: 1,
  async inject({ servers, crew }, random) {
    const before = await crew.metric("millrace_retries_total", { dependency: "redis" });
    await stopService(servers.stack.dir, "redis", { signal: "SIGKILL" });
    await delay(1_000 + random.next() * 5_000);
    await startService(servers.stack.dir, "redis");
    const endedMs = performance.now();
    const after = await crew.metric("millrace_retries_total", { dependency: "redis" });
    return once(after > before, `${String(after - before)} retries`, endedMs);
  },
};

const wiped: Fault = {
  row: 11,
  name: "Redis wiped",
  how: "FLUSHALL while it is used",
  brokers: 1,
  inject: (world) =>
    repaired(world, async () => {
      await world.redis.flushall();
      return "emptied";
    }),
};

const restored: Fault = {
  row: 12,
  name: "Redis as it was before",
  how: "every copy set back to what it was 3 to 8 s ago, all at once",
  brokers: 1,
  inject: (world, random) =>
    repaired(world, async () => {
      await layAside(world.redis, keysOf(world));
      const ms = 3_000 + random.next() * 5_000;
      await delay(ms);
      await putBack(world.redis, keysOf(world));
      return `set back by ${String(Math.round(ms))} ms`;
    }),
};

const cut: Fault = {
  row: 13,
  name: "Redis lost the tail of its log",
  how: "SIGKILL, the last 20 to 200 kB of its log cut off, restarted",
  brokers: 1,
  inject: (world, random) =>
    repaired(world, async () => {
      const { dir } = world.servers.stack;
      const home = homeOf(world);
      await eventually("enough is written", () => (logSize(home) > 300_000 ? true : null));
      await stopService(dir, "redis", { signal: "SIGKILL" });
      const bytes = between(random, 20_000, 200_000);
      cutLog(home, bytes);
      await startService(dir, "redis");
      return `${String(bytes)} bytes cut off`;
    }),
};

/** A second server that follows the first through a proxy, so that it can be left behind. */
async function replicaOf(world: World): Promise<{ redis: Redis; port: number; link: FaultProxy }> {
  const { home, direct } = world.servers;
  const primary = new URL(direct.REDIS_URL);
  const link = await FaultProxy.start({ host: primary.hostname, port: Number(primary.port) });
  home.after(() => link.close());
  const port = await freePort();
  const dir = join(home.dir, `replica-${String(port)}`);
  mkdirSync(dir);
  const { env } = process;
  const place = { home: dir, ports: [port], cache: cacheOf(env), env, durable: false };
  const server = await launch(
    await service.prepare({ ...place, say: () => undefined }),
    join(dir, "server.log"),
  );
  home.keep(server);
  home.after(() => end(server, "SIGKILL", 0));
  const redis = new Redis(port, "127.0.0.1");
  redis.on("error", () => undefined);
  home.after(() => redis.disconnect());
  await redis.call("REPLICAOF", "127.0.0.1", String(link.port));
  await eventually("the replica has caught up", async () =>
    /master_link_status:up/.test(await redis.info("replication")) ? true : null,
  );
  return { redis, port, link };
}

const failedOver: Fault = {
  row: 14,
  name: "Redis failed over and back",
  how: "a replica misses 3 s and is promoted; 5 s later the old primary, which knows nothing of that, is back in place",
  brokers: 1,
  async inject(world) {
    const { servers } = world;
    const { redis, port, link } = await replicaOf(world);
    const primary = new URL(servers.direct.REDIS_URL);
    link.silence(true);
    await delay(3_000);
    const over = await repaired(world, async () => {
      await redis.call("REPLICAOF", "NO", "ONE");
      servers.redis.retarget({ host: "127.0.0.1", port });
      servers.redis.cutAll();
      return "failed over";
    });
    await delay(5_000);
    const back = await repaired(world, () => {
      servers.redis.retarget({ host: primary.hostname, port: Number(primary.port) });
      servers.redis.cutAll();
      return Promise.resolve("failed back");
    });
    const note = `${over.note}, ${back.note}`;
    return { ...back, planned: 2, fired: over.fired + back.fired, note };
  },
};

const full: Fault = {
  row: 15,
  name: "Redis full",
  how: "CONFIG SET maxmemory below what is used, 4 s, then raised again",
  brokers: 1,
  async inject({ redis, crew }) {
    const waits = async (): Promise<true | null> => {
      const healths = await Promise.all(crew.members.map((worker) => worker.health()));
      const tasks = healths.flatMap((health) => health?.tasks ?? []);
      return tasks.some((task) => task.state === "paused" && /redis/.test(task.why)) ? true : null;
    };
    await redis.config("SET", "maxmemory", "1mb");
    const isFull = await eventually("tasks wait for Redis", waits).catch(() => false);
    await delay(4_000);
    await redis.config("SET", "maxmemory", "0");
    return once(isFull, isFull ? "tasks waited" : "nobody waited");
  },
};

const slow: Fault = {
  row: 17,
  name: "Redis slow, then standing still",
  how: "500 ms of latency for 5 s, then SIGSTOP for 10 s",
  brokers: 1,
  async inject({ servers, crew }) {
    const { redis, stack } = servers;
    const shaped = redis.counts.shaped;
    const retries = await crew.metric("millrace_retries_total", { dependency: "redis" });
    redis.delay(500);
    await delay(5_000);
    redis.shape();
    const pid = readStackFile(stack.dir).services.redis?.process?.pid ?? 0;
    process.kill(pid, "SIGSTOP");
    await delay(10_000);
    process.kill(pid, "SIGCONT");
    const endedMs = performance.now();
    const more = (await crew.metric("millrace_retries_total", { dependency: "redis" })) - retries;
    const late = redis.counts.shaped - shaped;
    const note = `${String(late)} pieces late, ${String(more)} retries`;
    return { planned: 2, fired: (late > 0 ? 1 : 0) + (more > 0 ? 1 : 0), note, endedMs };
  },
};

export const redisFaults: readonly Fault[] = [killed, wiped, restored, cut, failedOver, full, slow];
