// `millrace reprocess …` of a test app as processes: each command run to its end, or kept, watched and killed.
import { spawn, type ChildProcess } from "node:child_process";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { appCommand, type App, type Ended } from "./app.ts";
import { eventually } from "./eventually.ts";
import { witness } from "./evidence.ts";
import { bin, type Exit, type Owner } from "./worker-process.ts";

type Env = Readonly<Record<string, string>>;

export interface Report {
  readonly run: number;
  readonly state: string;
  readonly step: string;
  readonly done: number;
  readonly total: number;
  readonly letters: number;
  readonly rateLimit: number | null;
  readonly liveLagMs: number | null;
  readonly behind: number | null;
}

/** `reprocess <argv>` run to its end. */
export const reprocess = (app: App, env: Env, ...argv: string[]): Promise<Ended> =>
  appCommand(app, ["reprocess", ...argv], env);

/** A run yields to live: on a busy machine, where live lags, it takes long to catch up. */
const FOLLOWS_MS = 180_000;

interface Started {
  readonly app: App;
  readonly env: Env;
  readonly argv: readonly string[];
  /** "run" unless said otherwise. */
  readonly verb?: string;
}

/** `reprocess run … --json` as a process. */
export class ReprocessRun {
  readonly reports: Report[] = [];
  readonly lines: string[] = [];
  readonly exit: Promise<Exit>;
  readonly #child: ChildProcess;

  constructor(owner: Owner, { app, env, argv, verb = "run" }: Started) {
    const child = spawn(
      process.execPath,
      [...app.execArgv, bin, "reprocess", verb, ...argv, "--json"],
      {
        cwd: tmpdir(),
        env: { ...process.env, ...env, ...app.env },
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      },
    );
    this.#child = child;
    this.exit = new Promise((resolve) =>
      child.once("exit", (code, signal) => resolve({ code, signal })),
    );
    createInterface({ input: child.stdout }).on("line", (line) =>
      this.reports.push(JSON.parse(line) as Report),
    );
    createInterface({ input: child.stderr }).on("line", (line) => this.lines.push(line));
    const isGone = witness({
      name: ["millrace reprocess", verb, ...argv].join(" "),
      lines: () => [...this.lines, JSON.stringify(this.last ?? "no report")],
    });
    owner.after(async () => {
      this.#endGroup();
      await this.exit;
      isGone();
    });
  }

  get last(): Report | undefined {
    return this.reports.at(-1);
  }

  /** Until a report is so. */
  until(what: string, isSo: (report: Report) => boolean): Promise<Report> {
    const look = (): Promise<Report | null> => {
      const { last } = this;
      return Promise.resolve(last !== undefined && isSo(last) ? last : null);
    };
    return eventually(`${what}\n${this.lines.join("\n")}`, look, FOLLOWS_MS);
  }

  /** The controller alone: its workers notice that it is gone. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  #endGroup(): void {
    try {
      process.kill(-(this.#child.pid ?? 0), "SIGKILL");
    } catch {
      // It has ended before.
    }
  }
}
