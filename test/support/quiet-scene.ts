// A worker on the windows of apps/quiet.ts, and what its topics say of them: rows with the moment at which a reader saw each.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Plan } from "../../src/engine/core/plan.ts";
import type { OutRecord } from "../../src/engine/core/record.ts";
import type { Topic } from "#engine";
import { AppFigures } from "./app-figures.ts";
import { appOf, applyApp, type App } from "./app.ts";
import { eventually } from "./eventually.ts";
import { WorkerProcess } from "./worker-process.ts";
import type * as quietApp from "./apps/quiet.ts";
import type { View, ViewRow } from "./apps/quiet.ts";

type QuietApp = typeof quietApp;
type Env = Readonly<Record<string, string>>;

/** A row of a window, and when it was seen by a reader of committed records. */
export interface SeenRow extends ViewRow {
  readonly seenMs: number;
}

export class QuietScene {
  /** Once a file. */
  static #applied: Promise<void> | undefined;
  readonly quiet: QuietApp;
  readonly figures: AppFigures;
  readonly #test: TestContext;
  readonly #app: App;
  readonly #env: Env;
  #n = 0;
  #hasEnded = false;

  private constructor(test: TestContext, quiet: QuietApp, app: App, env: Env) {
    [this.#test, this.quiet, this.#app, this.#env] = [test, quiet, app, env];
    const [first] = quiet.pipelines;
    this.figures = new AppFigures((first as (typeof quiet.pipelines)[0]).plan(), env);
    test.after(() => {
      this.#hasEnded = true;
      return this.figures.close();
    });
  }

  /** TEST_TOPICS must be set before: the app reads it. */
  static async open(test: TestContext, env: Env): Promise<QuietScene> {
    const app = appOf("quiet", { TEST_TOPICS: process.env["TEST_TOPICS"] ?? "" });
    await (QuietScene.#applied ??= applyApp(app, env));
    return new QuietScene(test, await import("./apps/quiet.ts"), app, env);
  }

  /** A worker of these pipelines that has joined their groups. */
  async worker(names: readonly string[], settings: Env = {}): Promise<WorkerProcess> {
    const env = { ...this.#env, ...settings };
    const worker = await WorkerProcess.start(this.#test, { args: names, env, app: this.#app });
    await worker.ready();
    return worker;
  }

  /** A view of that moment, in a partition. */
  view(topic: Topic<string, View>, atMs: number, partition = 0): OutRecord {
    const value = { n: this.#n++, shop: `p${String(partition)}` };
    const key = Buffer.from(`p${String(partition)}`);
    const bytes = Buffer.from(JSON.stringify(value));
    return { topic: topic.name, partition, key, value: bytes, headers: [], timestamp: atMs };
  }

  async send(...records: readonly OutRecord[]): Promise<void> {
    const producer = this.figures.clients.kafka.producer();
    await producer.send(records);
    await producer.close();
  }

  /** Rows of a topic as they come, until the test ends. */
  rows(topic: Topic<string, ViewRow>): readonly SeenRow[] {
    const rows: SeenRow[] = [];
    const reader = this.figures.clients.kafka.reader({
      ...{ topic: topic.name, partition: 0, fromOffset: 0n, maxWaitMs: 50 },
    });
    const read = async (): Promise<void> => {
      while (!this.#hasEnded) {
        const { records } = await reader.read();
        const seenMs = Date.now();
        for (const { value } of records)
          rows.push({ ...(JSON.parse(String(value)) as ViewRow), seenMs });
      }
    };
    // The end of the test closes the clients under it.
    read().catch((error: unknown) => assert.ok(this.#hasEnded, String(error)));
    return rows;
  }

  /** The row of the window that has this moment. */
  async row(rows: readonly SeenRow[], atMs: number, key = "p0"): Promise<SeenRow> {
    const what = `the row of ${key} at ${String(atMs)}`;
    return eventually(what, () => rowAt(rows, atMs, key) ?? null);
  }

  /** So long a source that is not at fault is quiet by then: its window of this moment has closed. */
  async beat(rows: readonly SeenRow[], atMs: number): Promise<void> {
    await this.send(this.view(this.quiet.beats, atMs));
    await this.row(rows, atMs);
  }

  /** Records of a pipeline's part that were late. */
  async late(pipeline: string, part = "main"): Promise<number> {
    const plan = this.quiet.pipelines.find(({ name }) => name === pipeline)?.plan() as Plan;
    const figures = new AppFigures(plan, this.#env);
    const { late } = await figures.ledger(part).finally(() => figures.close());
    return Object.values(late).reduce((sum, many) => sum + many, 0);
  }
}

export const rowAt = (rows: readonly SeenRow[], atMs: number, key = "p0"): SeenRow | undefined =>
  rows.find((row) => row.key === key && row.start <= atMs && atMs < row.end);
