// The server of /live, /ready and /metrics, in a thread of its own: whoever can reach the port can neither delay the heartbeats
// of the worker nor take its memory. Answers come from the worker's own thread, which is asked seldom, however many ask here.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData, type MessagePort } from "node:worker_threads";
import { routes, type Answer, type FromThread, type Route, type ToThread } from "./http.ts";

const worker = parentPort as MessagePort;
const { host, port } = workerData as { readonly host: string; readonly port: number };

/** Beyond them the socket that is open longest makes room: a newcomer, which may be a probe, is always served. */
const SOCKETS_MAX = 64;
const REQUESTS_PER_SOCKET_MAX = 100;
/** The shortest time between two answers on one socket. */
const PACE_MS = 20;
/** How long a client may take to send its request, or to read the answer. */
const CLIENT_MS = 5_000;
/** How long the worker may take. */
const ANSWER_MS = 5_000;
/** How long an answer serves everybody who asks for it. */
const SHARED_MS: Readonly<Record<Route, number>> = {
  "/live": 100,
  "/ready": 100,
  "/metrics": 1_000,
};

const plain = "text/plain; charset=utf-8";

const server = createServer({
  connectionsCheckingInterval: 1_000,
  headersTimeout: CLIENT_MS,
  requestTimeout: CLIENT_MS,
  keepAliveTimeout: CLIENT_MS,
  maxHeaderSize: 8_192,
});
server.maxRequestsPerSocket = REQUESTS_PER_SOCKET_MAX;

const sockets = new Set<Socket>();
/** When a socket was answered last; absent while it is being answered. */
const answeredMs = new WeakMap<Socket, number>();

server.on("connection", (socket) => {
  sockets.add(socket);
  socket.on("close", () => sockets.delete(socket));
  answeredMs.set(socket, -Infinity);
  const [oldest] = sockets;
  if (sockets.size > SOCKETS_MAX) oldest?.destroy();
});
server.on("request", (request, response) => void respond(request, response));

async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { socket } = request;
  const lastMs = answeredMs.get(socket);
  if (lastMs === undefined) return drop(socket);
  answeredMs.delete(socket);
  const waitMs = lastMs + PACE_MS - performance.now();
  if (waitMs > 0) await sleep(waitMs, undefined, { ref: false });
  const answer = await answerTo(request);
  const tooSlow = setTimeout(() => socket.destroy(), CLIENT_MS).unref();
  response.on("close", () => clearTimeout(tooSlow));
  response.on("finish", () => answeredMs.set(socket, performance.now()));
  response.writeHead(answer.status, {
    "content-type": answer.type,
    "content-length": answer.body.length,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...(answer.status === 405 ? { allow: "GET, HEAD" } : {}),
  });
  // For HEAD, Node itself leaves the body out.
  response.end(answer.body);
}

/**
 * A second request came before the first was answered, which nobody who probes or scrapes does. The socket is read no
 * more, and closed only after a while: a client that is let go at once comes back at once.
 */
function drop(socket: Socket): void {
  if (socket.isPaused()) return;
  socket.pause();
  setTimeout(() => socket.destroy(), CLIENT_MS).unref();
}

interface Sendable extends Omit<Answer, "body"> {
  /** The same bytes for all who ask. */
  readonly body: Buffer;
}
const ofText = (status: number, type: string, body: string): Sendable => ({
  ...{ status, type },
  body: Buffer.from(body),
});

const NOT_FOUND = ofText(404, plain, "not found\n");
const NOT_ALLOWED = ofText(405, plain, "GET or HEAD\n");

function answerTo({ url = "", method }: IncomingMessage): Sendable | Promise<Sendable> {
  const path = url.split("?", 1)[0] ?? "";
  const route = routes.find((one) => one === path);
  if (route === undefined) return NOT_FOUND;
  return method === "GET" || method === "HEAD" ? shared(route) : NOT_ALLOWED;
}

const current = new Map<Route, { readonly sinceMs: number; readonly answer: Promise<Sendable> }>();

function shared(route: Route): Promise<Sendable> {
  const nowMs = performance.now();
  const known = current.get(route);
  if (known !== undefined && nowMs - known.sinceMs < SHARED_MS[route]) return known.answer;
  const answer = ask(route);
  current.set(route, { sinceMs: nowMs, answer });
  return answer;
}

const waiting = new Map<Route, (answer: Answer) => void>();

/** The worker is asked one question a route at a time. */
async function ask(route: Route): Promise<Sendable> {
  const answered = new Promise<Answer>((resolve) => waiting.set(route, resolve));
  say({ kind: "ask", route });
  const late = new AbortController();
  const slow = sleep(ANSWER_MS, busy(route), { signal: late.signal, ref: false });
  slow.catch(() => undefined);
  const { status, type, body } = await Promise.race([answered, slow]);
  late.abort();
  return ofText(status, type, body);
}

function busy(route: Route): Answer {
  const why = `the event loop has not answered for ${String(ANSWER_MS / 1_000)} s`;
  if (route === "/metrics") return { status: 503, type: plain, body: `${why}\n` };
  const body = `${JSON.stringify({ ok: false, reasons: [why], tasks: [] })}\n`;
  return { status: 503, type: "application/json; charset=utf-8", body };
}

const say = (message: FromThread): void => worker.postMessage(message);

worker.on("message", ({ route, answer }: ToThread) => {
  waiting.get(route)?.(answer);
  waiting.delete(route);
});

server.listen(port, host);
try {
  await once(server, "listening");
  say({ kind: "listening", port: (server.address() as AddressInfo).port });
} catch (error) {
  const { code = "", message } = error as NodeJS.ErrnoException;
  say({ kind: "refused", code, message });
}
