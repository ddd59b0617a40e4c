// The parent of several workers: starts a process for each, starts dead ones again with backoff, gives up when they die
// too often, and serves one aggregated /metrics, /live and /ready. Promises that no worker outlives it: they drain when
// it stops or is gone, and die with it at its second signal.
import type { ChildProcess } from "node:child_process";
import { aggregate, type MeterSnapshot, type PrometheusMeter } from "../../clients/prometheus.ts";
import { exitCodes } from "../../core/exit-codes.ts";
import type { Clock, Log } from "../../core/ports.ts";
import { mergeHealth, type Health } from "../../observe/health.ts";
import { serveOperations } from "../../observe/http.ts";
import type { WorkerSettings } from "./settings.ts";
import { INTERRUPTED, onStopSignal } from "./signals.ts";

/** The answer of a worker process to its parent. */
export interface WorkerReport {
  readonly live: Health;
  readonly ready: Health;
  readonly metrics: MeterSnapshot;
}

export interface SuperviseOptions {
  readonly workers: number;
  readonly settings: WorkerSettings;
  readonly clock: Clock;
  readonly log: Log;
  /** The parent's own; joined with those of the workers. */
  readonly meter: PrometheusMeter;
  /** Workers end by themselves: one that a signal has killed is started again, none that has ended. */
  readonly ends?: boolean;
  /** Forks one worker with an IPC channel. */
  spawn(index: number): ChildProcess;
}

/**
 * Drained, credentials that are refused, workers of another release, or a problem of configuration: the next start would end
 * the same way.
 */
const FINAL: ReadonlySet<number> = new Set([
  exitCodes.ok,
  exitCodes.auth,
  exitCodes.conflict,
  exitCodes.config,
]);
/** The code of a process that a signal has ended. */
const KILLED = 128;
const DEATHS_MAX = 5;
const DEATHS_WITHIN_MS = 60_000;
const REPORT_WITHIN_MS = 2_000;
const RESTART_MS = { first: 250, max: 10_000 } as const;

/** Runs until a stop signal, or until workers die too often; returns the exit code. */
export class Supervisor {
  readonly #options: SuperviseOptions;
  readonly #children = new Map<number, ChildProcess>();
  readonly #deaths: number[] = [];
  readonly #stopping = new AbortController();
  #code = 0;

  constructor(options: SuperviseOptions) {
    this.#options = options;
  }

  async run(): Promise<number> {
    const { settings, workers, log } = this.#options;
    const server = await serveOperations({
      host: settings.MILLRACE_HTTP_HOST,
      port: settings.MILLRACE_HTTP_PORT,
      log,
      live: () => this.#health("live"),
      ready: () => this.ready(),
      metrics: () => this.#metrics(),
    });
    const ignore = onStopSignal(
      () => this.#stop(),
      () => this.#interrupt(),
    );
    log.info({ workers, port: server.port }, "supervising");
    await Promise.all(Array.from({ length: workers }, (_, index) => this.#keep(index)));
    ignore();
    await server.close();
    return this.#code;
  }

  /** Keeps one worker and its successors running; resolves when it is not to be started again. */
  async #keep(index: number): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const code = await this.#live(index);
      if (signal.aborted || this.#isFinal(code)) {
        this.#code = Math.max(this.#code, code);
        return;
      }
      this.#options.log.error({ worker: index, code }, "a worker process has died");
      this.#options.meter.count("millrace_worker_restarts_total", {});
      const deaths = this.#recentDeaths();
      if (deaths >= DEATHS_MAX) return this.#giveUp();
      const waitMs = Math.min(RESTART_MS.max, RESTART_MS.first * 2 ** (deaths - 1));
      // Cut short by the stop, which the loop asks about.
      await this.#options.clock.sleep(waitMs, signal).catch(() => undefined);
    }
  }

  #isFinal(code: number): boolean {
    return FINAL.has(code) || (this.#options.ends === true && code < KILLED);
  }

  #live(index: number): Promise<number> {
    return new Promise((resolve) => {
      const child = this.#options.spawn(index);
      this.#children.set(index, child);
      const end = (code: number): void => {
        this.#children.delete(index);
        resolve(code);
      };
      child.once("exit", (code, signal) => {
        // A worker that was still starting had nothing to drain: it dies of the signal.
        const isStopped = signal === "SIGTERM" || signal === "SIGINT";
        end(code ?? (isStopped && this.#stopping.signal.aborted ? 0 : KILLED));
      });
      // Without a pid it could not be started at all; other errors are no end.
      child.on("error", () => child.pid === undefined && end(1));
    });
  }

  /** The number of deaths in the last minute, this one included. */
  #recentDeaths(): number {
    const now = this.#options.clock.monotonic();
    this.#deaths.push(now);
    return this.#deaths.filter((at) => at > now - DEATHS_WITHIN_MS).length;
  }

  #giveUp(): void {
    this.#options.log.error({ deaths: DEATHS_MAX }, "workers die too often: giving up");
    this.#code = 1;
    this.#stop();
  }

  #stop(): void {
    this.#stopping.abort(new Error("the workers were stopped"));
    for (const child of this.#children.values()) child.kill("SIGTERM");
  }

  #interrupt(): never {
    for (const child of this.#children.values()) child.kill("SIGKILL");
    process.exit(INTERRUPTED);
  }

  /** Whether every worker is at work, and why not. */
  ready(): Promise<Health> {
    return this.#health("ready");
  }

  async #health(kind: "live" | "ready"): Promise<Health> {
    const reports = await this.#reports();
    return mergeHealth(reports.map((report) => report?.[kind] ?? null));
  }

  async #metrics(): Promise<string> {
    const reports = await this.#reports();
    const workers = reports.filter((report) => report !== null).map(({ metrics }) => metrics);
    return aggregate([await this.#options.meter.snapshot(), ...workers]);
  }

  #reports(): Promise<(WorkerReport | null)[]> {
    const { workers } = this.#options;
    return Promise.all(
      Array.from({ length: workers }, (_, index) => {
        const child = this.#children.get(index);
        return child === undefined ? Promise.resolve(null) : this.#ask(child);
      }),
    );
  }

  async #ask(child: ChildProcess): Promise<WorkerReport | null> {
    const { promise, resolve } = Promise.withResolvers<WorkerReport | null>();
    const take = (message: unknown): void => resolve(message as WorkerReport);
    const waiting = new AbortController();
    child.once("message", take);
    // Null: the channel is closed, the worker is going.
    child.send("report", (error) => error !== null && resolve(null));
    this.#options.clock.sleep(REPORT_WITHIN_MS, waiting.signal).then(
      () => resolve(null),
      // An answer came first.
      () => undefined,
    );
    const report = await promise;
    waiting.abort();
    child.off("message", take);
    return report;
  }
}

/** True in a process that a Supervisor has started. */
export const hasParent = (): boolean => process.send !== undefined;

/** The worker's side: answers each question with a fresh report, and drains when the parent is gone. */
export function answerParent(report: () => Promise<WorkerReport>): void {
  const drain = (): void => void process.kill(process.pid, "SIGTERM");
  if (process.connected) process.once("disconnect", drain);
  else drain();
  process.on("message", (message) => {
    if (message !== "report") return;
    report().then(
      // A parent that is gone meanwhile is noticed above, not here.
      (answer) => process.send?.(answer, undefined, undefined, () => undefined),
      // The parent takes silence for "does not answer", which is then the truth.
      () => undefined,
    );
  });
  // Answering must not keep a worker alive that has nothing else to do.
  process.channel?.unref();
}
