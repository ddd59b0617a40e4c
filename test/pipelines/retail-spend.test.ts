import assert from "node:assert/strict";
import { test } from "node:test";
import { decimal, seconds, type Decimal } from "#engine";
import {
  advance,
  crash,
  pause,
  rebalance,
  send,
  simulate,
  type Simulated,
  type SimulatedStep,
} from "#testing";
import { generateRetail } from "../../src/demo/retail.ts";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import { retailSpend, withDepartment } from "../../src/pipelines/retail-spend.ts";
import { departmentSpends } from "../../src/tables/department-spend.ts";
import { householdSpends } from "../../src/tables/household-spend.ts";
import { cleanTransactions, type RetailLine } from "../../topics/retail.ts";
import { retailProducts } from "../../topics/retail-products.ts";
import { spendByDepartment, spendByHousehold } from "../../topics/retail-spend.ts";

const product = (productId: string, department: string): SimulatedStep =>
  send(retailProducts, productId, {
    productId,
    manufacturerId: "69",
    department,
    brand: "Private",
    productCategory: null,
    productType: null,
    packageSize: null,
  });

const departments = ["GROCERY", "DELI", "MEAT", "FLORAL"];

/** Lines of few households and of few products, so that each comes up often. */
const lines = (count: number, seed: number): RetailLine[] =>
  [...generateRetail({ count, seed, households: 9 })]
    .map(({ value }) => ({ ...value, productId: String(Number(value.productId) % 25) }))
    .filter(({ quantity }) => quantity > 0);

const sent = (all: readonly RetailLine[]): SimulatedStep[] =>
  all.map((line) => send(cleanTransactions, line.householdId, line));

/** Every product but the last, which stays unknown. */
const catalogue: readonly SimulatedStep[] = Array.from({ length: 24 }, (_, i) =>
  product(String(i), departments[i % departments.length] ?? ""),
);

/** Cents by a second, naive program. */
function centsBy(all: readonly RetailLine[], by: (line: RetailLine) => string | null) {
  const cents: Record<string, number> = {};
  for (const line of all) {
    const key = by(line);
    if (key !== null) cents[key] = (cents[key] ?? 0) + Number(line.salesValue.toFixed(2)) * 100;
  }
  return Object.fromEntries(
    Object.entries(cents).map(([key, sum]) => [key, (Math.round(sum) / 100).toFixed(2)]),
  );
}

const departmentOf = ({ productId }: RetailLine): string | null =>
  productId === "24" ? null : (departments[Number(productId) % departments.length] ?? null);

function check(result: Simulated, all: readonly RetailLine[], what: string): void {
  const households = centsBy(all, ({ householdId }) => householdId);
  const spent = centsBy(all, departmentOf);
  const rowsOf = <R extends { spend: { toFixed(places: number): string } }>(
    rows: readonly R[],
    key: (row: R) => string,
  ) => Object.fromEntries(rows.map((row) => [key(row), row.spend.toFixed(2)]));
  const lastOf = <V extends { spend: { toFixed(places: number): string } }>(
    records: readonly { key: string; value: V | null }[],
  ) => Object.fromEntries(records.map(({ key, value }) => [key, value?.spend.toFixed(2)]));
  assert.deepEqual(lastOf(result.records(spendByHousehold)), households, what);
  assert.deepEqual(
    rowsOf(result.rows(householdSpends), (row) => row.householdId),
    households,
    what,
  );
  assert.deepEqual(lastOf(result.records(spendByDepartment)), spent, what);
  assert.deepEqual(
    rowsOf(result.rows(departmentSpends), (row) => row.department),
    spent,
    what,
  );
  assert.deepEqual(result.deadLetters, []);
}

/** By a seed, the same steps in another order. */
function shuffled(steps: readonly SimulatedStep[], seed: number): SimulatedStep[] {
  const random = seededRandom(seed);
  return steps
    .map((step) => ({ step, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ step }) => step);
}

test("spend is the same whether products come before their lines, behind them or among them", async () => {
  const all = lines(150, 1);
  const orders = {
    before: [...catalogue, ...sent(all)],
    behind: [...sent(all), ...catalogue],
    among: shuffled([...catalogue, ...sent(all)], 1),
  };
  for (const [what, steps] of Object.entries(orders))
    check(await simulate(retailSpend, steps), all, what);
});

test("crashes, rebalances and a pause past the session change nothing", async () => {
  const all = lines(90, 2);
  for (let seed = 1; seed <= 12; seed++) {
    const steps = shuffled([...catalogue, ...sent(all)], seed);
    const [third, fault] = [Math.ceil(steps.length / 3), seed % 3];
    const between = [crash, rebalance, pause(seconds(15))][fault] as SimulatedStep;
    const result = await simulate(
      retailSpend,
      [
        ...steps.slice(0, third),
        crash,
        ...steps.slice(third, 2 * third),
        between,
        ...steps.slice(2 * third),
        crash,
      ],
      { seed },
    );
    check(result, all, `seed ${String(seed)}`);
  }
});

const linesOf = (productId: string): RetailLine[] =>
  lines(8, 3).map((line) => ({ ...line, productId }));

const totalOf = (all: readonly RetailLine[]) =>
  all.reduce((sum, { salesValue }) => sum.plus(salesValue), decimal("0"));

test("spend on a product waits until its department is known, and is told at once then", async () => {
  const all = linesOf("7");
  const waiting = await simulate(retailSpend, sent(all));
  assert.deepEqual(waiting.records(spendByDepartment), []);
  // The state is a change too.
  assert.equal(waiting.ledger("by-product")["emitted"], all.length);
  const known = await simulate(retailSpend, [
    ...sent(all),
    advance(seconds(1)),
    product("7", "DELI"),
  ]);
  const [deli, ...more] = known.records(spendByDepartment).map(({ value }) => value);
  assert.deepEqual(more, []);
  assert.equal(deli?.department, "DELI");
  assert.deepEqual(deli.spend, totalOf(all));
});

test("a product that moves takes along what was spent on it", async () => {
  const all = linesOf("7");
  const { rows } = await simulate(retailSpend, [
    product("7", "DELI"),
    ...sent(all.slice(0, 4)),
    advance(seconds(1)),
    product("7", "MEAT"),
    ...sent(all.slice(4)),
  ]);
  const spends = rows(departmentSpends).map(({ department, spend }) => [department, spend]);
  assert.deepEqual(Object.fromEntries(spends), { DELI: decimal("0"), MEAT: totalOf(all) });
});

/** What a product's inputs tell each department, added up. */
function told(inputs: readonly Parameters<typeof withDepartment>[1][]): Record<string, string> {
  let state: Parameters<typeof withDepartment>[0] = null;
  const sums = new Map<string, Decimal>();
  for (const input of inputs) {
    const stepped = withDepartment(state, input);
    state = stepped.state;
    for (const { department, spend } of stepped.emit)
      sums.set(department, (sums.get(department) ?? decimal("0")).plus(spend));
  }
  return Object.fromEntries([...sums].map(([key, sum]) => [key, sum.toFixed(2)]));
}

const line = (spend: string) => ({ kind: "line", productId: "7", spend: decimal(spend) }) as const;
const belongs = (department: string) => ({ kind: "product", department }) as const;

test("a department has its line of nothing too, and no line none, whatever came first", () => {
  assert.deepEqual(told([line("0"), belongs("DELI")]), { DELI: "0.00" });
  assert.deepEqual(told([belongs("DELI"), line("0")]), { DELI: "0.00" });
  assert.deepEqual(told([belongs("DELI")]), {});
});

test("a product that comes again, or moves with nothing spent on it, tells nothing", () => {
  const after = (spend: string, department: string) =>
    withDepartment({ department: "DELI", spend: decimal(spend) }, belongs(department)).emit;
  assert.deepEqual(after("2.50", "DELI"), []);
  assert.deepEqual(after("0", "MEAT"), []);
});
