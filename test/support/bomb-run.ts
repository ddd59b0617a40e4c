// A worker beside a topic to which somebody writes a bomb: its memory, its neighbour task, and the way out of it.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { TestContext } from "node:test";
import { AppFigures } from "./app-figures.ts";
import { appCommand, appOf, applyApp } from "./app.ts";
import { bombOf, sendCompressed, type BombCodec } from "./bombs.ts";
import { eventually } from "./eventually.ts";
import { peakOf } from "./peak.ts";
import type { StackEnv } from "./stack.ts";
import { WorkerProcess } from "./worker-process.ts";

const prefix = `bombed-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { copying, input, output } = await import("./apps/bombed.ts");
export { input };
export const pipelineName: string = prefix;
const app = appOf("bombed", { TEST_TOPICS: prefix });

export interface BombRun {
  readonly zeros: number;
  readonly boundBytes: number;
  readonly nodeOptions: string;
}

export class BombScene {
  readonly #run: BombRun;
  readonly #env: Record<string, string>;
  readonly #figures: AppFigures;
  #sent = 0;
  lastBombBytes = 0;
  /** The worker's most memory before and after the last bomb. */
  lastPeaks: readonly [before: number, after: number] = [0, 0];

  private constructor(run: BombRun, env: Record<string, string>) {
    this.#run = run;
    this.#env = env;
    this.#figures = new AppFigures(copying.plan(), env);
  }

  static async open(run: BombRun, servers: StackEnv): Promise<BombScene> {
    const env = {
      ...servers,
      MILLRACE_BATCH_BYTES_MAX: String(run.boundBytes),
      NODE_OPTIONS: run.nodeOptions,
    };
    await applyApp(app, env);
    const scene = new BombScene(run, env);
    await scene.#figures.admin.alterTopicConfig(input.name, { "max.message.bytes": "80000000" });
    return scene;
  }

  close(): Promise<void> {
    return this.#figures.close();
  }

  async #send(partition: number): Promise<void> {
    const producer = this.#figures.clients.kafka.producer();
    const value = Buffer.from(JSON.stringify({ n: ++this.#sent }));
    const at = { topic: input.name, partition, key: Buffer.from("k"), headers: [] };
    await producer.send([{ ...at, value, timestamp: Date.now() }]);
    await producer.close();
  }

  async #arrived(count: number): Promise<void> {
    await eventually(`${String(count)} records have arrived`, async () =>
      (await this.#figures.raw(output.name)).length === count ? true : null,
    );
  }

  async #worker(t: TestContext): Promise<WorkerProcess> {
    const worker = await WorkerProcess.start(t, { args: [prefix], env: this.#env, app });
    await worker.ready();
    return worker;
  }

  /** Returns by how much the worker's memory has risen beyond the bound, in bytes. */
  async survive(t: TestContext, codec: BombCodec): Promise<number> {
    const body = await bombOf(codec, this.#run.zeros);
    this.lastBombBytes = body.length;
    const at = { topic: input.name, partition: 0 };
    const worker = await this.#worker(t);
    await this.#send(0);
    await this.#arrived(this.#sent);
    const before = peakOf(worker.pid);
    const offset = await sendCompressed(String(this.#env["KAFKA_BROKERS"]), at, codec, body);
    const behind = this.#sent;
    await this.#send(0);
    const message = await eventually("the task stops", async () => {
      const tasks = (await worker.health())?.tasks ?? [];
      const stopped = tasks.find(({ state }) => state === "stopped");
      return stopped?.state === "stopped" && stopped.code === "MILL_BATCH_TOO_LARGE"
        ? stopped.message
        : null;
    });
    assert.ok(
      message.includes(`${input.name}-0, offsets ${String(offset)} to ${String(offset)}: `),
      message,
    );
    assert.ok(message.includes(`more than ${String(this.#run.boundBytes)} bytes`), message);
    await this.#send(1);
    await this.#arrived(behind + 1);
    this.lastPeaks = [before, peakOf(worker.pid)];
    const risen = this.lastPeaks[1] - before - this.#run.boundBytes;
    await worker.drain();

    const [, printed = ""] = /then: npx millrace (offsets reset .*)$/.exec(message) ?? [];
    const reset = await appCommand(app, [...printed.split(" "), "--yes"], this.#env);
    assert.equal(reset.code, 0, `${printed}\n${reset.out}`);
    const again = await this.#worker(t);
    await this.#arrived(this.#sent);
    await again.drain();
    return risen;
  }

  /** Follows the commands that such a reader prints at each bomb, to the last; returns how many there were. */
  async followed(argv: readonly string[], printed: RegExp): Promise<number> {
    for (let [bombs, next] = [0, argv]; ; bombs++) {
      const { code, out } = await appCommand(app, next, this.#env);
      if (code === 0) return bombs;
      const [, command = ""] = printed.exec(out) ?? [];
      assert.ok(code === 1 && command !== "" && out.includes("MILL_BATCH_TOO_LARGE"), out);
      next = command.split(" ");
    }
  }
}
