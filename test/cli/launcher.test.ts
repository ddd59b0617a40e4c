// Commands that npm has started end with npm, by whatever signal that is stopped, and drain first. No server is needed: a
// worker that waits for Kafka drains as well.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { areThere, launchersOf, type Ancestor, type LookUp } from "../../src/cli/launcher.ts";
import { eventually } from "../support/eventually.ts";
import { isAlive } from "../support/worker-process.ts";

const root = join(import.meta.dirname, "../..");
const nowhere = {
  KAFKA_BROKERS: "127.0.0.1:1",
  SCHEMA_REGISTRY_URL: "http://127.0.0.1:1",
  REDIS_URL: "redis://127.0.0.1:1",
  DATABASE_URL: "postgres://u:p@127.0.0.1:1/d",
  MILLRACE_HTTP_PORT: "0",
  MILLRACE_LOG_LEVEL: "info",
};

interface Started {
  readonly npm: number;
  readonly worker: number;
  readonly lines: readonly string[];
}

/** A worker that npm has started in a process group of its own, as a terminal does; it waits for Kafka. */
async function started(t: TestContext, argv: readonly string[]): Promise<Started> {
  const [program = "", ...args] = argv;
  const env = { ...process.env, ...nowhere };
  const stdio: ["ignore", "pipe", "pipe"] = ["ignore", "pipe", "pipe"];
  const child = spawn(program, args, { cwd: root, env, stdio, detached: true });
  const { pid = 0 } = child;
  t.after(() => {
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // Nobody is left.
    }
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on("line", (line) => lines.push(line));
  const worker = await eventually("the worker waits for Kafka", () => {
    const line = lines.find((one) => one.includes("waiting for a dependency"));
    return line === undefined ? null : (JSON.parse(line) as { pid: number }).pid;
  });
  return { npm: pid, worker, lines };
}

const ways: readonly (readonly [string, readonly string[], NodeJS.Signals, "npm" | "all"])[] = [
  ["SIGTERM to npx", ["npx", "millrace", "run"], "SIGTERM", "npm"],
  // dash keeps npm's SIGINT to itself, and then npm goes on as well: nobody has ended, and nobody is left alone.
  ["SIGINT to npx", ["npx", "--script-shell=bash", "millrace", "run"], "SIGINT", "npm"],
  ["SIGKILL to npx", ["npx", "millrace", "run"], "SIGKILL", "npm"],
  ["SIGTERM to npm start", ["npm", "start"], "SIGTERM", "npm"],
  ["Ctrl-C in a terminal", ["npx", "millrace", "run"], "SIGINT", "all"],
  // This shell becomes the worker, so npm's signal and the terminal's both reach it.
  ["Ctrl-C with bash", ["npx", "--script-shell=bash", "millrace", "run"], "SIGINT", "all"],
];

for (const [what, argv, signal, target] of ways)
  test(`${what}: the worker drains and ends`, { timeout: 600_000 }, async (t) => {
    const { npm, worker, lines } = await started(t, argv);
    process.kill(target === "npm" ? npm : -npm, signal);
    await eventually("the worker has ended", () => (isAlive(worker) ? null : true), 60_000);
    const story = lines.join("\n");
    assert.match(story, /"draining"/, story);
    assert.doesNotMatch(story, /"the worker has ended"/);
  });

const processes = (...all: readonly (readonly [number, number, string])[]): LookUp => {
  const known = new Map(all.map(([pid, parent, command]) => [pid, { pid, parent, command }]));
  return (pid): Ancestor | null => known.get(pid) ?? null;
};
const pidsOf = (lookUp: LookUp): number[] => launchersOf(30, lookUp).map(({ pid }) => pid);

test("npm is found behind the shells that it has started, and nobody else is taken for it", () => {
  const npm = [10, 1, "npm exec millrace run"] as const;
  assert.deepEqual(pidsOf(processes([30, 10, "sh -c 'millrace' run"], npm)), [30, 10]);
  const script = [30, 20, "/bin/bash ./start.sh"] as const;
  assert.deepEqual(pidsOf(processes(script, [20, 10, "sh -c ./start.sh"], npm)), [30, 20, 10]);
  assert.deepEqual(pidsOf(processes([30, 1, "npm run demo"])), [30]);
  assert.deepEqual(pidsOf(processes([30, 1, "node /usr/lib/npm/bin/npm-cli.js start"])), [30]);
  // A shell at a terminal, a supervisor below npm, a test runner.
  assert.deepEqual(pidsOf(processes([30, 5, "-bash"], [5, 1, "/usr/sbin/sshd"])), []);
  assert.deepEqual(pidsOf(processes([30, 10, "node pm2/lib/daemon.js"], npm)), []);
  assert.deepEqual(pidsOf(processes()), []);
});

test("one that has died is missed, whoever has its children now", () => {
  const whole = processes([30, 10, "sh"], [10, 1, "npm start"]);
  const chain = launchersOf(30, whole);
  assert.ok(areThere(chain, whole));
  assert.ok(!areThere(chain, processes([30, 1, "sh"])));
  assert.ok(!areThere(chain, processes([10, 1, "npm start"])));
});
