// The worker processes of a run. Knows which ends were asked for, brings the dead back, and watches memory, files and
// words of error.
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/eventually.ts";
import { WorkerProcess, type Exit, type WorkerOptions } from "../../support/worker-process.ts";
import type { Home } from "./home.ts";

const LOOK_MS = 2_000;
const READY_MS = 150_000;

/** The most that any worker has had. */
export interface Bounds {
  rssBytes: number;
  files: number;
}

export class Crew {
  readonly #home: Home;
  readonly #options: WorkerOptions;
  readonly #size: number;
  readonly #members: WorkerProcess[] = [];
  readonly #asked = new Set<WorkerProcess>();
  readonly #life = new AbortController();
  readonly #read = new Map<WorkerProcess, number>();
  readonly #expected: string[] = [];
  /** What should not have happened. */
  readonly troubles: string[] = [];
  readonly bounds: Bounds = { rssBytes: 0, files: 0 };
  /** Of the app, for those who start from now on. */
  settings: Readonly<Record<string, string>> = {};
  started = 0;

  constructor(home: Home, options: WorkerOptions, size: number) {
    this.#home = home;
    this.#options = options;
    this.#size = size;
    home.after(() => this.#life.abort());
    void this.#watch();
  }

  /** Those that live. */
  get members(): readonly WorkerProcess[] {
    return this.#members.filter(({ hasEnded }) => !hasEnded);
  }

  async start(): Promise<WorkerProcess> {
    const { app } = this.#options;
    const options = {
      ...this.#options,
      ...(app === undefined ? {} : { app: { ...app, env: { ...app.env, ...this.settings } } }),
    };
    const worker = await WorkerProcess.start(this.#home, options);
    this.#home.keepPid(worker.pid);
    this.#home.listen(`worker-${String(worker.pid)}`, () => worker.story());
    this.#members.push(worker);
    this.started++;
    void worker.exit.then((exit) => this.#hasEnded(worker, exit));
    return worker;
  }

  /** One of those that live, by a number from 0 to 1. */
  pick(share: number): WorkerProcess {
    const { members } = this;
    const member = members[Math.floor(share * members.length)];
    if (member === undefined) throw new Error("no worker is left");
    return member;
  }

  /** An end that is part of the plan; returns how it came. */
  async end(worker: WorkerProcess, signal: NodeJS.Signals): Promise<Exit> {
    this.expectEnd(worker);
    worker.kill(signal);
    return worker.exit;
  }
  expectEnd(worker: WorkerProcess): void {
    this.#asked.add(worker);
  }

  /** An end that was expected of it, and of others, has come to another. */
  forgive(worker: WorkerProcess): void {
    this.#asked.delete(worker);
  }

  /** From here on this code may be said as an error: a stop that is part of the plan. */
  expectStop(code: string): void {
    this.#expected.push(code);
  }

  /** What stopped tasks say, each once. */
  async stops(): Promise<readonly { readonly code: string; readonly message: string }[]> {
    const healths = await Promise.all(this.members.map((worker) => worker.health()));
    const tasks = healths.flatMap((health) => health?.tasks ?? []);
    return tasks.flatMap((task) => (task.state === "stopped" ? [task] : []));
  }

  /** Everybody leaves in good order; others come later. */
  async leave(): Promise<void> {
    await Promise.all(this.members.map((worker) => this.end(worker, "SIGTERM")));
  }

  /** As many workers as there should be, every one ready. */
  async whole(): Promise<void> {
    while (this.members.length < this.#size) await this.start();
    for (const worker of this.members)
      await eventually(
        `worker ${String(worker.pid)} is ready`,
        async () => ((await worker.health())?.ok === true || worker.hasEnded ? true : null),
        READY_MS,
      ).catch(async (error: unknown) => {
        const reasons = (await worker.health())?.reasons ?? ["no answer"];
        throw new Error(`${String(error)}: ${reasons.join("; ")}`);
      });
  }

  /** Sum of a metric over those that live. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const all = await Promise.all(
      this.members.map((worker) =>
        worker.metrics().then(
          (metrics) => metrics.sum(name, labels),
          () => 0,
        ),
      ),
    );
    return all.reduce((sum, n) => sum + n, 0);
  }

  /** How often its members, also dead ones, have said this since the place that `spoken` returned. */
  said(message: string, since: number): number {
    return this.#lines()
      .slice(since)
      .filter((text) => text === message).length;
  }
  get spoken(): number {
    return this.#lines().length;
  }

  #lines(): readonly string[] {
    return this.#members.flatMap(({ lines }) => lines.map(({ message }) => message));
  }

  /** Ends everybody in good order; returns those that did not. */
  async drain(): Promise<readonly string[]> {
    const exits = await Promise.all(this.members.map((worker) => this.end(worker, "SIGTERM")));
    this.#life.abort();
    return exits.filter(({ code }) => code !== 0).map((exit) => `drained with ${describe(exit)}`);
  }

  #hasEnded(worker: WorkerProcess, exit: Exit): void {
    this.#listen(worker);
    if (this.#asked.has(worker) || this.#life.signal.aborted) return;
    const last = worker.lines.slice(-5).map((line) => JSON.stringify(line));
    this.troubles.push(
      `worker ${String(worker.pid)} ended by itself, ${describe(exit)}: ${last.join(" ")}`,
    );
  }

  async #watch(): Promise<void> {
    const { signal } = this.#life;
    while (!signal.aborted) {
      for (const worker of this.members) {
        this.#listen(worker);
        this.#measure(worker);
      }
      // Its rejection says only that the run is over.
      await delay(LOOK_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  #listen(worker: WorkerProcess): void {
    const from = this.#read.get(worker) ?? 0;
    for (const line of worker.lines.slice(from)) {
      const text = JSON.stringify(line);
      const isExpected = this.#expected.some((code) => text.includes(code));
      if (line["level"] === "error" && !isExpected) this.troubles.push(`said: ${text}`);
    }
    this.#read.set(worker, worker.lines.length);
  }

  #measure({ pid }: WorkerProcess): void {
    try {
      const status = readFileSync(`/proc/${String(pid)}/status`, "utf8");
      const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
      this.bounds.rssBytes = Math.max(this.bounds.rssBytes, kilobytes * 1_024);
      const files = readdirSync(`/proc/${String(pid)}/fd`).length;
      this.bounds.files = Math.max(this.bounds.files, files);
    } catch {
      // It has just ended.
    }
  }
}

const describe = ({ code, signal }: Exit): string =>
  `code ${String(code)}, signal ${String(signal)}`;
