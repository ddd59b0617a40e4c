// Events out of order on real servers and a real worker: what comes of each key in Postgres, and the word under which each
// record ended, by `ledger check` and by the metrics.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf, applyApp } from "../../support/app.ts";
import type { Event } from "../../support/apps/late.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `late-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { events, late } = await import("../../support/apps/late.ts");
const app = appOf("late", { TEST_TOPICS: prefix });

let database: FreshDatabase;
let env: Record<string, string>;
let figures: AppFigures;

before(async () => {
  database = await freshDatabase();
  env = { ...(await sharedStack()), DATABASE_URL: database.url };
  figures = new AppFigures(late.plan(), env);
  await applyApp(app, env);
});
after(async () => {
  await figures.close();
  await database.drop();
});

/** An event of a key; a kind of null is a tombstone. */
type Sent = readonly [key: string, clock: string, seq: number, kind?: Event["kind"] | null];

async function send(...sent: readonly Sent[]): Promise<void> {
  const producer = figures.clients.kafka.producer();
  const records = sent.map(([key, clock, seq, kind = "open"]) => ({
    topic: events.name,
    partition: 0,
    key: Buffer.from(key),
    value: kind === null ? null : Buffer.from(JSON.stringify({ id: key, seq, kind })),
    headers: [],
    timestamp: Date.parse(`2026-01-05T${clock}:00Z`),
  }));
  await producer.send(records);
  await producer.close();
  await figures.drained();
}

const rowsOf = async (table: string): Promise<Record<string, number>> => {
  const rows = await database.query<{ key: string; n: number }>(`SELECT key, n FROM ${table}`);
  return Object.fromEntries(rows.map(({ key, n }) => [key, n]));
};

test("late events count in the row, deletes keep their time, and every record has its word", async (t) => {
  const worker = await WorkerProcess.start(t, { args: [], env, app });
  await worker.ready();
  // A key in three batches, another in one.
  await send(["a", "10:00", 1]);
  await send(["a", "10:05", 2]);
  await send(["a", "09:00", 3], ["b", "10:00", 1], ["b", "10:05", 2], ["b", "09:00", 3]);
  assert.deepEqual(await rowsOf("counts"), { a: 3, b: 3 });
  // The events themselves have times of their own, so the late ones lose.
  assert.deepEqual(await rowsOf("newest"), { a: 2, b: 2 });

  // A state that ends begins anew, however late.
  await send(["a", "11:00", 4, "end"]);
  await send(["a", "08:00", 5]);
  // A tombstone is told with its key's state, and a second one finds none.
  await send(["b", "11:00", 0, null], ["b", "11:01", 0, null]);
  // A repeat, and one that says something else.
  await send(["a", "08:00", 5], ["a", "08:00", 5, "end"]);
  assert.deepEqual(await rowsOf("counts"), { a: 1, b: -3 });

  const checked = await appCommand(app, ["ledger", "check", prefix, "--json"], env);
  assert.equal(checked.code, 0, checked.out);
  const ledgers = new Map(
    checked.out
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as { part: string; ledger: Record<string, unknown> })
      .map(({ part, ledger }) => [part, ledger]),
  );
  const words = (part: string, ...names: string[]): unknown[] =>
    names.map((name) => ledgers.get(part)?.[name]);
  assert.deepEqual(
    words("main", "consumed", "emitted", "deduplicated", "tombstone"),
    [12, 9, 1, 1],
  );
  assert.deepEqual(ledgers.get("main")?.["dead-lettered"], { rule: 1 });
  assert.deepEqual(words("counts", "consumed", "emitted", "superseded"), [9, 9, 0]);
  // Late are a3, b3, a5 and its two repeats.
  assert.deepEqual(
    words("newest", "consumed", "emitted", "superseded", "tombstone"),
    [12, 5, 5, 2],
  );

  const text = await appCommand(app, ["ledger", "check", prefix], env);
  assert.match(text.out, /newest .* emitted 5, superseded 5, tombstone 2 +balanced/);
  const metrics = await worker.metrics();
  const counted = (outcome: string): number =>
    metrics.sum("millrace_ledger_records_total", { part: "newest", outcome });
  assert.deepEqual([counted("superseded"), counted("tombstone")], [5, 2]);
  assert.ok(worker.lines.some(({ message }) => message.includes("a deleted key keeps its row")));
});

test("describe says what decides in a table, and that it keeps rows", async () => {
  const { out } = await appCommand(app, ["describe", prefix], env);
  assert.match(out, /counts +upsert by event time keeps rows of deleted keys/);
});
