// The spend app at work on real servers: lines of households come without end and a worker sums them up. Some households
// come again and again and are in the worker's memory; others were counted by an earlier process and are only in Redis.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { decimal, type Decimal } from "../../../src/engine/core/decimal.ts";
import { partitionOf } from "../../../src/engine/core/record.ts";
import type { TaskHealth } from "../../../src/engine/observe/health.ts";
import { AppFigures } from "../../support/app-figures.ts";
import { applyApp, type App } from "../../support/app.ts";
import {
  lines,
  PARTITIONS,
  refunding,
  spending,
  spends,
  type Line,
} from "../../support/apps/spend.ts";
import { eventually } from "../../support/eventually.ts";
import { Feeder } from "../../support/feeder.ts";
import { WorkerProcess, type LogLine } from "../../support/worker-process.ts";

export { PARTITIONS };
/** Of the sums, of the rows behind them, of the refunds. */
export const TASKS = 3 * PARTITIONS;
export const PER_SECOND = 400;
const HOT = 500;
const BURST = 20_000;

export interface SceneOptions {
  readonly app: App;
  readonly env: Readonly<Record<string, string>>;
}

/** A copy that was brought up, as the log tells it. */
export interface BroughtUp {
  readonly changelog: string;
  readonly kind: "forward" | "rebuild";
  readonly changes: number;
  readonly ms: number;
}

export class SpendScene {
  readonly sums: AppFigures;
  readonly refunds: AppFigures;
  readonly feeder: Feeder;
  /** Only households that a worker has in memory after a few seconds. */
  isHotOnly = false;
  readonly #test: TestContext;
  readonly #options: SceneOptions;
  #cold = 0;
  /** The numbers that stand for new households. */
  #growth = { from: 0, to: 0 };

  private constructor(test: TestContext, options: SceneOptions, sums: AppFigures, encode: Encode) {
    this.#test = test;
    this.#options = options;
    this.sums = sums;
    this.refunds = new AppFigures(refunding.plan(sums.plan.namespace), options.env);
    this.feeder = new Feeder({
      kafka: sums.clients.kafka,
      perSecond: PER_SECOND,
      record: (n) => {
        const household = this.#householdOf(n);
        const key = Buffer.from(household);
        const partition = partitionOf(key, PARTITIONS, 0);
        const value = encode({ household, amount: amountOf(n) });
        return { topic: lines.name, partition, key, value, headers: [], timestamp: Date.now() };
      },
    });
    for (const figures of [sums, this.refunds]) test.after(() => figures.close());
    test.after(() => this.feeder.stop());
  }

  /** Makes the app's topics and tables, and lets lines come. */
  static async open(test: TestContext, options: SceneOptions): Promise<SpendScene> {
    const { app, env } = options;
    await applyApp(app, env);
    const sums = new AppFigures(spending.plan(env["MILLRACE_NAMESPACE"]), env);
    return new SpendScene(test, options, sums, await sums.encoder(lines.name));
  }

  worker(): Promise<WorkerProcess> {
    return WorkerProcess.start(this.#test, { args: [], ...this.#options });
  }

  /** New households, each once, until there are so many; cold for every worker that starts later. */
  async grow(cold: number): Promise<void> {
    while (this.#cold < cold) {
      const more = Math.min(BURST, cold - this.#cold);
      this.#growth = { from: this.feeder.next, to: this.feeder.next + more };
      this.#cold += more;
      await this.feeder.burst(more);
    }
  }

  #householdOf(n: number): string {
    const { from, to } = this.#growth;
    if (n >= from && n < to) return `cold-${String(this.#cold - to + n)}`;
    const isHot = this.isHotOnly || n % 2 === 0;
    return isHot ? `hot-${String((n * 7) % HOT)}` : `cold-${String((n * 13) % this.#cold)}`;
  }

  /** Until every part has decided what lay in its topic at this call. */
  async caughtUp(worker: WorkerProcess, limitMs?: number): Promise<void> {
    const { admin } = this.sums;
    const marks = await Promise.all([lines, spends].map(({ name }) => admin.watermarks(name)));
    const ends = new Map(
      marks.flat().map(({ topic, partition, high }) => [`${topic}/${String(partition)}`, high]),
    );
    const goesOn = async (): Promise<true | null> => {
      assert.ok(!worker.hasEnded, worker.story());
      const progress = await Promise.all([this.sums.progress(), this.refunds.progress()]);
      const isPast = progress.flat().every(({ topic, partition, nextOffset }) => {
        return (nextOffset ?? -1n) >= (ends.get(`${topic}/${String(partition)}`) ?? 0n);
      });
      return isPast || null;
    };
    await eventually("every part goes on", goesOn, limitMs);
  }

  /** The same, and all tasks run in this one worker. */
  async flows(worker: WorkerProcess): Promise<void> {
    await this.caughtUp(worker);
    await eventually("every task runs", async () =>
      (await tasksOf(worker)).filter(({ state }) => state === "running").length === TASKS
        ? true
        : null,
    );
  }
}

type Encode = (line: Line) => Buffer;

/** From -5.00 to 95.06. */
const amountOf = (n: number): Decimal => decimal(BigInt(((n * 7_919) % 10_007) - 500)).div(100n);

export const tasksOf = async (worker: WorkerProcess): Promise<readonly TaskHealth[]> =>
  (await worker.health())?.tasks ?? [];

/** Tasks of the sums. */
export const stateful = (tasks: readonly TaskHealth[]): readonly TaskHealth[] =>
  tasks.filter(({ pipeline, part }) => pipeline.endsWith(spending.name) && part === "main");

/** What a worker says from here on, or from a line of its log. */
export function listen(worker: WorkerProcess, from: number = worker.lines.length): Ear {
  const heard = (message: string): LogLine[] =>
    worker.lines.slice(from).filter((line) => line.message === message);
  return {
    heard,
    broughtUp: () => heard("a copy of state was brought up") as unknown as BroughtUp[],
  };
}

export interface Ear {
  heard(message: string): readonly LogLine[];
  broughtUp(): readonly BroughtUp[];
}

/** Until the copy of every partition was brought up since; the first time of each. */
export async function allBroughtUp(ear: Ear, worker: WorkerProcess): Promise<BroughtUp[]> {
  return eventually("every copy is brought up", () => {
    assert.ok(!worker.hasEnded, worker.story());
    const first = new Map(
      [...ear.broughtUp()].reverse().map((one) => [one.changelog, one] as const),
    );
    return first.size === PARTITIONS ? [...first.values()] : null;
  });
}
