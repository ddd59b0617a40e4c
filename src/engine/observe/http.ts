// The three routes without token: /live, /ready, /metrics. They carry addresses, codes and counts, never keys or values.
// Bound to the address of the settings (127.0.0.1:9464 unless said otherwise); every other path is 404. The server is a thread of its
// own (http-thread.ts), which asks here for what it shows.
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { ConfigError } from "../core/errors.ts";
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

export const routes = ["/live", "/ready", "/metrics"] as const;
export type Route = (typeof routes)[number];

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Messages from the thread. */
export type FromThread =
  | { readonly kind: "listening"; readonly port: number }
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  | { readonly kind: "ask"; readonly route: Route };

/** A message to the thread. */
export interface ToThread {
  readonly route: Route;
  readonly answer: Answer;
}

const json = "application/json; charset=utf-8";
const text = "text/plain; charset=utf-8";
// The version is part of Prometheus' text exposition format.
const exposition = "text/plain; version=0.0.4; charset=utf-8";

const DEFAULT_PORT = 9464;
const AGAIN_AFTER_MS = 1_000;

/** Resolves when the port is open; a port or host that cannot be had is a ConfigError. */
export async function serveOperations(options: OperationsOptions): Promise<OperationsServer> {
  const first = await firstOpened(options);
  const { port } = first;
  let { thread } = first;
  let isClosed = false;
  const keep = async (): Promise<void> => {
    for (;;) {
      const error = await ended(thread);
      if (isClosed) return;
      options.log.error(
        { error, port },
        "the thread of the operations port has ended: begun again",
      );
      thread = await openedAgain(options, port);
      if (isClosed) await thread.terminate();
    }
  };
  void keep();
  return {
    port,
    async close() {
      isClosed = true;
      await thread.terminate();
    },
  };
}

/** Tries for as long as something else has the port. */
async function openedAgain(options: OperationsOptions, port: number): Promise<Worker> {
  for (;;) {
    await sleep(AGAIN_AFTER_MS, undefined, { ref: false });
    try {
      return (await opened(options, port)).thread;
    } catch (error) {
      options.log.warn({ error, port }, "the operations port cannot be had");
    }
  }
}

interface Opened {
  readonly thread: Worker;
  readonly port: number;
}

/** A second worker on a machine has no port of its own in its settings: it takes a free one, and says so. */
async function firstOpened(options: OperationsOptions): Promise<Opened> {
  const { host, port = DEFAULT_PORT, log } = options;
  try {
    return await opened(options, port);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "EADDRINUSE" && options.port === undefined) {
      const free = await opened(options, 0);
      log.warn({ port: free.port }, `port ${String(port)} is taken: /metrics is at another one`);
      return free;
    }
    const detail = `MILLRACE_HTTP_HOST and MILLRACE_HTTP_PORT say ${host}:${String(port)}: ${message}`;
    throw new ConfigError("MILL_CONFIG_INVALID", detail, { cause });
  }
}

/** The thread lies beside this file, whatever both are compiled to. */
const FILE = new URL(import.meta.url.replace(/http(\.\w+)$/, "http-thread$1"));

/** Throws when the port cannot be had. */
async function opened(options: OperationsOptions, port: number): Promise<Opened> {
  const thread = new Worker(FILE, { workerData: { host: options.host, port } });
  const first = once(thread, "message") as Promise<[FromThread]>;
  thread.on("message", (message: FromThread) => {
    if (message.kind === "ask") void answer(options, message.route, thread);
  });
  const [said] = await first;
  if (said.kind === "listening") {
    // Probes must not keep a worker alive that has nothing else to do.
    thread.unref();
    return { thread, port: said.port };
  }
  await thread.terminate();
  const { code, message } = said.kind === "refused" ? said : { code: "", message: "no answer" };
  throw Object.assign(new Error(message), { code });
}

const ended = (thread: Worker): Promise<Error> =>
  new Promise((resolve) => {
    thread.once("error", resolve);
    thread.once("exit", (code) => resolve(new Error(`exit ${String(code)}`)));
  });

async function answer(options: OperationsOptions, route: Route, thread: Worker): Promise<void> {
  const made = await answerOf(options, route).catch((error: unknown): Answer => {
    options.log.error({ error, path: route }, "an operations route failed");
    return { status: 500, type: text, body: "failed, see the log\n" };
  });
  thread.postMessage({ route, answer: made } satisfies ToThread);
}

async function answerOf(options: OperationsOptions, route: Route): Promise<Answer> {
  if (route === "/metrics") return { status: 200, type: exposition, body: await options.metrics() };
  const health = await (route === "/live" ? options.live() : options.ready());
  return { status: health.ok ? 200 : 503, type: json, body: `${JSON.stringify(health)}\n` };
}
