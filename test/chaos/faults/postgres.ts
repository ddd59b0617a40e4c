// What happens to Postgres, which holds rows and progress of tables: down, read-only, locked, in a deadlock, its sessions
// ended, the answer to a commit lost.
import { setTimeout as delay } from "node:timers/promises";
import { startService, stopService } from "../../../src/stack/stack.ts";
import { eventually } from "../../support/eventually.ts";
import type { World } from "../world/world.ts";
import { once, type Fault } from "./fault.ts";

const retriesOf = ({ crew }: World): Promise<number> =>
  crew.metric("millrace_retries_total", { dependency: "postgres" });

/** Struck when workers have had to try again. */
async function retried(world: World, work: () => Promise<unknown>) {
  const before = await retriesOf(world);
  await work();
  const endedMs = performance.now();
  const look = async (): Promise<true | null> => ((await retriesOf(world)) > before ? true : null);
  const isSeen = await eventually("a retry", look, 10_000).catch(() => false);
  return once(isSeen, `${String((await retriesOf(world)) - before)} retries`, endedMs);
}

const SESSIONS = "datname = current_database() AND application_name = 'millrace'";
/** Of workers and of those who look on; both come back by themselves. */
const END_SESSIONS = `SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
  WHERE ${SESSIONS} AND pid <> pg_backend_pid()`;

const down: Fault = {
  row: 18,
  name: "Postgres down",
  how: "immediate shutdown (SIGQUIT), away for 2 to 10 s, restarted",
  brokers: 1,
  inject: (world, random) =>
    retried(world, async () => {
      const { dir } = world.servers.stack;
      await stopService(dir, "postgres", { signal: "SIGQUIT" });
      await delay(2_000 + random.next() * 8_000);
      await startService(dir, "postgres");
    }),
};

const readOnly: Fault = {
  row: 19,
  name: "Postgres read-only",
  how: "default_transaction_read_only for 6 s, as after a failover, and every session ended; then writable again",
  brokers: 1,
  inject: (world) =>
    retried(world, async () => {
      const { database } = world;
      const name = new URL(database.url).pathname.slice(1);
      const set = `ALTER DATABASE ${name} SET default_transaction_read_only = on`;
      await database.query(set);
      await database.query(END_SESSIONS);
      await delay(6_000);
      const client = await database.connect();
      await client.query("SET default_transaction_read_only = off");
      await client.query(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
      await client.end();
    }),
};

const deadlocksOf = async ({ database }: World): Promise<number> => {
  const text = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
  const [row] = await database.query<{ deadlocks: string }>(text);
  return Number(row?.deadlocks);
};

/**
 * Locks the greater key, waits until a worker that may hold the smaller one waits for it, then wants the smaller one: within
 * a second, after which the worker's session looks for a circle, once.
 */
async function rival({ database }: World): Promise<void> {
  const [client, onlooker] = await Promise.all([database.connect(), database.connect()]);
  try {
    // The rival looks for deadlocks last, so it is a worker that is cancelled.
    await client.query("SET deadlock_timeout = '20s'; SET lock_timeout = '3s'; BEGIN");
    const text = "SELECT shop FROM shop_totals WHERE shop LIKE 's%' ORDER BY shop";
    const shops = (await client.query<{ shop: string }>(text)).rows.map(({ shop }) => shop);
    const half = Math.floor(shops.length / 2);
    const lock = "SELECT FROM shop_totals WHERE shop = ANY($1) ORDER BY shop FOR UPDATE";
    await client.query(lock, [shops.slice(half)]);
    const waits = `SELECT FROM pg_stat_activity WHERE ${SESSIONS} AND wait_event_type = 'Lock'`;
    const giveUp = performance.now() + WAIT_MS;
    while ((await onlooker.query(waits)).rows.length === 0 && performance.now() < giveUp)
      await delay(5);
    await client.query(lock, [shops.slice(0, half)]);
  } catch (error) {
    // Nobody held what the rival wanted; it tries again.
    if ((error as { code?: string }).code !== "55P03") throw error;
  } finally {
    await client.query("ROLLBACK");
    await Promise.all([client.end(), onlooker.end()]);
  }
}

const WAIT_MS = 10_000;
const TRIES_MAX = 20;

const deadlock: Fault = {
  row: 21,
  name: "Postgres deadlock",
  how: "a rival locks rows in the opposite order until a worker's transaction is cancelled (40P01)",
  brokers: 1,
  async inject(world) {
    const before = await deadlocksOf(world);
    let tries = 0;
    while (tries < TRIES_MAX && (await deadlocksOf(world)) === before) {
      tries++;
      await rival(world);
      // Figures of the server are told with a delay.
      await delay(1_500);
    }
    const endedMs = performance.now();
    const count = (await deadlocksOf(world)) - before;
    return once(count > 0, `${String(count)} deadlocks in ${String(tries)} tries`, endedMs);
  },
};

const locked: Fault = {
  row: 23,
  name: "Postgres table locked",
  how: "LOCK TABLE for 14 s, longer than a worker's lock timeout (55P03)",
  brokers: 1,
  inject: (world) =>
    retried(world, async () => {
      const client = await world.database.connect();
      await client.query("BEGIN; LOCK TABLE order_rows IN ACCESS EXCLUSIVE MODE");
      await delay(14_000);
      await client.query("ROLLBACK");
      await client.end();
    }),
};

const terminated: Fault = {
  row: 24,
  name: "Postgres sessions ended",
  how: "pg_terminate_backend of every session, five times within 4 s (57P01)",
  brokers: 1,
  async inject({ database }) {
    let fired = 0;
    for (let i = 0; i < 5; i++) {
      const ended = await database.query<{ ended: boolean }>(END_SESSIONS);
      if (ended.some((row) => row.ended)) fired++;
      await delay(800);
    }
    return { planned: 5, fired, note: "sessions were ended each time" };
  },
};

const lostReply: Fault = {
  row: 25,
  name: "answer to COMMIT lost",
  how: "a proxy forwards COMMIT and cuts the connection, three times",
  brokers: 1,
  async inject({ servers }) {
    const { postgres } = servers;
    const before = postgres.cuts;
    for (let i = 1; i <= 3; i++) {
      postgres.cutOnce({ direction: "to-server", at: "COMMIT", forward: true });
      await eventually("a COMMIT passes", () => (postgres.cuts === before + i ? true : null));
      await delay(500);
    }
    return { planned: 3, fired: postgres.cuts - before, note: "cut behind COMMIT" };
  },
};

export const postgresFaults: readonly Fault[] = [
  down,
  readOnly,
  deadlock,
  locked,
  terminated,
  lostReply,
];
