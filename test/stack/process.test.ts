import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { withLock } from "../../src/stack/lock.ts";
import { choosePorts, portsOfFolder } from "../../src/stack/port.ts";
import { serviceNames } from "../../src/stack/service-names.ts";
import {
  end,
  isRunning,
  launch,
  sizeOf,
  startTimeInStat,
  tailOf,
} from "../../src/stack/process.ts";

const dir = mkdtempSync(join(tmpdir(), "millrace-unit-"));
after(() => rmSync(dir, { recursive: true }));
const log = join(dir, "log");
const env = { PATH: process.env["PATH"] };
const sleeper = { command: "sleep", args: ["60"], cwd: dir, env };
const deaf = {
  ...sleeper,
  command: "sh",
  args: ["-c", "trap '' TERM; echo deaf; exec sleep 60"],
};

test("a process is known by its pid and its start: an old pid of another program is left alone", async () => {
  const running = await launch(sleeper, log);
  const earlier = { ...running, startedAt: "1" };
  assert.equal(isRunning(running), true);
  assert.equal(isRunning(earlier), false);
  assert.equal(await end(earlier, "SIGKILL", 0), false);
  assert.equal(isRunning(running), true);
  assert.equal(await end(running, "SIGTERM", 5_000), true);
  assert.equal(isRunning(running), false);
});

test("a process is gone when its last thread is, not when its first is a zombie", () => {
  const statOf = (state: string, threads: number): string =>
    `7 (a) b) ${state} 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 ${String(threads)} 0 4711 0 0`;
  assert.equal(startTimeInStat(statOf("S", 1)), "4711");
  assert.equal(startTimeInStat(statOf("Z", 3)), "4711");
  assert.equal(startTimeInStat(statOf("Z", 1)), null);
});

test("a process that does not heed the signal is killed after the grace", async () => {
  const stubborn = await launch(deaf, log);
  while (sizeOf(log) === 0) await sleep(10);
  const began = Date.now();
  await end(stubborn, "SIGTERM", 200);
  assert.equal(isRunning(stubborn), false);
  const tookMs = Date.now() - began;
  assert.ok(tookMs >= 200 && tookMs < 5_000, String(tookMs));
});

test("a program that is not there is a missing part of the stack", async () => {
  await assert.rejects(launch({ ...sleeper, command: "no-such-program" }, log), {
    code: "MILL_STACK_MISSING",
  });
});

test("only the last lines of this start are shown", () => {
  const file = join(dir, "tail");
  writeFileSync(file, "old\n");
  const from = sizeOf(file);
  writeFileSync(file, "old\none\ntwo\nthree\n");
  assert.equal(tailOf(file, from, 2), "two\nthree");
  assert.equal(tailOf(file, from, 9), "one\ntwo\nthree");
  assert.equal(sizeOf(join(dir, "none")), 0);
});

test("a lock lets one in at a time and is let go when the work fails", async () => {
  const file = join(dir, "lock");
  let inside = 0;
  const work = async (): Promise<void> => {
    assert.equal(++inside, 1);
    await sleep(20);
    inside--;
  };
  await Promise.all([withLock(file, work), withLock(file, work), withLock(file, work)]);
  await assert.rejects(
    withLock(file, () => Promise.reject(new Error("boom"))),
    /boom/,
  );
  assert.equal(existsSync(file), false);
});

test("the lock of a process that died is passed over, that of a living one is not", async () => {
  const file = join(dir, "lock");
  writeFileSync(file, JSON.stringify({ pid: process.pid, startedAt: "1" }));
  assert.equal(await withLock(file, () => Promise.resolve("in")), "in");
  const holder = spawn(process.execPath, [
    "-e",
    `import("${join(import.meta.dirname, "../../src/stack/lock.ts")}").then(({ withLock }) =>
       withLock("${file}", () => new Promise((r) => setTimeout(r, 400))))`,
  ]);
  while (!existsSync(file)) await sleep(5);
  let isIn = false;
  const waiting = withLock(file, () => Promise.resolve((isIn = true)));
  await sleep(150);
  assert.equal(isIn, false);
  assert.equal((JSON.parse(readFileSync(file, "utf8")) as { pid: number }).pid, holder.pid);
  await waiting;
});

test("the ports wanted are taken when all are free, else others are found", async () => {
  const busy = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => busy.once("listening", resolve));
  const { port } = busy.address() as AddressInfo;
  const [free = 0] = await choosePorts(1);
  assert.deepEqual(await choosePorts(1, [free]), [free]);
  const others = await choosePorts(2, [free, port]);
  assert.equal(new Set(others).size, 2);
  assert.ok(!others.includes(port));
  busy.close();
});

test("the ports of a folder follow from its path: they are the same at each first start", () => {
  const all = serviceNames.flatMap((_, service) => portsOfFolder("/home/ada/shop", service, 2));
  assert.equal(new Set(all).size, 2 * serviceNames.length);
  assert.ok(all.every((port) => port >= 12_000 && port < 32_000));
  assert.deepEqual(portsOfFolder("/home/ada/shop", 1, 2), all.slice(2, 4));
  assert.notDeepEqual(portsOfFolder("/home/ada/other", 1, 2), all.slice(2, 4));
});
