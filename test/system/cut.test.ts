// Commands that print more than a pipe takes, behind a reader that stops after one line: they end by themselves, quietly, with
// the exit code of their own end.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { AppFigures } from "../support/app-figures.ts";
import { appOf, applyApp } from "../support/app.ts";
import { freshDatabase, type FreshDatabase } from "../support/fresh-database.ts";
import { sharedStack } from "../support/stack.ts";
import { bin, WorkerProcess } from "../support/worker-process.ts";

const prefix = `cut-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { sales, summing } = await import("../support/apps/totals.ts");
const app = appOf("totals", { TEST_TOPICS: prefix });

/** Each line has some hundred bytes, a pipe takes 64 KiB. */
const RECORDS = 3_000;
let database: FreshDatabase;
let env: Record<string, string>;
let figures: AppFigures;

before(async () => {
  database = await freshDatabase();
  env = { ...(await sharedStack()), DATABASE_URL: database.url };
  figures = new AppFigures(summing.plan(), env);
  await applyApp(app, env);
});
after(async () => {
  await figures.close();
  await database.drop();
});

interface Cut {
  readonly code: number;
  readonly line: string;
  readonly err: string;
}

/** The command behind `| head -1`; its own exit code goes to standard error behind everything that it says there. */
function cut(argv: readonly string[]): Promise<Cut> {
  const words = [process.execPath, ...app.execArgv, bin, ...argv].map((word) => `'${word}'`);
  const script = `{ ${words.join(" ")}; echo "exit $?" >&2; } | head -1`;
  const options = { env: { ...process.env, ...env, ...app.env }, timeout: 300_000 };
  return new Promise((resolve, reject) => {
    execFile("sh", ["-c", script], options, (error, out, text) => {
      if (error !== null) return reject(error);
      const [, err = "", code = ""] = /^([^]*?)exit (\d+)\n$/.exec(text) ?? [];
      resolve({ code: Number(code), line: out, err });
    });
  });
}

test("every command that prints much ends quietly when nobody reads on", async (t) => {
  const worker = await WorkerProcess.start(t, { args: ["--no-breaker"], env, app });
  await worker.ready();
  const producer = figures.clients.kafka.producer();
  const at = { topic: sales.name, partition: 0, key: Buffer.from("till"), headers: [] };
  const sale = (n: number): Buffer =>
    Buffer.from(n % 2 === 0 ? "no json" : JSON.stringify({ shop: `shop-${String(n)}`, amount: 1 }));
  for (let n = 0; n < RECORDS; n += 500) {
    const values = Array.from({ length: 500 }, (_, i) => sale(n + i));
    await producer.send(values.map((value) => ({ ...at, value, timestamp: Date.now() })));
  }
  await producer.close();
  await figures.drained();
  await worker.drain();
  const commands: readonly (readonly string[])[] = [
    ["consume", sales.name],
    ["consume", sales.name, "--follow"],
    ["consume", `${prefix}-dead-letters`],
    ["dlq", "list", prefix, "--letters", "--json"],
    ["dlq", "list", prefix, "--letters"],
    ["dlq", "export", prefix],
    ["dlq", "discard", prefix, "--reason", "tests", "--dry-run", "--json"],
  ];
  for (const argv of commands) {
    const { code, line, err } = await cut(argv);
    const what = argv.join(" ");
    assert.notEqual(line, "", `${what}: ${err}`);
    assert.equal(code, 0, `${what}: ${err}`);
    assert.doesNotMatch(err, /EPIPE|Error|^ {4}at /m, what);
  }
});
