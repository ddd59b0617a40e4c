// What the lines of the spend app must have become, by a second, naive program over the topic itself: every change of
// every sum in its order, every row, every copy in Redis, every refund, and ledgers that balance.
import assert from "node:assert/strict";
import type { Redis } from "ioredis";
import { imbalanceOf, ledgerTotals } from "../../../src/engine/core/ledger.ts";
import type { AppFigures } from "../../support/app-figures.ts";
import { lines, refunds, spends, STORE, type Line, type Spend } from "../../support/apps/spend.ts";
import { copyKeys } from "../../support/copies-behind.ts";
import type { SpendScene } from "./spend-scene.ts";

/** Stops the feeder; everything that it sent is in the figures. */
export async function checkFigures(scene: SpendScene, redis: Redis): Promise<number> {
  const { feeder, sums } = scene;
  await feeder.stop();
  await Promise.all([sums.drained(), scene.refunds.drained()]);
  const source = await sums.values<Line>(lines.name);
  assert.ok(source.length >= feeder.acknowledged.length, "Kafka keeps what it acknowledged");
  const { changes, totals } = naive(source);
  same(textsOf(await sums.values<Spend>(spends.name)), changes, "changes of sums");
  await checkRows(sums, totals);
  await checkCopies(sums, redis, totals.size);
  await checkRefunds(scene.refunds, source);
  const main = await sums.ledger("main");
  assert.deepEqual(ledgerTotals(main), { consumed: source.length, emitted: source.length });
  const rows = await sums.ledger("household_spends");
  assert.deepEqual(ledgerTotals(rows), { consumed: changes.length, emitted: changes.length });
  assert.deepEqual([main, rows].map(imbalanceOf), [0, 0]);
  return source.length;
}

interface Naive {
  /** Household and sum after each line, in the order of the topic. */
  readonly changes: readonly string[];
  /** In cents. */
  readonly totals: ReadonlyMap<string, bigint>;
}

function naive(source: readonly Line[]): Naive {
  const totals = new Map<string, bigint>();
  const changes = source.map(({ household, amount }) => {
    const cents = BigInt(amount.toFixed(2).replace(".", ""));
    const total = (totals.get(household) ?? 0n) + cents;
    totals.set(household, total);
    return `${household} ${money(total)}`;
  });
  return { changes, totals };
}

function money(cents: bigint): string {
  const digits = String(cents < 0n ? -cents : cents).padStart(3, "0");
  return `${cents < 0n ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

const textsOf = (all: readonly Spend[]): string[] =>
  all.map(({ household, spend }) => `${household} ${spend.toFixed(2)}`);

/** Names the first difference: the lists are long. */
function same(found: readonly string[], wanted: readonly string[], what: string): void {
  const at = wanted.findIndex((text, i) => found[i] !== text);
  assert.equal(at < 0 ? null : `${String(at)}: ${String(found[at])}`, at < 0 ? null : wanted[at]);
  assert.equal(found.length, wanted.length, `number of ${what}`);
}

async function checkRows({ clients }: AppFigures, totals: Naive["totals"]): Promise<void> {
  const text = "SELECT household, spend::text FROM public.household_spends";
  const { rows } = await clients.pool.query<{ household: string; spend: string }>(text);
  const found = rows.map(({ household, spend }) => `${household} ${spend}`).sort();
  const wanted = [...totals].map(([household, cents]) => `${household} ${money(cents)}`).sort();
  same(found, wanted, "rows");
}

/** Each copy holds the last value of each key of its changelog, byte for byte, and nothing else. */
async function checkCopies(sums: AppFigures, redis: Redis, households: number): Promise<void> {
  const { name } = sums.plan.parts.flatMap(({ stores }) => stores)[0]?.changelog ?? { name: "" };
  const records = Map.groupBy(await sums.raw(name), ({ partition }) => partition);
  let keys = 0;
  for (const [partition, key] of copyKeys(sums.plan, STORE).entries()) {
    const last = new Map(
      (records.get(partition) ?? []).map((one) => [String(one.key), one.value?.toString("hex")]),
    );
    const copy = await redis.hgetallBuffer(key);
    const held = Object.entries(copy).filter(([field]) => !field.startsWith("\0"));
    assert.equal(held.length, last.size, `households in ${key}`);
    const wrong = held.filter(([field, value]) => last.get(field) !== value.toString("hex"));
    assert.deepEqual(wrong, [], `values of ${key} that are not those of its changelog`);
    keys += held.length;
  }
  assert.equal(keys, households);
}

async function checkRefunds(figures: AppFigures, source: readonly Line[]): Promise<void> {
  const back = source.filter(({ amount }) => amount.lt(0n));
  const texts = (all: readonly Line[]): string[] =>
    all.map(({ household, amount }) => `${household} ${amount.toFixed(2)}`);
  same(texts(await figures.values<Line>(refunds.name)), texts(back), "refunds");
  const consumed = source.length;
  const ledger = await figures.ledger("main");
  const emitted = back.length;
  assert.deepEqual(ledgerTotals(ledger), { consumed, emitted, filtered: consumed - emitted });
  assert.equal(imbalanceOf(ledger), 0);
}
