// `millrace run` as a process of its own: its log kept, its metrics read, signals sent to it. A test that forgets it
// leaves nothing behind: the process and its children are killed when the test ends.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Health } from "../../src/engine/observe/health.ts";
import { appCommand, type App } from "./app.ts";
import { eventually } from "./eventually.ts";
import { witness } from "./evidence.ts";

export const bin: string = fileURLToPath(new URL("../../bin/millrace.js", import.meta.url));

/** Servers that are away answer nobody. */
const LAG_MS = 20_000;

/** A line of the log; `message` is the whole line when it is no JSON. */
export interface LogLine {
  readonly message: string;
  readonly pid?: number;
  readonly [fact: string]: unknown;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Whose end is the end of its processes: a test, or a run of something longer. */
export interface Owner {
  after(work: () => Promise<void>): void;
}

export interface WorkerOptions {
  /** Arguments of `millrace run`. */
  readonly args: readonly string[];
  /** Addresses and settings, on top of the test's own environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Pipelines and tables of a test, instead of the repository's own. */
  readonly app?: App;
  /** The command line of another checkout. */
  readonly program?: string;
}

export class WorkerProcess {
  readonly lines: LogLine[] = [];
  readonly exit: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #port: number;
  #exit: Exit | null = null;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.#port = port;
    this.exit = new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve((this.#exit = { code, signal })));
    });
    for (const stream of [child.stdout, child.stderr])
      if (stream !== null)
        createInterface({ input: stream }).on("line", (line) => this.lines.push(parsed(line)));
  }

  static async start(owner: Owner, options: WorkerOptions): Promise<WorkerProcess> {
    const { args, env, app, program = bin } = options;
    const port = await freePort();
    const settings = { ...env, ...app?.env, MILLRACE_HTTP_PORT: String(port) };
    const child = spawn(process.execPath, [...(app?.execArgv ?? []), program, "run", ...args], {
      cwd: tmpdir(),
      env: { ...process.env, MILLRACE_LOG_LEVEL: "info", ...settings },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own, so that its children can be ended with it.
      detached: true,
    });
    const worker = new WorkerProcess(child, port);
    const isGone = witness({
      name: ["millrace run", ...args].join(" "),
      lines: () => worker.lines.map((line) => JSON.stringify(line)),
      answers: () => worker.#answers(options),
    });
    const end = (): void => worker.#endGroup();
    process.once("exit", end);
    owner.after(async () => {
      end();
      process.off("exit", end);
      await worker.exit;
      isGone();
    });
    return worker;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The address of its operations port. */
  get address(): string {
    return `http://127.0.0.1:${String(this.#port)}`;
  }

  get hasEnded(): boolean {
    return this.#exit !== null;
  }

  /** Process ids of its living children. */
  get children(): readonly number[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name) && parentOf(name) === this.pid)
      .map(Number);
  }

  /** To the process alone, not to its children. */
  kill(signal: NodeJS.Signals): void {
    assert.ok(this.#child.kill(signal), `${signal} reached nobody`);
  }

  /** To the process and its children at once, as a terminal does. */
  killGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  /** A line with this message, now or later. */
  async said(message: string): Promise<LogLine> {
    return eventually(`the worker says "${message}"`, () => {
      const line = this.lines.find((one) => one.message === message);
      if (line === undefined) assert.ok(!this.hasEnded, this.story());
      return line ?? null;
    });
  }

  async ready(): Promise<void> {
    await eventually("the worker is ready", async () => {
      assert.ok(!this.hasEnded, this.story());
      const answer = await this.#get("/ready").catch(() => null);
      return answer?.status === 200 ? true : null;
    });
  }

  /** What /ready (or /live) says; null while nobody answers. */
  async health(path: "/ready" | "/live" = "/ready"): Promise<Health | null> {
    const answer = await this.#get(path).catch(() => null);
    return answer === null ? null : ((await answer.json()) as Health);
  }

  async metrics(): Promise<Metrics> {
    const answer = await this.#get("/metrics");
    assert.equal(answer.status, 200);
    return new Metrics(await answer.text());
  }

  /** SIGTERM, and the end of it. */
  async drain(): Promise<Exit> {
    this.kill("SIGTERM");
    return this.exit;
  }

  /** The log as text, for messages of failed assertions. */
  story(): string {
    return this.lines.map((line) => JSON.stringify(line)).join("\n");
  }

  /** Its health and, from outside, its lag; how it has ended, once it has. */
  async #answers({ args, env, app, program }: WorkerOptions): Promise<readonly string[]> {
    if (this.#exit !== null) return [`ended: ${JSON.stringify(this.#exit)}`];
    const pipeline = args.slice(0, 1).filter((one) => !one.startsWith("-"));
    const lag = appCommand(app ?? { execArgv: [], env: {} }, ["lag", ...pipeline], env, program);
    const limit = delay(LAG_MS, { out: "lag: no answer" }, { ref: false });
    const { out } = await Promise.race([lag, limit]);
    return [`/ready: ${JSON.stringify(await this.health())}`, ...out.split("\n")];
  }

  #get(path: string): Promise<Response> {
    const signal = AbortSignal.timeout(5_000);
    return fetch(`${this.address}${path}`, { signal });
  }

  #endGroup(): void {
    try {
      this.killGroup("SIGKILL");
    } catch {
      // Nobody of the group is left.
    }
  }
}

/** A scrape. */
export class Metrics {
  readonly #lines: readonly string[];

  constructor(text: string) {
    this.#lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  }

  /** The sum of every series of this name that has these labels; 0 when there is none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    return this.#lines
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .filter((line) => wanted.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
  }

  /** Tasks that run here. */
  running(part: string): number {
    return this.sum("millrace_task_state", { part, state: "running" });
  }
}

function parsed(line: string): LogLine {
  try {
    const facts = JSON.parse(line) as Partial<LogLine> | null;
    if (typeof facts?.message === "string") return facts as LogLine;
  } catch {
    // Not a line of the log: it stands for itself.
  }
  return { message: line };
}

/** The fourth field of /proc/pid/stat, behind the name in parentheses; null for a process that is gone. */
function parentOf(pid: string): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return state === "Z" ? null : Number(parent);
  } catch {
    return null;
  }
}

/** False also for one that has ended and that nobody has asked about. */
export const isAlive = (pid: number): boolean => parentOf(String(pid)) !== null;

/** A port that is free now; another process may take it in between. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
