// Baskets and store hours of grocery lines, against a second, naive program over the same lines: of the real chain where
// the file is at hand, or generated ones.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decimal, seconds } from "#engine";
import { crash, pause, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { basketsAndHours } from "../../src/pipelines/retail-baskets.ts";
import { retailBaskets } from "../../src/tables/retail-baskets.ts";
import { storeHours } from "../../src/tables/store-hours.ts";
import { cleanTransactions, lateTransactions } from "../../topics/retail.ts";
import { realOrGenerated } from "../support/retail-figures.ts";
import {
  cellsOf,
  closingLines,
  shuffledWithinGrace,
  unclosed,
  windowsOf,
} from "../support/retail-windows.ts";

const PARTITIONS = cleanTransactions.partitions ?? 0;
const START = Date.UTC(2017, 0, 1, 9) / 1_000;

function line(csv: string): SimulatedStep {
  const { household, store, quantity, second } = cellsOf(csv);
  const [, , basket, product, , ...money] = csv.split(",");
  const [sales, retail, coupon, match] = money.map((text) =>
    decimal(/^\d+\.\d+$/.exec(text)?.[0] ?? "0"),
  );
  return send(cleanTransactions, household, {
    householdId: household,
    storeId: store,
    basketId: Number(basket),
    productId: product ?? "",
    quantity,
    salesValue: sales as never,
    retailDisc: retail as never,
    couponDisc: coupon as never,
    couponMatchDisc: match as never,
    week: 1,
    transactionTimestamp: second * 1_000,
  });
}

/** A line of a household at a minute behind nine o'clock. */
const bought = (minute: number, household = "7", store = "1"): string => {
  const time = new Date((START + minute * 60) * 1_000).toISOString().slice(0, 19).replace("T", " ");
  return `${household},${store},1,${String(minute)},1,2.50,0.00,0.00,0.00,1,${time}`;
};

type Result = Awaited<ReturnType<typeof simulate>>;

const made = ({ rows }: Result) => ({
  baskets: unclosed(
    rows(retailBaskets).map(({ householdId, startedAt, endedAt, lines, spend }) =>
      [householdId, startedAt / 1_000, endedAt / 1_000, lines, spend.toFixed(2)].join("|"),
    ),
  ),
  hours: unclosed(
    rows(storeHours).map(({ storeId, hour, lines, sales }) =>
      [storeId, hour / 1_000, lines, sales.toFixed(2)].join("|"),
    ),
  ),
});

const run = (csv: readonly string[], faults: readonly SimulatedStep[] = [], seed = 1) => {
  const steps = csv.map(line);
  const every = Math.ceil(steps.length / (faults.length + 1));
  const all = faults.flatMap((fault, i) => [...steps.slice(i * every, (i + 1) * every), fault]);
  const rest = steps.slice(faults.length * every);
  const closing = closingLines(csv, PARTITIONS).map(line);
  return simulate(basketsAndHours, [...all, ...rest, ...closing], { seed });
};

test("lines of a household at most 30 minutes apart are one basket", async () => {
  const { baskets } = made(await run([0, 30, 61].map((minute) => bought(minute))));
  assert.deepEqual(baskets, [
    `7|${String(START)}|${String(START + 1_800)}|2|5.00`,
    `7|${String(START + 3_660)}|${String(START + 3_660)}|1|2.50`,
  ]);
});

test("a store's hour has the lines of all households, and only those of the hour", async () => {
  const { hours } = made(
    await run([bought(0), bought(59, "8"), bought(60, "9"), bought(61, "8", "2")]),
  );
  assert.deepEqual(hours, [
    `1|${String(START)}|2|5.00`,
    `1|${String(START + 3_600)}|1|2.50`,
    `2|${String(START + 3_600)}|1|2.50`,
  ]);
});

test("a line that comes more than ten minutes late belongs to no basket, and lies in retail.late", async () => {
  const result = await run([bought(20), bought(10), bought(9)]);
  assert.deepEqual(made(result).baskets, [
    `7|${String(START + 600)}|${String(START + 1_200)}|2|5.00`,
  ]);
  const late = result.records(lateTransactions).map(({ value }) => value?.transactionTimestamp);
  assert.deepEqual(late, [(START + 540) * 1_000]);
});

/** A morning of the chain: the lines that `retail` lets through. */
const some = realOrGenerated()
  .csv.slice(0, 700)
  .filter((csv) => cellsOf(csv).quantity > 0);

test("baskets and hours are those of a plain script over the file", async () => {
  const result = await run(some);
  assert.deepEqual(made(result), windowsOf(some));
  assert.ok(made(result).baskets.length > 20);
});

for (const seed of [1, 2, 3])
  test(`in shuffled order, with crashes, rebalances and a zombie they are the same (${String(seed)})`, async () => {
    const shuffled = shuffledWithinGrace(some, seed);
    assert.notDeepEqual(shuffled, some);
    const result = await run(shuffled, [crash, rebalance, pause(seconds(15)), crash], seed);
    assert.deepEqual(made(result), windowsOf(some));
    assert.deepEqual(result.records(lateTransactions), []);
  });
