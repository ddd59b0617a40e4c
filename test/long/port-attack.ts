// A minute of attack on the operations port of a worker that has work: it stays a member, answers its probes, and its memory
// stays as it was. Five hundred sockets of four kinds come from a process of their own.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { stopStack } from "../../src/stack/stack.ts";
import { AppFigures } from "../support/app-figures.ts";
import { appOf, applyApp } from "../support/app.ts";
import { entries, storing, summing } from "../support/apps/lagging.ts";
import { privateStack } from "../support/stack.ts";
import { WorkerProcess } from "../support/worker-process.ts";

const ATTACK_MS = 60_000;
const BATCH = 100;
const SEND_EVERY_MS = 250;
/** What the sockets of the port may hold, and what a heap may rise in a minute of work. */
const RISE_MAX_MB = 128;
const app = appOf("lagging");

const attackers = join(import.meta.dirname, "../support/port-attackers.ts");

const residentMb = (pid: number): number => {
  const pages = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${String(pid)}/status`, "utf8"));
  return Number(pages?.[1]) / 1_024;
};

/** Sends records until it is stopped; answers how many. */
function load(figures: AppFigures): { readonly stop: () => Promise<number> } {
  let isOver = false;
  const sending = (async () => {
    const producer = figures.clients.kafka.producer();
    let sent = 0;
    for (; !isOver; sent += BATCH) {
      const records = Array.from({ length: BATCH }, (_, at) => {
        const id = `e-${String(sent + at)}`;
        const value = Buffer.from(JSON.stringify({ id, n: 1 }));
        return { topic: entries.name, partition: 0, key: Buffer.from(id.slice(-2)), value };
      });
      await producer.send(records.map((one) => ({ ...one, headers: [], timestamp: Date.now() })));
      await delay(SEND_EVERY_MS);
    }
    await producer.close();
    return sent;
  })();
  return {
    stop: () => {
      isOver = true;
      return sending;
    },
  };
}

interface Seen {
  readonly longestMs: number;
  readonly memoryMb: number;
  readonly answers: number;
}

/** Asks /live as a probe does, on a new connection each time. */
async function probed(worker: WorkerProcess, forMs: number): Promise<Seen> {
  let [longestMs, memoryMb, answers] = [0, 0, 0];
  for (const endMs = performance.now() + forMs; performance.now() < endMs; await delay(250)) {
    const sentMs = performance.now();
    const { status } = await fetch(`${worker.address}/live`, {
      headers: { connection: "close" },
      signal: AbortSignal.timeout(10_000),
    });
    assert.equal(status, 200);
    answers++;
    longestMs = Math.max(longestMs, performance.now() - sentMs);
    memoryMb = Math.max(memoryMb, residentMb(worker.pid));
  }
  return { longestMs, memoryMb, answers };
}

test("a minute of attack on the operations port costs neither membership, probes nor memory", async (t) => {
  const stack = await privateStack();
  t.after(() => stopStack(stack.dir, () => undefined, { purge: true }));
  await applyApp(app, stack.env);
  const figures = new AppFigures(summing.plan(), stack.env);
  t.after(() => figures.close());
  const rows = new AppFigures(storing.plan(), stack.env);
  t.after(() => rows.close());
  const worker = await WorkerProcess.start(t, { args: [], env: stack.env, app });
  await worker.ready();
  const work = load(figures);
  const before = await probed(worker, 15_000);
  const rebalances = async (): Promise<number> =>
    (await worker.metrics()).sum("millrace_rebalances_total", {});
  const first = await rebalances();

  const child = spawn(process.execPath, [attackers, new URL(worker.address).port]);
  t.after(() => child.kill("SIGKILL"));
  const during = await probed(worker, ATTACK_MS);
  child.kill("SIGKILL");
  await delay(2_000);
  const sent = await work.stop();

  t.diagnostic(
    `/live after at most ${before.longestMs.toFixed(0)} ms before, ${during.longestMs.toFixed(0)} ms of ${String(during.answers)} during; memory ${before.memoryMb.toFixed(0)} MB before, ${during.memoryMb.toFixed(0)} MB during; ${String(sent)} records`,
  );
  await figures.drained();
  await rows.drained();
  assert.equal(await rebalances(), first, "the group was rebalanced");
  assert.ok(!worker.hasEnded, worker.story());
  assert.ok(during.longestMs < 1_000, `/live took ${during.longestMs.toFixed(0)} ms`);
  assert.ok(during.memoryMb - before.memoryMb < RISE_MAX_MB, "memory rose");
  assert.equal((await figures.ledger("main")).consumed, sent);
  assert.equal((await rows.ledger("entry_rows")).consumed, sent);
});
