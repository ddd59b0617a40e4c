// The pipelines of app.ts under one checkout: its commands, its workers, and what they have come to. The recorder uses it
// with release 0.1.0, the test with the checkout that it is part of; neither loads code of the other.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Pipeline } from "#engine";
import type { AppFigures } from "../support/app-figures.ts";
import { appCommand, type App } from "../support/app.ts";
import { eventually } from "../support/eventually.ts";
import { WorkerProcess, type Owner } from "../support/worker-process.ts";
import type { Letter } from "./recording.ts";

export type Settings = Readonly<Record<string, string>>;
export type Env = Readonly<Record<string, string>>;
export const pipelineNames = ["shop", "till", "paging"] as const;

interface Checkout {
  /** The folder of the checkout. */
  readonly root: string;
  /** The app below it. */
  readonly app: string;
  readonly env: Env;
  readonly owner: Owner;
}

export class Session {
  readonly env: Env;
  readonly #checkout: Checkout;
  readonly #figures = new Map<string, AppFigures>();

  private constructor(checkout: Checkout) {
    this.env = checkout.env;
    this.#checkout = checkout;
  }

  static async open(checkout: Checkout): Promise<Session> {
    const session = new Session(checkout);
    const { root, app, env, owner } = checkout;
    const at = (file: string): string => pathToFileURL(join(root, file)).href;
    const { AppFigures: Figures } = (await import(at("test/support/app-figures.ts"))) as {
      AppFigures: typeof AppFigures;
    };
    const { pipelines } = (await import(at(app))) as { pipelines: readonly Pipeline[] };
    for (const one of pipelines) session.#figures.set(one.name, new Figures(one.plan(), env));
    owner.after(() => session.close());
    return session;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#figures.values()].map((figures) => figures.close()));
  }

  figures(pipeline: string): AppFigures {
    const figures = this.#figures.get(pipeline);
    assert.ok(figures !== undefined, pipeline);
    return figures;
  }

  get #program(): string {
    return join(this.#checkout.root, "bin/millrace.js");
  }

  #app(settings: Settings): App {
    const { root, app } = this.#checkout;
    return {
      execArgv: ["--import", pathToFileURL(join(root, "test/support/app-loader.ts")).href],
      env: { ...settings, MILLRACE_TEST_APP: join(root, app) },
    };
  }

  /** The output of a command; `codes` are the exit codes that it may have. */
  async command(argv: string, settings: Settings = {}, codes = [0]): Promise<string> {
    const words = argv.split(" ").map((word) => word.replaceAll("_", " "));
    const ended = await appCommand(this.#app(settings), words, this.env, this.#program);
    assert.ok(codes.includes(Number(ended.code)), `millrace ${argv}: ${ended.out}`);
    return ended.out;
  }

  async provide(): Promise<void> {
    await this.command("topics apply");
    await this.command("tables apply");
  }

  worker(pipeline: string, settings: Settings = {}): Promise<WorkerProcess> {
    const options = { args: [pipeline], env: this.env, app: this.#app(settings) };
    return WorkerProcess.start(this.#checkout.owner, { ...options, program: this.#program });
  }

  /** `reprocess run … --json` as a process that somebody may kill. */
  run(argv: string, settings: Settings = {}) {
    const app = this.#app(settings);
    const words = ["reprocess", "run", ...argv.split(" "), "--json"];
    const child = spawn(process.execPath, [...app.execArgv, this.#program, ...words], {
      env: { ...process.env, ...this.env, ...app.env },
      stdio: ["ignore", "pipe", "ignore"],
      detached: true,
    });
    const reports: { readonly done: number; readonly step: string }[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => {
      reports.push(JSON.parse(line) as (typeof reports)[number]);
    });
    const exit = new Promise<number | null>((resolve) => child.once("exit", resolve));
    const kill = (): void => {
      try {
        process.kill(-(child.pid ?? 0), "SIGKILL");
      } catch {
        // It has ended.
      }
    };
    this.#checkout.owner.after(async () => {
      kill();
      await exit;
    });
    return { reports, exit, kill };
  }

  /** Until every task of the pipeline has decided the end of its topics, except those of `others`. */
  async settled(pipeline: string, others: (topic: string) => boolean = () => false): Promise<void> {
    const figures = this.figures(pipeline);
    await eventually(
      `${pipeline} has worked off everything`,
      async () => {
        const progress = (await figures.progress()).filter(({ topic }) => !others(topic));
        const topics = [...new Set(progress.map(({ topic }) => topic))];
        const read = await Promise.all(topics.map((topic) => figures.admin.watermarks(topic)));
        const ends = new Map(
          read.flat().map((at) => [`${at.topic}-${String(at.partition)}`, at.high]),
        );
        const isThere = progress.every(
          ({ topic, partition, nextOffset }) =>
            nextOffset !== null && nextOffset >= (ends.get(`${topic}-${String(partition)}`) ?? 0n),
        );
        return isThere || null;
      },
      120_000,
    );
  }

  /** Every dead letter of every pipeline, as `dlq export` shows it. */
  async letters(): Promise<Letter[]> {
    const lettersOf = async (pipeline: string): Promise<Letter[]> => {
      const lines = (await this.command(`dlq export ${pipeline}`)).split("\n");
      const exported = lines.filter((line) => line.startsWith("{"));
      return exported.map((line) => letterOf(pipeline, JSON.parse(line) as Exported));
    };
    const all = (await Promise.all(pipelineNames.map(lettersOf))).flat();
    return all.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }
}

interface Exported extends Omit<Letter, "pipeline" | "value"> {
  readonly parked: boolean;
  readonly value: unknown;
  readonly error: string | null;
  readonly valueBase64: string | null;
}

/** By its value and not by its bytes, where it can be decoded: between parts, releases keep values in other forms. */
const letterOf = (pipeline: string, letter: Exported): Letter => ({
  pipeline,
  state: letter.parked ? "parked" : letter.state,
  redrives: letter.redrives,
  class: letter.class,
  code: letter.code,
  step: letter.step,
  topic: letter.topic,
  value: letter.error === null ? JSON.stringify(letter.value) : letter.valueBase64,
});
