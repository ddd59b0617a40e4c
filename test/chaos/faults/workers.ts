// What happens to workers: killed, asked to leave, standing still, blocked, out of memory, caught in mid-commit, coming
// and going without end.
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/eventually.ts";
import type { WorkerProcess } from "../../support/worker-process.ts";
import type { Crew } from "../world/crew.ts";
import { isRequest } from "../world/kafka-frames.ts";
import { SESSION_MS, type World } from "../world/world.ts";
import { between, once, type Fault } from "./fault.ts";

const STORM_MS = 30_000;
const STORM_BEAT_MS = 3_000;
const STORM_GUESTS = 4;

const killed: Fault = {
  row: 1,
  name: "worker killed",
  how: "SIGKILL at a random moment; another process starts up to 2 s later",
  brokers: 1,
  async inject({ crew }, random) {
    const victim = crew.pick(random.next());
    const exit = await crew.end(victim, "SIGKILL");
    const endedMs = performance.now();
    await delay(random.next() * 2_000);
    await crew.start();
    return once(exit.signal === "SIGKILL", `signal ${String(exit.signal)}`, endedMs);
  },
};

const drained: Fault = {
  row: 2,
  name: "worker asked to leave",
  how: "SIGTERM or SIGINT; it must drain and exit with 0",
  brokers: 1,
  async inject({ crew }, random) {
    const endedMs = performance.now();
    const leaver = crew.pick(random.next());
    const exit = await crew.end(leaver, random.next() < 0.5 ? "SIGTERM" : "SIGINT");
    await crew.start();
    return once(exit.code === 0, `exit code ${String(exit.code)}`, endedMs);
  },
};

const tasksOf = async (worker: WorkerProcess): Promise<number> =>
  (await worker.health())?.tasks.filter(({ state }) => state === "running").length ?? 0;

/** Until the others have what it had; false when they never do. */
async function isReplaced(
  { crew }: World,
  sleeper: WorkerProcess,
  tasks: number,
): Promise<boolean> {
  const others = crew.members.filter((one) => one !== sleeper);
  const look = async (): Promise<true | null> => {
    const counts = await Promise.all(others.map(tasksOf));
    return counts.reduce((a, b) => a + b, 0) >= tasks ? true : null;
  };
  return eventually("others take over", look).catch(() => false);
}

const stopped: Fault = {
  row: 3,
  name: "zombie",
  how: "SIGSTOP past the session, until others have every task; then SIGCONT",
  brokers: 1,
  async inject(world, random) {
    const { crew } = world;
    const tasks = (await Promise.all(crew.members.map(tasksOf))).reduce((a, b) => a + b, 0);
    const zombie = crew.pick(random.next());
    zombie.kill("SIGSTOP");
    await delay(SESSION_MS);
    const isTaken = await isReplaced(world, zombie, tasks);
    zombie.kill("SIGCONT");
    const endedMs = performance.now();
    await eventually("the zombie is a member again", async () =>
      (await tasksOf(zombie)) > 0 ? true : null,
    );
    return once(isTaken, isTaken ? "its tasks were taken over" : "kept its tasks", endedMs);
  },
};

async function makeTrouble(world: World, trouble: "block" | "memory"): Promise<boolean> {
  const file = join(world.troubleFolder, trouble);
  writeFileSync(file, "");
  await world.traffic.inject([{ fate: "good", order: { note: trouble } }]);
  return eventually("the trouble begins", () => (existsSync(file) ? null : true)).catch(
    () => false,
  );
}

const blocked: Fault = {
  row: 4,
  name: "event loop blocked",
  how: "a step that runs for 6 s, twice the session",
  brokers: 1,
  async inject(world) {
    const hasBegun = await makeTrouble(world, "block");
    await delay(6_000);
    return once(hasBegun, "the step has begun");
  },
};

const outOfMemory: Fault = {
  row: 5,
  name: "worker out of memory",
  how: "a step that eats the heap (320 MB) until the process dies; another one starts",
  brokers: 1,
  async inject(world) {
    const { crew } = world;
    const before = [...crew.members];
    for (const worker of before) crew.expectEnd(worker);
    const hasBegun = await makeTrouble(world, "memory");
    const dead = await eventually("it dies", () => before.find(({ hasEnded }) => hasEnded));
    const endedMs = performance.now();
    const exit = await dead.exit;
    for (const worker of before) if (worker !== dead) crew.forgive(worker);
    await crew.start();
    const end = `signal ${String(exit.signal)}, code ${String(exit.code)}`;
    return once(hasBegun && exit.code !== 0, end, endedMs);
  },
};

/** Between sending and committing: the request to commit vanishes, and everybody who could send it again is gone. */
const hanging: Fault = {
  row: 9,
  name: "hanging transactions",
  how: "the request to commit is swallowed and its sender killed; a foreign producer leaves records open for 8 s",
  brokers: 1,
  async inject(world, random) {
    const { servers, crew, checking, app } = world;
    const { proxies } = servers.cluster;
    const count = (): number => proxies.reduce((sum, { counts }) => sum + counts.cuts, 0);
    const before = count();
    for (const proxy of proxies)
      proxy.cutOnce({
        direction: "to-server",
        at: isRequest("endTxn"),
        forward: false,
        isSilent: true,
      });
    await eventually("a request to commit is swallowed", () => (count() > before ? true : null));
    const all = [...crew.members];
    const exits = await Promise.all(all.map((worker) => crew.end(worker, "SIGKILL")));
    for (const proxy of proxies) proxy.cutNone();
    const endedMs = performance.now();
    while (crew.members.length < exits.length) await crew.start();
    const { kafka } = checking.clients;
    const transactionalId = `${world.prefix}-foreign-${String(between(random, 0, 1e9))}`;
    const producer = kafka.txProducer({ transactionalId, timeoutMs: 8_000 });
    await producer.init();
    producer.begin();
    const value = world.traffic.foreign();
    const at = { topic: app.orders.name, key: null, headers: [], timestamp: Date.now() };
    const sent = await producer.send(
      [0, 1, 2, 3].map((partition) => ({ ...at, partition, value })),
    );
    const held = await Promise.all(
      sent.map(async ({ partition, baseOffset }) => {
        const from = { topic: app.orders.name, partition, fromOffset: baseOffset ?? 0n };
        const reader = kafka.reader({ ...from, maxWaitMs: 100 });
        const { lastStableOffset, highWatermark } = await reader.read();
        await reader.close();
        return lastStableOffset <= (baseOffset ?? 0n) && highWatermark > lastStableOffset;
      }),
    );
    return {
      planned: 1 + sent.length,
      fired: Math.min(1, count() - before) + held.filter(Boolean).length,
      endedMs,
      note: `${String(exits.length)} workers killed before a commit, ${String(held.length)} partitions held up`,
    };
  },
};

/** A kill is over at once; who drains may take longer than the storm waits. */
async function parted(
  crew: Crew,
  guest: WorkerProcess,
  signal: "SIGKILL" | "SIGTERM",
): Promise<void> {
  const ended = crew.end(guest, signal);
  if (signal === "SIGKILL") await ended;
}

const storm: Fault = {
  row: 41,
  name: "rebalance storm",
  how: "up to four more workers that come, leave and die at random every 3 s for 30 s",
  brokers: 1,
  async inject(world, random) {
    const { crew, checking, app } = world;
    const guests: WorkerProcess[] = [];
    const endBefore = await checking.end(app.clean.name);
    let planned = 0;
    let fired = 0;
    for (const until = performance.now() + STORM_MS; performance.now() < until;) {
      const leaves = guests.length === STORM_GUESTS || random.next() < 0.4;
      const [guest] = leaves ? guests.splice(between(random, 0, guests.length - 1), 1) : [];
      planned++;
      if (guest === undefined) guests.push(await crew.start());
      else await parted(crew, guest, random.next() < 0.5 ? "SIGKILL" : "SIGTERM");
      fired++;
      await delay(STORM_BEAT_MS);
    }
    const hasMoved = (await checking.end(app.clean.name)) > endBefore;
    await Promise.all(guests.map((guest) => crew.end(guest, "SIGTERM")));
    const note = `${String(fired)} came or went, ${hasMoved ? "and work went on" : "and nothing moved"}`;
    return { planned, fired: hasMoved ? fired : 0, note };
  },
};

export const workerFaults: readonly Fault[] = [
  killed,
  drained,
  stopped,
  blocked,
  outOfMemory,
  hanging,
  storm,
];
