// The three routes without token: /live, /ready, /metrics. They carry addresses, codes and counts, never keys or values.
// Bound to the address of the settings (127.0.0.1:9464 unless said otherwise); every other path is 404.
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ConfigError, messageOf } from "../core/errors.ts";
import type { Log } from "../core/ports.ts";
import type { Health } from "./health.ts";

export interface OperationsOptions {
  readonly host: string;
  /** 0 takes a free port; undefined takes 9464, or a free one where that is taken. */
  readonly port: number | undefined;
  readonly log: Log;
  live(): Health | Promise<Health>;
  ready(): Health | Promise<Health>;
  metrics(): Promise<string>;
}

export interface OperationsServer {
  readonly port: number;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const json = "application/json; charset=utf-8";
const text = "text/plain; charset=utf-8";
// The version is part of Prometheus' text exposition format.
const exposition = "text/plain; version=0.0.4; charset=utf-8";

/** Resolves when the port is open; a port or host that cannot be had is a ConfigError. */
export async function serveOperations(options: OperationsOptions): Promise<OperationsServer> {
  const server = createServer({ requestTimeout: 5_000, keepAliveTimeout: 5_000 });
  server.on("request", (request, response) => {
    // `respond` answers 500 itself, so nothing is left to reject.
    void respond(options, request, response);
  });
  await listen(server, options);
  // Probes must not keep a worker alive that has nothing else to do.
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    close: () => close(server),
  };
}

async function respond(
  options: OperationsOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const answer = await answerTo(options, request).catch((error: unknown): Answer => {
    options.log.error({ error, path: pathOf(request) }, "an operations route failed");
    return { status: 500, type: text, body: "failed, see the log\n" };
  });
  response.writeHead(answer.status, {
    "content-type": answer.type,
    "content-length": Buffer.byteLength(answer.body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...(answer.status === 405 ? { allow: "GET, HEAD" } : {}),
  });
  // For HEAD, Node itself leaves the body out.
  response.end(answer.body);
}

async function answerTo(options: OperationsOptions, request: IncomingMessage): Promise<Answer> {
  const path = pathOf(request);
  if (path !== "/live" && path !== "/ready" && path !== "/metrics")
    return { status: 404, type: text, body: "not found\n" };
  if (request.method !== "GET" && request.method !== "HEAD")
    return { status: 405, type: text, body: "GET or HEAD\n" };
  if (path === "/metrics") return { status: 200, type: exposition, body: await options.metrics() };
  const health = await (path === "/live" ? options.live() : options.ready());
  return { status: health.ok ? 200 : 503, type: json, body: `${JSON.stringify(health)}\n` };
}

const pathOf = (request: IncomingMessage): string => (request.url ?? "").split("?", 1)[0] ?? "";

const DEFAULT_PORT = 9464;

/** A second worker on a machine has no port of its own in its settings: it takes a free one, and says so. */
async function listen(server: Server, options: OperationsOptions): Promise<void> {
  const { host, port = DEFAULT_PORT } = options;
  server.listen(port, host);
  await once(server, "listening").catch(async (cause: unknown) => {
    const isTaken = (cause as NodeJS.ErrnoException).code === "EADDRINUSE";
    if (isTaken && options.port === undefined) {
      server.listen(0, host);
      await once(server, "listening");
      const free = (server.address() as AddressInfo).port;
      options.log.warn({ port: free }, `port ${String(port)} is taken: /metrics is at another one`);
      return;
    }
    const detail = `MILLRACE_HTTP_HOST and MILLRACE_HTTP_PORT say ${host}:${String(port)}: ${messageOf(cause)}`;
    throw new ConfigError("MILL_CONFIG_INVALID", detail, { cause });
  });
}

async function close(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}
