// Lag on real servers: what a worker's metric and `millrace lag` say, beside a probe that knows when it has sent each record.
// The records' event times are a year old. Redis, a blocking call, Postgres, the gate, and the worker itself are in the way
// for a minute each, or for MILLRACE_TEST_AWAY_S. Takes about eight minutes: `npm run test:long`.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { startService, stopService, stopStack, type Stack } from "../../src/stack/stack.ts";
import { AppFigures } from "../support/app-figures.ts";
import { appCommand, appOf, applyApp } from "../support/app.ts";
import { calling, entries, storing, summing } from "../support/apps/lagging.ts";
import { eventually } from "../support/eventually.ts";
import { privateStack } from "../support/stack.ts";
import { bin, WorkerProcess } from "../support/worker-process.ts";

const YEAR_MS = 365 * 86_400_000;
const AWAY_MS = 1_000 * Number(process.env["MILLRACE_TEST_AWAY_S"] ?? "60");
const SEND_EVERY_MS = 250;
const SAMPLE_EVERY_MS = 1_000;
/** A worker looks at a partition that it does not fetch once a second, the command at each every two; a second is allowed beside. */
const OFF_S_MAX = { worker: 1 + 1, command: 1 + 2 } as const;

const folder = mkdtempSync(join(tmpdir(), "millrace-lag-"));
const stall = join(folder, "stall");
const app = appOf("lagging", { LAGGING_STALL: stall });
const parts = {
  calling: { figured: calling.plan(), part: "main" },
  summing: { figured: summing.plan(), part: "main" },
  storing: { figured: storing.plan(), part: "entry_rows" },
} as const;
type Name = keyof typeof parts;

interface Said {
  readonly atMs: number;
  readonly seconds: number;
}

/** Sends records, and knows when each was appended: in the time between its sending and its acknowledgement. */
class Probe {
  readonly #figures: AppFigures;
  readonly #ackedMs: number[] = [];
  readonly #committed = new Map<
    Name,
    readonly { readonly atMs: number; readonly next: number }[]
  >();
  #isOver = false;
  #sending: Promise<void> = Promise.resolve();

  constructor(figures: AppFigures) {
    this.#figures = figures;
  }

  start(): void {
    this.#sending = this.#send();
  }

  async #send(): Promise<void> {
    const producer = this.#figures.clients.kafka.producer();
    while (!this.#isOver) {
      const n = this.#ackedMs.length;
      const value = Buffer.from(JSON.stringify({ id: `e-${String(n)}`, n: 1 }));
      const at = { topic: entries.name, partition: 0, key: Buffer.from(`k-${String(n % 7)}`) };
      await producer.send([{ ...at, value, headers: [], timestamp: Date.now() - YEAR_MS }]);
      this.#ackedMs.push(Date.now());
      await delay(SEND_EVERY_MS);
    }
    await producer.close();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#sending;
  }

  get sent(): number {
    return this.#ackedMs.length;
  }

  /** Notes how far the part has committed by now. */
  see(name: Name, next: number): void {
    const before = this.#committed.get(name) ?? [];
    this.#committed.set(name, [...before, { atMs: Date.now(), next }]);
  }

  /** By how much something said at a moment is outside of what was true between the looks before and after it. */
  offBy(name: Name, { atMs, seconds }: Said): number {
    const looks = this.#committed.get(name) ?? [];
    const earlier = looks.findLast((look) => look.atMs <= atMs) ?? looks[0];
    const later = looks.find((look) => look.atMs >= atMs) ?? looks.at(-1);
    const truths = [earlier, later].map((look) => this.#truth(look?.next ?? 0, atMs));
    const [least, most] = [Math.min(...truths), Math.max(...truths)];
    return Math.max(0, least - seconds, seconds - most);
  }

  #truth(next: number, atMs: number): number {
    const ackedMs = this.#ackedMs[next];
    return ackedMs === undefined ? 0 : Math.max(0, atMs - ackedMs) / 1_000;
  }
}

let stack: Stack;
let worker: WorkerProcess;
let probe: Probe;
const figures = new Map<Name, AppFigures>();
const said: Record<"worker" | "command", Map<Name, Said[]>> = {
  worker: new Map(),
  command: new Map(),
};
const note = (by: "worker" | "command", name: Name, seconds: number): void => {
  const all = said[by].get(name) ?? [];
  said[by].set(name, [...all, { atMs: Date.now(), seconds }]);
};

before(async () => {
  stack = await privateStack();
  await applyApp(app, stack.env);
  for (const name of Object.keys(parts) as Name[])
    figures.set(name, new AppFigures(parts[name].figured, stack.env));
  probe = new Probe(figures.get("calling") as AppFigures);
});
after(async () => {
  await probe.stop();
  for (const one of figures.values()) await one.close();
  await stopStack(stack.dir, () => undefined, { purge: true });
  rmSync(folder, { recursive: true });
});

/** What the group has committed: of a table it is the hint, which can be read while its database is away. */
async function look(name: Name): Promise<number> {
  const { admin, plan } = figures.get(name) as AppFigures;
  const { group = "" } = plan.parts.find(({ name: part }) => part === parts[name].part) ?? {};
  const [own] = await admin.committed(group, [{ topic: entries.name, partition: 0 }], {
    stable: true,
  });
  const next = Number(own?.nextOffset ?? 0n);
  probe.see(name, next);
  return next;
}

async function sample(name: Name): Promise<void> {
  await look(name);
  const metrics = await worker.metrics().catch(() => null);
  const { part, figured } = parts[name];
  const labels = { pipeline: figured.pipeline, part, topic: entries.name, partition: "0" };
  if (metrics !== null) note("worker", name, metrics.sum("millrace_lag_seconds", labels));
  await look(name);
}

/** `millrace lag --watch --json`, as an exporter would run it. */
function watchLag(t: TestContext): void {
  const args = [...app.execArgv, bin, "lag", "--watch", "--json"];
  const env = { ...process.env, ...stack.env, ...app.env };
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "ignore"] });
  t.after(() => child.kill("SIGKILL"));
  createInterface({ input: child.stdout }).on("line", (line) => {
    const lag = JSON.parse(line) as { pipeline: Name; topic: string; seconds: number };
    if (lag.topic === entries.name) note("command", lag.pipeline, lag.seconds);
  });
}

async function caughtUp(name: Name): Promise<void> {
  await eventually(
    `${name} has caught up`,
    async () => ((await look(name)) >= probe.sent - 4 ? true : null),
    120_000,
  );
}

const medianOf = (all: readonly number[]): number =>
  all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? NaN;

/** What was said from a moment on: how far off it was, and the greatest of it. */
function judge(
  t: TestContext,
  what: string,
  by: "worker" | "command",
  name: Name,
  sinceMs: number,
) {
  const own = (said[by].get(name) ?? []).filter(({ atMs }) => atMs >= sinceMs);
  const off = own.map((one) => probe.offBy(name, one));
  const [median, worst] = [medianOf(off), Math.max(...off)];
  const most = Math.max(...own.map(({ seconds }) => seconds));
  t.diagnostic(
    `${what}: ${by} said ${String(own.length)} times, up to ${most.toFixed(1)} s; off by ${median.toFixed(2)} s (median), ${worst.toFixed(2)} s (worst)`,
  );
  assert.ok(own.length > AWAY_MS / 4_000, `${what}: ${by} said it ${String(own.length)} times`);
  assert.ok(most > (0.8 * AWAY_MS) / 1_000, `${what}: ${by} said ${String(most)} s at most`);
  assert.ok(median <= OFF_S_MAX[by], `${what}: ${by} is off by ${String(median)} s`);
}

interface Trouble {
  readonly what: string;
  readonly name: Name;
  readonly by?: readonly ("worker" | "command")[];
  begin(): Promise<unknown>;
  end(t: TestContext): Promise<unknown>;
}

const BOTH = ["worker", "command"] as const;

const millrace = async (...argv: string[]): Promise<void> => {
  const { code, out } = await appCommand(app, argv, stack.env);
  assert.ok(code === 0 || code === 1, `${argv.join(" ")}: ${out}`);
};

const start = async (t: TestContext): Promise<void> => {
  worker = await WorkerProcess.start(t, { args: [], env: stack.env, app });
  await worker.ready();
};

const troubles: readonly Trouble[] = [
  {
    what: "Redis is away",
    name: "summing",
    begin: () => stopService(stack.dir, "redis"),
    end: () => startService(stack.dir, "redis"),
  },
  {
    what: "a call blocks",
    name: "calling",
    begin: () => Promise.resolve(writeFileSync(stall, "")),
    end: () => Promise.resolve(existsSync(stall) && rmSync(stall)),
  },
  {
    what: "Postgres is away",
    name: "storing",
    begin: () => stopService(stack.dir, "postgres"),
    end: () => startService(stack.dir, "postgres"),
  },
  {
    what: "the gate is shut",
    name: "calling",
    begin: () => millrace("drain", "calling", "--wait", "0"),
    end: () => millrace("resume", "calling"),
  },
  {
    what: "no worker runs",
    name: "summing",
    by: ["command"],
    begin: () => worker.drain(),
    end: (t) => start(t),
  },
];

test("lag is how long ago the oldest uncommitted record was appended, whatever is in the way", async (t) => {
  await start(t);
  probe.start();
  watchLag(t);
  // What was appended before its first look it knows "at least" only.
  await eventually("the command looks", () =>
    (said.command.get("summing") ?? []).length > 2 ? true : null,
  );
  for (const { name } of troubles) await caughtUp(name);
  const wrong: unknown[] = [];
  for (const { what, name, by = BOTH, begin, end } of troubles) {
    await begin();
    const sinceMs = Date.now();
    while (Date.now() - sinceMs < AWAY_MS) {
      const nextMs = Date.now() + SAMPLE_EVERY_MS;
      await sample(name);
      await delay(Math.max(0, nextMs - Date.now()));
    }
    for (const one of by)
      try {
        judge(t, what, one, name, sinceMs);
      } catch (error) {
        wrong.push(error);
      }
    await end(t);
    await caughtUp(name);
  }
  assert.deepEqual(wrong, []);
});
