// Whoever reaches the operations port gets no more than its answers: neither the worker's loop nor its memory.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import type { Health } from "../../../src/engine/observe/health.ts";
import { serveOperations } from "../../../src/engine/observe/http.ts";
import { attacker, attacks } from "../../support/port-attackers.ts";

const good: Health = { ok: true, reasons: [], tasks: [] };
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const MiB = 1 << 20;
/** As large as the metrics of a worker with many tasks. */
const METRICS = "millrace_example_total 1\n".repeat(20_000);

interface Served {
  readonly port: number;
  readonly renderings: () => number;
}

async function serve(t: TestContext, text: string = METRICS): Promise<Served> {
  let count = 0;
  const server = await serveOperations({
    host: "127.0.0.1",
    port: 0,
    log: quiet,
    live: () => good,
    ready: () => good,
    metrics: () => Promise.resolve(`${text}${String(++count)}\n`),
  });
  t.after(() => server.close());
  return { port: server.port, renderings: () => count };
}

const GET = "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n";

/** The longest that a new client waits for /live. */
async function probed(port: number, forMs: number): Promise<number> {
  let longest = 0;
  for (const endMs = performance.now() + forMs; performance.now() < endMs; await sleep(100)) {
    const sentMs = performance.now();
    const { status } = await fetch(`http://127.0.0.1:${String(port)}/live`, {
      headers: { connection: "close" },
      signal: AbortSignal.timeout(5_000),
    });
    assert.equal(status, 200);
    longest = Math.max(longest, performance.now() - sentMs);
  }
  return longest;
}

for (const { what, sockets, payload } of attacks)
  test(`${what} take neither loop nor memory, and a probe is answered`, async (t) => {
    const { port, renderings } = await serve(t);
    const before = process.memoryUsage().rss;
    const delay = monitorEventLoopDelay({ resolution: 10 });
    const attackers = Array.from({ length: sockets }, () => attacker(port, payload));
    delay.enable();
    const longest = await probed(port, 3_000);
    delay.disable();
    for (const { stop } of attackers) stop();
    const risen = (process.memoryUsage().rss - before) / MiB;
    t.diagnostic(
      `/live after at most ${longest.toFixed(0)} ms, ${String(renderings())} renderings, ${risen.toFixed(0)} MiB more, loop p99 ${(delay.percentile(99) / 1e6).toFixed(0)} ms`,
    );
    // The time-out of a probe; the figure itself is the machine's.
    assert.ok(longest < 3_000, `/live took ${String(longest)} ms`);
    assert.ok(renderings() <= 5, `${String(renderings())} renderings in 3 s`);
    assert.ok(risen < 128, `${String(risen)} MiB`);
  });

test("a client that does not read its answer is dropped", async (t) => {
  // More than the buffers of the kernel take.
  const body = METRICS.repeat(32);
  const { port } = await serve(t, body);
  const socket = connect(port, "127.0.0.1", () => void socket.write(GET));
  socket.pause();
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.on("error", () => undefined);
  setTimeout(() => socket.resume(), 8_000).unref();
  await closed;
  assert.ok(socket.bytesRead < body.length, `${String(socket.bytesRead)} bytes were read`);
});

test("a thread that fails begins again on the same port", async (t) => {
  const errors: string[] = [];
  const log = { ...quiet, error: (_: unknown, message: string) => void errors.push(message) };
  // No text, which the types forbid: the thread fails at it.
  let body: string | null = null;
  const server = await serveOperations({
    host: "127.0.0.1",
    port: 0,
    log,
    live: () => good,
    ready: () => good,
    metrics: () => Promise.resolve(body as string),
  });
  t.after(() => server.close());
  const url = `http://127.0.0.1:${String(server.port)}/metrics`;
  await assert.rejects(fetch(url));
  body = "small\n";
  let answer = "";
  for (let tries = 0; tries < 100 && answer === ""; tries++) {
    answer = await fetch(url).then(
      (response) => response.text(),
      () => "",
    );
    await sleep(100);
  }
  assert.equal(answer, "small\n");
  assert.deepEqual(errors, ["the thread of the operations port has ended: begun again"]);
});
