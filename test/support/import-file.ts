// A generated file of grocery lines with some bad ones, the command that imports it, and what is in the topic afterwards. Each
// line has a basket of its own, so that a record that is missing or there twice is seen.
import assert from "node:assert/strict";
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { closeSync, createReadStream, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { readTopic } from "../../src/data/read.ts";
import { compileCodec } from "../../src/engine/decode/codec.ts";
import { transactions } from "../../topics/retail.ts";
import { appOf, applyApp, appCommand, type App, type Ended } from "./app.ts";
import { eventually } from "./eventually.ts";
import { KafkaFixture } from "./kafka.ts";
import type { StackEnv } from "./stack.ts";

const COLUMNS =
  "household_id,store_id,basket_id,product_id,quantity,sales_value,retail_disc,coupon_disc,coupon_match_disc,week,transaction_timestamp";
const MONEY = "expected a decimal of at most 12 digits, 2 behind the point";
/** A cell that is wrong, by its column. */
const wrongs = [
  { column: "sales_value", at: 5, cell: "1.776357e-15", reason: MONEY },
  { column: "quantity", at: 4, cell: "many", reason: "expected a whole number" },
  { column: "coupon_disc", at: 7, cell: "0.125", reason: MONEY },
  {
    column: "transaction_timestamp",
    at: 10,
    cell: "2017-02-30 00:00:00",
    reason: "expected a day such as 2026-01-05",
  },
];

export interface Problem {
  readonly line: number;
  readonly column: string;
  readonly reason: string;
}

/** Writes `rows` lines, of which every `badEvery`th is wrong in one of four columns. */
export function writeImportFile(path: string, rows: number, badEvery: number): readonly Problem[] {
  const problems: Problem[] = [];
  const file = openSync(path, "w");
  let text = `${COLUMNS}\n`;
  for (let row = 1; row <= rows; row++) {
    const hour = String(row % 24).padStart(2, "0");
    const cells = [
      `h-${String(row % 2_500)}`,
      String(row % 300),
      String(row),
      `p-${String(row % 9_000)}`,
      "1",
      "0.5",
      "0.0",
      "0.0",
      "0.0",
      "1",
      `2017-01-01 ${hour}:53:26`,
    ];
    if (row % badEvery === 0) {
      const { column, at, cell, reason } = wrongs[problems.length % wrongs.length] ?? assert.fail();
      cells[at] = cell;
      problems.push({ line: row + 1, column, reason });
    }
    text += `${cells.join(",")}\n`;
    if (text.length < 1_000_000) continue;
    writeSync(file, text);
    text = "";
  }
  writeSync(file, text);
  closeSync(file);
  return problems;
}

const bin = fileURLToPath(new URL("../../bin/millrace.js", import.meta.url));

/** A topic of its own on the servers, and a folder that is gone after the test. */
export class Import {
  readonly folder = mkdtempSync(join(tmpdir(), "millrace-import-"));
  readonly topic: string;
  readonly #env: StackEnv;
  readonly #app: App;
  readonly #kafka: KafkaFixture;

  private constructor(name: string, env: StackEnv, kafka: KafkaFixture) {
    this.#env = env;
    this.#kafka = kafka;
    this.topic = `${name}.in`;
    this.#app = appOf("import", { IMPORT_TOPIC: name });
  }

  static async start(t: TestContext, env: StackEnv): Promise<Import> {
    const name = `import-${String(process.pid)}-${String(Date.now())}`;
    const made = new Import(name, env, await KafkaFixture.for(t, env.KAFKA_BROKERS));
    t.after(() => rmSync(made.folder, { recursive: true }));
    await applyApp(made.#app, { ...env });
    return made;
  }

  produce(...argv: readonly string[]): Promise<Ended> {
    return appCommand(this.#app, ["produce", this.topic, ...argv], { ...this.#env });
  }

  /** Ends the command by the signal when it has sent so many records, or more. */
  async interrupted(
    signal: "SIGKILL" | "SIGTERM",
    records: number,
    argv: readonly string[],
  ): Promise<Ended> {
    const wanted = (await this.#end()) + BigInt(records);
    const child = this.#spawned(argv);
    const ended = endOf(child);
    await eventually("records", async () => ((await this.#end()) > wanted ? true : null));
    child.kill(signal);
    return ended;
  }

  async #end(): Promise<bigint> {
    const admin = this.#kafka.port().admin();
    const marks = await admin.watermarks(this.topic).finally(() => admin.close());
    return marks.reduce((sum, { high }) => sum + high, 0n);
  }

  /** Sends the file through standard input. */
  piped(file: string, ...argv: readonly string[]): Promise<Ended> {
    const child = this.#spawned(["--file", "-", ...argv]);
    // A command that stops at a row reads no further.
    child.stdin.on("error", () => undefined);
    createReadStream(file).pipe(child.stdin);
    return endOf(child);
  }

  #spawned(argv: readonly string[]): ChildProcessWithoutNullStreams {
    const { PATH, HOME, NODE_COMPILE_CACHE } = process.env;
    const env = { PATH, HOME, NODE_COMPILE_CACHE, ...this.#env, ...this.#app.env };
    const args = [...this.#app.execArgv, bin, "produce", this.topic, ...argv];
    return spawn(process.execPath, args, { cwd: tmpdir(), env });
  }

  /** The baskets of every record that is in the topic, in order of their numbers. */
  async baskets(): Promise<number[]> {
    const port = this.#kafka.port();
    const schema = JSON.stringify((transactions.value.format as { schema: unknown }).schema);
    const codec = compileCodec(transactions.value.format, {
      schemas: { get: () => schema },
      writerId: null,
    });
    const baskets: number[] = [];
    const from = { kind: "earliest" } as const;
    const request = { topic: this.topic, partition: null, from, isFollowing: false };
    for await (const records of readTopic(port, request))
      for (const { value } of records)
        baskets.push((codec.decode(value ?? assert.fail()) as { basketId: number }).basketId);
    return baskets.sort((a, b) => a - b);
  }
}

function endOf(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  let out = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (piece: Buffer) => (out += piece.toString()));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, out })));
}

/** The line of the command with which a message says to go on. */
export const lineToGoOn = (out: string): string =>
  /--from-line (\d+)/.exec(out)?.[1] ?? assert.fail(out);

/** The basket of each row of the file that is right. */
export function goodBaskets(rows: number, badEvery: number): number[] {
  const all = Array.from({ length: rows }, (_, i) => i + 1);
  return all.filter((row) => row % badEvery !== 0);
}
