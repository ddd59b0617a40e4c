import assert from "node:assert/strict";
import { request } from "node:http";
import { test, type TestContext } from "node:test";
import { ConfigError } from "../../../src/engine/core/errors.ts";
import type { LogFacts, Log } from "../../../src/engine/core/ports.ts";
import type { Health } from "../../../src/engine/observe/health.ts";
import { serveOperations, type OperationsOptions } from "../../../src/engine/observe/http.ts";

const good: Health = { ok: true, reasons: [], tasks: [] };
const bad: Health = { ok: false, reasons: ["not yet a member"], tasks: [] };

class FactLog implements Log {
  readonly lines: string[] = [];
  readonly debug = (_: LogFacts, message: string): void => void this.lines.push(message);
  readonly info = this.debug;
  readonly warn = this.debug;
  readonly error = this.debug;
}

async function serve(t: TestContext, options: Partial<OperationsOptions> = {}): Promise<string> {
  const server = await serveOperations({
    host: "127.0.0.1",
    port: 0,
    log: new FactLog(),
    live: () => good,
    ready: () => good,
    metrics: () => Promise.resolve("millrace_up 1\n"),
    ...options,
  });
  t.after(() => server.close());
  return `http://127.0.0.1:${String(server.port)}`;
}

test("/live and /ready answer 200 or 503 with the verdict as JSON", async (t) => {
  const url = await serve(t, { ready: () => Promise.resolve(bad) });
  const live = await fetch(`${url}/live`);
  assert.equal(live.status, 200);
  assert.match(live.headers.get("content-type") ?? "", /^application\/json/);
  assert.deepEqual(await live.json(), good);
  const ready = await fetch(`${url}/ready?verbose=1`);
  assert.equal(ready.status, 503);
  assert.deepEqual(await ready.json(), bad);
});

test("/metrics answers Prometheus' text format and is never cached", async (t) => {
  const response = await fetch(`${await serve(t)}/metrics`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(response.headers.get("cache-control"), "no-store");
  assert.equal(await response.text(), "millrace_up 1\n");
});

test("HEAD has the status and length of GET, and no body", async (t) => {
  const response = await fetch(`${await serve(t, { live: () => bad })}/live`, { method: "HEAD" });
  assert.equal(response.status, 503);
  assert.ok(Number(response.headers.get("content-length")) > 0);
  assert.equal(await response.text(), "");
});

test("every other path is 404, and other methods are refused", async (t) => {
  const url = await serve(t);
  for (const path of ["/", "/metrics/", "/live/x", "/readyz", "//live", "/console"])
    assert.equal((await fetch(url + path)).status, 404, path);
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    const response = await fetch(`${url}/metrics`, { method });
    assert.equal(response.status, 405, method);
    assert.equal(response.headers.get("allow"), "GET, HEAD");
  }
});

test("a path that climbs out is not resolved to a route", async (t) => {
  const url = new URL(await serve(t));
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const options = { host: url.hostname, port: url.port, path: "/x/../live" };
    request(options, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
  assert.equal(status, 404);
});

test("a failing source of metrics is 500, is logged, and its text stays inside", async (t) => {
  const log = new FactLog();
  const metrics = () => Promise.reject(new Error("secret-canary"));
  const url = await serve(t, { log, metrics });
  const response = await fetch(`${url}/metrics`);
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /canary/);
  assert.deepEqual(log.lines, ["an operations route failed"]);
  assert.equal((await fetch(`${url}/live`)).status, 200);
});

test("a synchronous throw in a verdict is 500, not a crash", async (t) => {
  const live = (): Health => {
    throw new Error("broken");
  };
  assert.equal((await fetch(`${await serve(t, { live })}/live`)).status, 500);
});

test("a port in use is a configuration error that names the settings", async (t) => {
  const port = Number(new URL(await serve(t)).port);
  await assert.rejects(serve(t, { port }), (error: unknown) => {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.code, "MILL_CONFIG_INVALID");
    assert.match(error.message, /MILLRACE_HTTP_HOST and MILLRACE_HTTP_PORT/);
    return true;
  });
});

test("close ends open connections and frees the port", async (t) => {
  const options = { host: "127.0.0.1", live: () => good, ready: () => good, log: new FactLog() };
  const never = new Promise<string>(() => undefined);
  const first = await serveOperations({ ...options, port: 0, metrics: () => never });
  const hanging = fetch(`http://127.0.0.1:${String(first.port)}/metrics`);
  const ended = assert.rejects(hanging);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await first.close();
  await ended;
  await serve(t, { port: first.port });
});

test("without a port of its own a second worker takes a free one, and says which", async (t) => {
  const log = new FactLog();
  const options = { host: "127.0.0.1", log, live: () => good, ready: () => good };
  const metrics = (): Promise<string> => Promise.resolve("");
  const servers = [
    await serveOperations({ ...options, port: undefined, metrics }),
    await serveOperations({ ...options, port: undefined, metrics }),
  ];
  t.after(() => Promise.all(servers.map((server) => server.close())));
  const [first, second] = servers.map(({ port }) => port);
  assert.notEqual(first, second);
  assert.match(log.lines.at(-1) ?? "", /^port 9464 is taken: \/metrics is at another one$/);
  await assert.rejects(serveOperations({ ...options, port: first, metrics }), {
    code: "MILL_CONFIG_INVALID",
  });
});
