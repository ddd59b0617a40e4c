// The parent of several workers: starts a process for each, starts dead ones again with backoff, gives up when they die
// too often, and serves one aggregated /metrics, /live and /ready.
import type { ChildProcess } from "node:child_process";
import { aggregate, type MeterSnapshot, type PrometheusMeter } from "../../clients/prometheus.ts";
import type { Clock, Log } from "../../core/ports.ts";
import { mergeHealth, type Health } from "../../observe/health.ts";
import { serveOperations } from "../../observe/http.ts";
import type { Settings } from "./settings.ts";
import { onStopSignal } from "./signals.ts";

/** What a worker process tells its parent when asked. */
export interface WorkerReport {
  readonly live: Health;
  readonly ready: Health;
  readonly metrics: MeterSnapshot;
}

export interface SuperviseOptions {
  readonly workers: number;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly log: Log;
  /** The parent's own; joined with those of the workers. */
  readonly meter: PrometheusMeter;
  /** Forks one worker with an IPC channel. */
  spawn(index: number): ChildProcess;
}

const DEATHS_MAX = 5;
const DEATHS_WITHIN_MS = 60_000;
const REPORT_WITHIN_MS = 2_000;

/** Runs until a stop signal, or until workers die too often; returns the exit code. */
export class Supervisor {
  readonly #options: SuperviseOptions;
  readonly #children = new Map<number, ChildProcess>();
  readonly #deaths: number[] = [];
  #isStopping = false;
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
      ready: () => this.#health("ready"),
      metrics: () => this.#metrics(),
    });
    const ignore = onStopSignal((signal) => this.#stop(signal as NodeJS.Signals));
    await Promise.all(Array.from({ length: workers }, (_, index) => this.#keep(index)));
    ignore();
    await server.close();
    return this.#code;
  }

  /** One worker and its successors; resolves when it is not to be started again. */
  async #keep(index: number): Promise<void> {
    for (let failures = 0; !this.#isStopping; failures++) {
      const code = await this.#live(index);
      if (this.#isStopping || code === 78 || code === 0) {
        this.#code = Math.max(this.#code, code);
        return;
      }
      this.#options.log.error({ worker: index, code }, "a worker process has died");
      this.#options.meter.count("millrace_worker_restarts_total", {});
      if (this.#diedTooOften()) return this.#giveUp();
      await this.#options.clock.sleep(Math.min(10_000, 250 * 2 ** failures));
    }
  }

  #live(index: number): Promise<number> {
    return new Promise((resolve) => {
      const child = this.#options.spawn(index);
      this.#children.set(index, child);
      child.once("exit", (code, signal) => {
        this.#children.delete(index);
        resolve(code ?? (signal === null ? 1 : 128));
      });
    });
  }

  #diedTooOften(): boolean {
    const now = this.#options.clock.now();
    this.#deaths.push(now);
    return this.#deaths.filter((at) => at > now - DEATHS_WITHIN_MS).length >= DEATHS_MAX;
  }

  #giveUp(): void {
    this.#options.log.error({ deaths: DEATHS_MAX }, "workers die too often: giving up");
    this.#code = 1;
    this.#stop("SIGTERM");
  }

  #stop(signal: NodeJS.Signals): void {
    this.#isStopping = true;
    for (const child of this.#children.values()) child.kill(signal);
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

  #ask(child: ChildProcess): Promise<WorkerReport | null> {
    const late = this.#options.clock.sleep(REPORT_WITHIN_MS).then(() => null);
    const report = new Promise<WorkerReport | null>((resolve) => {
      child.once("message", (message) => resolve(message as unknown as WorkerReport));
      // Null: the channel is closed, the worker is going.
      child.send("report", (error) => error !== null && resolve(null));
    });
    return Promise.race([report, late]);
  }
}

/** The worker's side: answers each question with a fresh report. */
export function answerParent(report: () => Promise<WorkerReport>): void {
  process.on("message", (message) => {
    if (message !== "report") return;
    report().then(
      (answer) => process.send?.(answer),
      // The parent takes silence for "does not answer", which is then the truth.
      () => undefined,
    );
  });
}
