// The pipelines retail and retail-spend over six weeks of a real chain's tills (or generated lines), and what must come of
// them by a second, naive program over the same file.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, type TestContext } from "node:test";
import { gunzipSync } from "node:zlib";
import { imbalanceOf, ledgerTotals } from "../../../src/engine/core/ledger.ts";
import { retailSpend } from "../../../src/pipelines/retail-spend.ts";
import type { Stack } from "../../../src/stack/stack.ts";
import { spendByDepartment, spendByHousehold } from "../../../topics/retail-spend.ts";
import { retailProducts } from "../../../topics/retail-products.ts";
import { AppFigures } from "../../support/app-figures.ts";
import { realFile, realOrGenerated } from "../../support/retail-figures.ts";
import { RetailRun } from "../../support/retail-run.ts";
import type { WorkerProcess } from "../../support/worker-process.ts";

export const expected = realOrGenerated();
const folder = mkdtempSync(join(tmpdir(), "millrace-products-"));
after(() => rmSync(folder, { recursive: true }));

const realProducts = join(dirname(realFile), "retail-products.csv.gz");
const productsFile = expected.isReal ? realProducts : generatedProducts();

/** Of the generated lines' products all but every tenth, which stays unknown. */
function generatedProducts(): string {
  const file = join(folder, "products.csv");
  const header =
    "product_id,manufacturer_id,department,brand,product_category,product_type,package_size";
  const rows = Array.from({ length: 20_001 }, (_, i) => 25_000 + i)
    .filter((id) => id % 10 !== 0)
    .map((id) => `${String(id)},69,D${String(id % 21)},Private,,,`);
  writeFileSync(file, [header, ...rows, ""].join("\n"));
  return file;
}

type Sums = Readonly<Record<string, string>>;

interface Wanted {
  readonly products: number;
  readonly households: Sums;
  readonly departments: Sums;
}

/** The naive program: cells by their place, money in whole cents. */
function naive(): Wanted {
  const catalogue = textOf(productsFile).trimEnd().split("\n").slice(1);
  const departmentOf = new Map<string, string>();
  for (const row of catalogue) {
    const [product = "", , department = ""] = row.split(",");
    departmentOf.set(product, department);
  }
  const households = new Map<string, bigint>();
  const departments = new Map<string, bigint>();
  for (const row of expected.csv) {
    const [household, , , product, quantity, sales] = row.split(",") as [string, ...string[]];
    if (Number(quantity) <= 0) continue;
    const cents = BigInt(String(sales).replace(".", ""));
    households.set(household, (households.get(household) ?? 0n) + cents);
    const department = departmentOf.get(String(product));
    if (department !== undefined)
      departments.set(department, (departments.get(department) ?? 0n) + cents);
  }
  const products = catalogue.length;
  return { products, households: inMoney(households), departments: inMoney(departments) };
}

function textOf(file: string): string {
  const bytes = readFileSync(file);
  return (file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
}

function inMoney(sums: ReadonlyMap<string, bigint>): Sums {
  const money = (cents: bigint): string => {
    const digits = String(cents).padStart(3, "0");
    return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
  };
  return Object.fromEntries([...sums].map(([key, cents]) => [key, money(cents)]));
}

export const wanted = naive();

/** Both pipelines on one run's servers; what they made is read from Kafka and Postgres. */
export class SpendRun {
  readonly lines: RetailRun;
  readonly figures: AppFigures;

  private constructor(lines: RetailRun, figures: AppFigures) {
    this.lines = lines;
    this.figures = figures;
  }

  static async prepare(t: TestContext, stack: Stack, namespace: string): Promise<SpendRun> {
    const old = [retailProducts, spendByHousehold, spendByDepartment].map(({ name }) => name);
    const env = { ...stack.env, MILLRACE_NAMESPACE: namespace };
    const sweeper = new AppFigures(retailSpend.plan(namespace), env);
    const found = await sweeper.admin.listTopics();
    await sweeper.admin.deleteTopics(old.filter((topic) => found.includes(topic)));
    await sweeper.close();
    const lines = await RetailRun.prepare(t, { stack, namespace });
    const own = { ...env, DATABASE_URL: lines.database.url };
    const figures = new AppFigures(retailSpend.plan(namespace), own);
    t.after(() => figures.close());
    return new SpendRun(lines, figures);
  }

  sendProducts(): Promise<string> {
    return this.lines.command("produce", retailProducts.name, "--file", productsFile);
  }

  worker(env: Readonly<Record<string, string>> = {}): Promise<WorkerProcess> {
    return this.lines.worker([retailSpend.name], env);
  }

  /** How many clean lines are in the sums of households. */
  async summed(): Promise<number> {
    return (await this.figures.ledger("main")).consumed;
  }

  /** Every figure: last records of both topics, both tables, and ledgers that balance. */
  async check(): Promise<void> {
    await this.lines.drained(expected);
    await this.figures.drained();
    await this.#checkTopics();
    await this.#checkTables();
    await this.#checkLedgers();
  }

  async #checkTopics(): Promise<void> {
    interface Spend {
      readonly householdId?: string;
      readonly department?: string;
      readonly spend: { toFixed(places: number): string };
    }
    const last = async (topic: string): Promise<Sums> => {
      const values = await this.figures.values<Spend>(topic);
      const sums = values.map((value) => [
        value.householdId ?? value.department ?? "",
        value.spend.toFixed(2),
      ]);
      return Object.fromEntries(sums) as Sums;
    };
    assert.deepEqual(await last(spendByHousehold.name), wanted.households);
    assert.deepEqual(await last(spendByDepartment.name), wanted.departments);
  }

  async #checkTables(): Promise<void> {
    const rows = async (text: string): Promise<Sums> => {
      const found = await this.lines.database.query<{ key: string; spend: string }>(text);
      return Object.fromEntries(found.map(({ key, spend }) => [key, spend]));
    };
    assert.deepEqual(
      await rows("SELECT household_id AS key, spend::text FROM household_spend"),
      wanted.households,
    );
    assert.deepEqual(
      await rows("SELECT department AS key, spend::text FROM department_spend"),
      wanted.departments,
    );
  }

  async #checkLedgers(): Promise<void> {
    const { rows } = expected;
    for (const { name } of this.figures.plan.parts) {
      const ledger = await this.figures.ledger(name);
      assert.equal(imbalanceOf(ledger), 0, name);
      assert.deepEqual(ledger["dead-lettered"], {}, name);
    }
    const totals = async (part: string) => ledgerTotals(await this.figures.ledger(part));
    assert.deepEqual(await totals("main"), { consumed: rows, emitted: rows });
    const all = rows + wanted.products;
    assert.deepEqual(await totals("by-product"), { consumed: all, emitted: all });
  }
}
