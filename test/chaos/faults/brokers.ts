// What happens to brokers: one or all restarted under load, a leader, a coordinator or the controller killed, one that
// stands still while it leads.
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../../../src/engine/core/ports.ts";
import type { World } from "../world/world.ts";
import { coordinatorOf, copiesOf, inSync, leaderOf, controller } from "../world/cluster-roles.ts";
import { between, type Fault, type Struck } from "./fault.ts";

const STILL_MS = 40_000;
const KILLED_MS = 8_000;

/** Faults of brokers must cost no worker its life. */
async function sparing(world: World, work: () => Promise<Struck>): Promise<Struck> {
  const before = world.crew.members.map(({ pid }) => pid);
  const struck = await work();
  const after = world.crew.members.map(({ pid }) => pid);
  if (before.join() !== after.join()) throw new Error("a worker process has changed");
  return struck;
}

const restarted: Fault = {
  row: 7,
  name: "brokers restarted",
  how: "three restarts under load, by SIGTERM or SIGKILL; of three brokers one after another",
  brokers: 1,
  inject: (world, random) =>
    sparing(world, async () => {
      const { cluster } = world.servers;
      const notes: string[] = [];
      for (let i = 0; i < 3; i++) {
        const id = cluster.ids[i % cluster.ids.length] ?? 1;
        const signal = random.next() < 0.5 ? "SIGTERM" : "SIGKILL";
        const before = cluster.starts.join();
        await cluster.stop(id, signal);
        await delay(random.next() * 3_000);
        await cluster.start(id);
        if (cluster.starts.join() !== before) notes.push(`${String(id)} by ${signal}`);
        await inSync(world);
        await delay(2_000);
      }
      return { planned: 3, fired: notes.length, note: notes.join(", ") };
    }),
};

type Role = (world: World) => Promise<number>;
const roles: readonly (readonly [string, Role])[] = [
  ["leader of an input partition", leaderOf],
  ["coordinator of a group", (world) => coordinatorOf(world, "group")],
  ["coordinator of transactions", (world) => coordinatorOf(world, "transactions")],
  ["controller", controller],
];

/** Two of three are gone: what is acknowledged must lie in two places, so nothing is; then both come back. */
async function belowMinimum(world: World): Promise<boolean> {
  const { cluster } = world.servers;
  const { feeder } = world.traffic;
  const gone = cluster.ids.slice(0, 2);
  await Promise.all(gone.map((id) => cluster.stop(id, "SIGKILL")));
  // What was under way.
  await delay(2_000);
  const before = feeder.acknowledged.length;
  await delay(KILLED_MS);
  const hasWaited = feeder.acknowledged.length === before;
  await Promise.all(gone.map((id) => cluster.start(id)));
  await inSync(world);
  return hasWaited;
}

const killed: Fault = {
  row: 6,
  name: "broker killed",
  how: "SIGKILL of a leader, a group's and a transaction's coordinator and the controller in turn, each away for 8 s; then of two at once, fewer than min.insync.replicas",
  brokers: 3,
  inject: (world) =>
    sparing(world, async () => {
      const { cluster } = world.servers;
      const notes: string[] = [];
      const copies = await copiesOf(world);
      if (copies !== cluster.ids.length) throw new Error(`only ${String(copies)} copies`);
      for (const [name, find] of roles) {
        const id = await find(world);
        const before = cluster.starts.join();
        await cluster.stop(id, "SIGKILL");
        await delay(KILLED_MS);
        await cluster.start(id);
        if (cluster.starts.join() !== before) notes.push(`${name} (${String(id)})`);
        await inSync(world);
      }
      if (await belowMinimum(world)) notes.push("two at once: writes waited");
      return { planned: roles.length + 1, fired: notes.length, note: notes.join(", ") };
    }),
};

const still: Fault = {
  row: 8,
  name: "broker standing still",
  how: "SIGSTOP of a leader for 40 s, then SIGCONT",
  brokers: 3,
  inject: (world, random: Random) =>
    sparing(world, async () => {
      const { cluster } = world.servers;
      const id = between(random, 0, 1) === 0 ? await leaderOf(world) : await controller(world);
      cluster.signal(id, "SIGSTOP");
      let others = id;
      try {
        await delay(STILL_MS);
        // Others lead by now what it led.
        others = await leaderOf(world);
      } finally {
        cluster.signal(id, "SIGCONT");
      }
      const endedMs = performance.now();
      await inSync(world);
      const note = `broker ${String(id)} stood still, ${String(others)} leads`;
      return { planned: 1, fired: others !== id ? 1 : 0, note, endedMs };
    }),
};

export const brokerFaults: readonly Fault[] = [killed, restarted, still];
