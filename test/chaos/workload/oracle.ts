// The second, naive program: from the dumped input topic straight to what the clean topic, the letters, the sums, both
// tables and the ledgers must hold, and what is missing or too much in each.
import { imbalanceOf, ledgerTotals } from "../../../src/engine/core/ledger.ts";
import { headerText, type RawRecord } from "../../../src/engine/core/record.ts";
import type { World } from "../world/world.ts";
import { Findings } from "./findings.ts";
import { moneyText, readOrder, readTotal, type NaiveOrder, type NaiveTotal } from "./naive.ts";
import type { Fate } from "./traffic.ts";

interface Input {
  readonly partition: number;
  readonly offset: bigint;
  /** The sender's number. */
  readonly n: number;
  readonly fate: Fate;
  readonly key: string | null;
  readonly value: Buffer | null;
  /** Null where it cannot be read, or is a tombstone. */
  readonly order: NaiveOrder | null;
}

const passes: ReadonlySet<Fate> = new Set(["good", "keyless", "tombstone", "sink"]);

export interface Judgement {
  readonly findings: Findings;
  readonly records: number;
  readonly letters: number;
  readonly rows: number;
  readonly sums: number;
}

export interface Circumstances {
  /** What was read of the input, where the topic itself has less by now. */
  readonly inputs?: readonly RawRecord[];
  /** Ledgers of what was put elsewhere begin at zero. */
  readonly hasWholeLedgers?: boolean;
}

/** Everything must have been decided before. */
export async function judge(world: World, given: Circumstances = {}): Promise<Judgement> {
  const findings = new Findings();
  const { checking, app } = world;
  const dump = given.inputs ?? (await checking.raw(app.orders.name));
  const inputs = dump.map(inputOf);
  const sent = new Set(inputs.map(({ n }) => n));
  const forgotten = world.traffic.feeder.acknowledged.filter((n) => !sent.has(n));
  if (forgotten.length > 0 && given.inputs === undefined)
    findings.lose(`acknowledged inputs, first ${String(forgotten[0])}`, forgotten.length);
  const clean = inputs.filter(({ fate }) => passes.has(fate));
  compareClean(await checking.raw(app.clean.name), clean, findings);
  const counted = firstOnes(clean);
  const totals = (await checking.raw(app.totals.name)).flatMap(({ value }) =>
    value === null ? [] : [readTotal(value)],
  );
  compareTotals(totals, counted, findings);
  const letters = await compareLetters(world, inputs, findings);
  const rows = await compareOrderRows(world, clean, findings);
  await compareTotalRows(world, totals, findings);
  if (given.hasWholeLedgers !== false)
    await compareLedgers(world, { inputs, clean, counted }, findings);
  return { findings, records: inputs.length, letters, rows, sums: counted.length };
}

function inputOf({ partition, offset, headers, key, value }: RawRecord): Input {
  const fate = headerText(headers, "fate") as Fate;
  const isReadable = value !== null && !["decode", "schema"].includes(fate);
  return {
    partition,
    offset,
    n: Number(headerText(headers, "n")),
    fate,
    key: key === null ? null : key.toString("latin1"),
    value,
    order: isReadable ? readOrder(value) : null,
  };
}

/** Of a customer's orders with one id only the first is counted; without a key none is. */
function firstOnes(clean: readonly Input[]): readonly Input[] {
  const seen = new Set<string>();
  return clean.filter(({ key, order }) => {
    if (key === null || order === null) return false;
    const name = `${key}/${order.id}`;
    if (seen.has(name)) return false;
    seen.add(name);
    return true;
  });
}

const lineOf = ({ id, customer, shop, cents, note }: NaiveOrder): string =>
  [id, customer, shop.toLowerCase(), moneyText(cents), note.slice(0, 40)].join("|");

/** Partition after partition in the order of the input. */
function compareClean(found: readonly RawRecord[], wanted: readonly Input[], to: Findings): void {
  const textOf = (key: string | null, order: NaiveOrder | null): string =>
    `${key ?? "no key"} ${order === null ? "tombstone" : lineOf(order)}`;
  const is = found.map(({ partition, key, value }) => ({
    partition,
    text: textOf(key?.toString("latin1") ?? null, value === null ? null : readOrder(value)),
  }));
  const shouldBe = wanted.map(({ partition, key, order }) => ({
    partition,
    text: textOf(key, order),
  }));
  to.compare(
    is.map(({ text }) => text),
    shouldBe.map(({ text }) => text),
    "clean order",
  );
  const at = shouldBe.findIndex(
    ({ partition, text }, i) => is[i]?.partition !== partition || is[i].text !== text,
  );
  if (at >= 0)
    to.fault(
      `clean order ${String(at)}: ${String(is[at]?.text)}, not ${String(shouldBe[at]?.text)}`,
    );
}

/** Each shop's sum after each of its orders, and each key.s orders in a shop as they came. */
function compareTotals(
  found: readonly NaiveTotal[],
  counted: readonly Input[],
  to: Findings,
): void {
  const orders = new Map(counted.map(({ order }) => [order?.id ?? "", order as NaiveOrder]));
  to.compare(
    found.map(({ last }) => last),
    [...orders.keys()],
    "order in sums",
  );
  for (const [shop, totals] of Map.groupBy(found, (total) => total.shop))
    compareShop(shop, totals, { orders, to });
  // By key, not by customer: what was sent without its own key lies elsewhere, and keeps no order with the rest.
  compareOrder(found, new Map(counted.map(({ key, order }) => [order?.id ?? "", key ?? ""])), to);
}

interface Sums {
  readonly orders: ReadonlyMap<string, NaiveOrder>;
  readonly to: Findings;
}

function compareShop(shop: string, totals: readonly NaiveTotal[], { orders, to }: Sums): void {
  let cents = 0n;
  for (const [at, total] of totals.entries()) {
    const order = orders.get(total.last);
    cents += order?.cents ?? 0n;
    const isExact = total.orders === at + 1 && total.cents === cents;
    if (!isExact || order?.shop.toLowerCase() !== shop)
      to.fault(
        `sum ${String(at + 1)} of ${shop}: ${String(total.orders)}, ${moneyText(total.cents)}`,
      );
  }
}

function compareOrder(
  found: readonly NaiveTotal[],
  keys: ReadonlyMap<string, string>,
  to: Findings,
): void {
  const place = new Map([...keys.keys()].map((id, at) => [id, at]));
  const latest = new Map<string, number>();
  for (const { shop, last } of found) {
    const buyer = `${String(keys.get(last))}/${shop}`;
    const now = place.get(last) ?? -1;
    if (now < (latest.get(buyer) ?? -1)) to.fault(`order of ${buyer} at ${last}`);
    latest.set(buyer, now);
  }
}

/** Key and value byte for byte. */
function isOriginal({ key, value }: RawRecord, input: Input | null): boolean {
  if (input === null || (key?.toString("latin1") ?? null) !== input.key) return false;
  return value === null || input.value === null ? value === input.value : value.equals(input.value);
}

async function compareLetters(
  { checking, summing, app }: World,
  inputs: readonly Input[],
  to: Findings,
): Promise<number> {
  const own = await checking.raw(checking.plan.deadLetters);
  const text = ({ headers }: RawRecord, name: string): string =>
    headerText(headers, `dlq.${name}`) ?? "";
  const isSink = (letter: RawRecord): boolean => text(letter, "stage") === "sink";
  const classOf = (fate: Fate): string => (fate === "refused" ? "sink" : fate);
  const isOf = (letter: RawRecord): string =>
    [text(letter, "class"), text(letter, "partition"), text(letter, "offset")].join(" ");
  const wanted = inputs.filter(({ fate }) => !passes.has(fate));
  to.compare(
    own.filter((letter) => !isSink(letter)).map(isOf),
    wanted.map(
      ({ fate, partition, offset }) => `${classOf(fate)} ${String(partition)} ${String(offset)}`,
    ),
    "letter",
  );
  const origin = new Map(
    wanted.map((one) => [`${String(one.partition)} ${String(one.offset)}`, one]),
  );
  for (const letter of own.filter((one) => !isSink(one))) {
    const input = origin.get(`${text(letter, "partition")} ${text(letter, "offset")}`) ?? null;
    if (!isOriginal(letter, input) || text(letter, "topic") !== app.orders.name)
      to.fault(`letter of ${isOf(letter)} is not what was sent`);
  }
  // From a table a letter may come twice, under one id.
  const refused = new Map(own.filter(isSink).map((letter) => [text(letter, "id"), letter]));
  to.compare(
    [...refused.values()].map(({ value }) => (value === null ? "" : readOrder(value).id)),
    inputs.flatMap(({ fate, order }) => (fate === "sink" ? [order?.id ?? ""] : [])),
    "letter of the table",
  );
  to.same((await summing.raw(summing.plan.deadLetters)).length, 0, "letters of sums");
  return wanted.length + refused.size;
}

async function compareOrderRows(
  { checking }: World,
  clean: readonly Input[],
  to: Findings,
): Promise<number> {
  const text = "SELECT id, customer, shop, amount::text, note FROM public.order_rows";
  const { rows } = await checking.clients.pool.query<{
    readonly id: string;
    readonly customer: string;
    readonly shop: string;
    readonly amount: string;
    readonly note: string;
  }>(text);
  const wanted = new Map(
    clean.flatMap(({ fate, order }) =>
      order === null || fate === "sink" ? [] : [[order.id, lineOf(order)] as const],
    ),
  );
  to.compare(
    rows.map((row) =>
      [row.id, row.customer, row.shop, row.amount, row.note.slice(0, 40)].join("|"),
    ),
    [...wanted.values()],
    "row of an order",
  );
  return rows.length;
}

async function compareTotalRows(
  { summing }: World,
  totals: readonly NaiveTotal[],
  to: Findings,
): Promise<void> {
  const text = "SELECT shop, orders, sum::text, last FROM public.shop_totals";
  const { rows } = await summing.clients.pool.query<{
    readonly shop: string;
    readonly orders: number;
    readonly sum: string;
    readonly last: string;
  }>(text);
  const last = new Map(
    totals.map((t) => [t.shop, [t.shop, t.orders, moneyText(t.cents), t.last].join("|")]),
  );
  to.compare(
    rows.map(({ shop, orders, sum, last: id }) => [shop, orders, sum, id].join("|")),
    [...last.values()],
    "row of a shop",
  );
}

interface Counted {
  readonly inputs: readonly Input[];
  readonly clean: readonly Input[];
  readonly counted: readonly Input[];
}

async function compareLedgers(
  { checking, summing }: World,
  { inputs, clean, counted }: Counted,
  to: Findings,
): Promise<void> {
  const count = (isIt: (input: Input) => boolean): number => clean.filter(isIt).length;
  const keyless = count(({ key, order }) => key === null && order !== null);
  const tombstones = count(({ order }) => order === null);
  const n = clean.length;
  const repeats = n - keyless - tombstones - counted.length;
  const wanted: [typeof checking, string, Record<string, number>][] = [
    [checking, "main", { consumed: inputs.length, "dead-lettered": inputs.length - n, emitted: n }],
    [
      summing,
      "main",
      {
        consumed: n,
        emitted: counted.length,
        deduplicated: repeats,
        "null-key": keyless,
        tombstone: tombstones,
      },
    ],
    [summing, "by-shop", { consumed: counted.length, emitted: counted.length }],
    [summing, "shop_totals", { consumed: counted.length, emitted: counted.length }],
  ];
  for (const [figures, part, totals] of wanted) {
    const ledger = await figures.ledger(part);
    const isThere = Object.entries(totals).filter(([, value]) => value !== 0);
    to.same(ledgerTotals(ledger), Object.fromEntries(isThere), `ledger of ${part}`);
    to.same(imbalanceOf(ledger), 0, `balance of ${part}`);
  }
  const rows = await checking.ledger("order_rows");
  to.same(rows.consumed, n, "ledger of order_rows, consumed");
  to.same(imbalanceOf(rows), 0, "balance of order_rows");
}
