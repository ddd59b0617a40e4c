// Every pipeline of the repository live over generated orders and grocery lines, then each over the same range once more:
// what is in the run's tables must be what is in the live ones, row by row.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import type { Stack } from "../../src/stack/stack.ts";
import { eventually } from "./eventually.ts";
import { freshDatabase, type FreshDatabase } from "./fresh-database.ts";
import { bin, WorkerProcess } from "./worker-process.ts";

const execute = promisify(execFile);

/** Pipelines with the tables that each fills. */
const filled: Readonly<Record<string, readonly string[]>> = {
  "customer-orders": ["fact_orders", "dim_customers", "dim_products"],
  "customer-value": ["customer_value"],
  retail: ["retail_lines"],
  "retail-spend": ["household_spend", "department_spend"],
};

interface Inputs {
  /** Arguments of `produce`, one list a command. */
  readonly produce: readonly (readonly string[])[];
  readonly workers: number;
}

export async function checkIdentity(t: TestContext, stack: Stack, inputs: Inputs): Promise<void> {
  const database = await freshDatabase(stack.postgres.url);
  t.after(() => database.drop());
  const env = { ...process.env, ...stack.env, DATABASE_URL: database.url, MILLRACE_HTTP_PORT: "0" };
  const command = async (...args: readonly string[]): Promise<string> =>
    (await execute(process.execPath, [bin, ...args], { cwd: tmpdir(), env })).stdout;
  await command("topics", "apply");
  await command("tables", "apply");
  for (const args of inputs.produce) await command("produce", ...args);
  const live = { ...stack.env, DATABASE_URL: database.url };
  const worker = await WorkerProcess.start(t, { args: [], env: live as Record<string, string> });
  await eventually("live is through", async () => (await behind(command)) === 0 || null, 300_000);
  for (const [pipeline, tables] of Object.entries(filled)) {
    const out = await command("reprocess", "run", pipeline, "--workers", String(inputs.workers));
    t.diagnostic(out.trim());
    for (const table of tables) await assertSame(database, table);
  }
  await worker.drain();
}

async function behind(command: (...args: readonly string[]) => Promise<string>): Promise<number> {
  const lines = (await command("lag", "--json")).trim().split("\n");
  const lags = lines.map((line) => JSON.parse(line) as { records: number });
  return lags.reduce((sum, { records }) => sum + records, 0);
}

/** All columns but where a row came from and when it was written. */
const OURS = [
  ...["source_topic", "source_partition", "source_offset", "source_timestamp"],
  "processed_at",
];

async function assertSame(database: FreshDatabase, table: string): Promise<void> {
  const columns = (of: string): string =>
    `SELECT to_jsonb(t) - ARRAY[${OURS.map((name) => `'${name}'`).join(", ")}] FROM ${of} t`;
  const [found] = await database.query<{ rows: string; missing: string; extra: string }>(`
    SELECT (SELECT count(*) FROM ${table}) AS rows,
      (SELECT count(*) FROM (${columns(table)} EXCEPT ALL ${columns(`${table}_r1`)}) d) AS missing,
      (SELECT count(*) FROM (${columns(`${table}_r1`)} EXCEPT ALL ${columns(table)}) d) AS extra`);
  assert.ok(Number(found?.rows) > 0, `${table} is empty`);
  assert.deepEqual(
    { missing: found?.missing, extra: found?.extra },
    { missing: "0", extra: "0" },
    table,
  );
}

/** A catalogue for generated grocery lines; every tenth product stays unknown. */
export function productsFile(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-products-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "products.csv");
  const header =
    "product_id,manufacturer_id,department,brand,product_category,product_type,package_size";
  const rows = Array.from({ length: 20_001 }, (_, i) => 25_000 + i)
    .filter((id) => id % 10 !== 0)
    .map((id) => `${String(id)},69,D${String(id % 21)},Private,,,`);
  writeFileSync(file, [header, ...rows, ""].join("\n"));
  return file;
}

export const ordersInput: Inputs["produce"] = [
  ["customers", "--generate", "customers"],
  ["products", "--generate", "products"],
  [
    "customer_orders",
    ..."--generate orders --count 10000 --updates 2000 --repeats 500 --poison 10".split(" "),
  ],
];
