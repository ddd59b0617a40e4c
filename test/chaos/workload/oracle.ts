// The second, naive program: from the dumped input topic straight to what the clean topic, the letters, the sums, both
// tables and the ledgers must hold, and what is missing or too much in each.
import { crc32 } from "node:zlib";
import { remarkIn } from "../../support/apps/chaos.ts";
import { imbalanceOf, ledgerTotals } from "../../../src/engine/core/ledger.ts";
import { headerText, type RawRecord } from "../../../src/engine/core/record.ts";
import type { World } from "../world/world.ts";
import { compareFired } from "./due.ts";
import { Findings } from "./findings.ts";
import { compareTickLedger, compareTimed, type TimedCounts } from "./timed.ts";
import { compareWindows } from "./windows.ts";
import { isClean, laterRefusal, type Fate, type LetterForm } from "./fates.ts";
import { compareLetters } from "./letters.ts";
import { moneyText, readOrder, readTotal, type NaiveOrder, type NaiveTotal } from "./naive.ts";

export interface Input {
  readonly partition: number;
  readonly offset: bigint;
  /** The sender's number. */
  readonly n: number;
  readonly fate: Fate;
  readonly letter: LetterForm;
  /** How many the record has. */
  readonly headers: number;
  readonly key: string | null;
  readonly value: Buffer | null;
  /** Null where it cannot be read, or is a tombstone. */
  readonly order: NaiveOrder | null;
}

export interface Judgement extends TimedCounts {
  readonly findings: Findings;
  readonly records: number;
  readonly letters: number;
  readonly rows: number;
  readonly sums: number;
  /** Due entries that have fired. */
  readonly due: number;
  readonly windows: number;
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
  const clean = inputs.filter(({ fate }) => isClean(fate));
  compareClean(await checking.raw(app.clean.name), clean, findings);
  const sums = countedOf(clean);
  const { counted } = sums;
  const totals = (await checking.raw(app.totals.name)).flatMap(({ value }) =>
    value === null ? [] : [readTotal(value)],
  );
  compareTotals(totals, counted, findings);
  const letters = await compareLetters(world, inputs, findings);
  const rows = await compareOrderRows(world, clean, findings);
  await compareTotalRows(world, totals, findings);
  await compareRemarkRows(world, counted, findings);
  const due = await compareFired(world, findings);
  const windows = await compareWindows(world, findings);
  const timed = await compareTimed(world, findings);
  await compareTickLedger(world, findings);
  if (given.hasWholeLedgers !== false)
    await compareLedgers(world, { inputs, clean, ...sums }, findings);
  const counts = { letters, rows, sums: counted.length, due, windows, ...timed };
  return { findings, records: inputs.length, ...counts };
}

function inputOf({ partition, offset, headers, key, value }: RawRecord): Input {
  const fate = headerText(headers, "fate") as Fate;
  const isReadable = value !== null && !["decode", "schema"].includes(fate);
  return {
    partition,
    offset,
    n: Number(headerText(headers, "n")),
    fate,
    letter: headerText(headers, "letter") as LetterForm,
    headers: headers.length,
    key: key === null ? null : key.toString("latin1"),
    value,
    order: isReadable ? readOrder(value) : null,
  };
}

interface CountedOrders {
  /** Those that reach the sums. */
  readonly sent: readonly Input[];
  /** Those of them that no topic behind the sums has refused. */
  readonly counted: readonly Input[];
}

/** What a topic has refused leaves nothing behind, wherever that was found. */
function countedOf(clean: readonly Input[]): CountedOrders {
  const sent = firstOnes(clean).filter(({ fate }) => laterRefusal(fate)?.part !== "main");
  return { sent, counted: sent.filter(({ fate }) => laterRefusal(fate) === null) };
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

/** Each shop's orders, and the remarks on them in the order in which they came: those of one shop are one customer's. */
async function compareRemarkRows(
  { summing }: World,
  counted: readonly Input[],
  to: Findings,
): Promise<void> {
  const text = "SELECT shop, orders, remarks FROM public.shop_remarks";
  const { rows } = await summing.clients.pool.query<{
    readonly shop: string;
    readonly orders: number;
    readonly remarks: string;
  }>(text);
  const lineOfShop = (shop: string, orders: number, remarks: string): string =>
    [shop, orders, remarks.length, crc32(remarks)].join("|");
  const shops = Map.groupBy(counted, ({ order }) => order?.shop.toLowerCase() ?? "");
  to.compare(
    rows.map(({ shop, orders, remarks }) => lineOfShop(shop, orders, remarks)),
    [...shops].map(([shop, all]) =>
      lineOfShop(shop, all.length, all.map(({ order }) => remarkIn(order as NaiveOrder)).join("")),
    ),
    "remarks on a shop",
  );
}

interface Counted extends CountedOrders {
  readonly inputs: readonly Input[];
  readonly clean: readonly Input[];
}

async function compareLedgers(
  { checking, summing }: World,
  { inputs, clean, sent, counted }: Counted,
  to: Findings,
): Promise<void> {
  const count = (isIt: (input: Input) => boolean): number => clean.filter(isIt).length;
  const keyless = count(({ key, order }) => key === null && order !== null);
  const tombstones = count(({ order }) => order === null);
  const n = clean.length;
  const refused = count(({ fate }) => laterRefusal(fate)?.part === "main");
  const repeats = n - keyless - tombstones - refused - sent.length;
  const wanted: [typeof checking, string, Record<string, number>][] = [
    [checking, "main", { consumed: inputs.length, "dead-lettered": inputs.length - n, emitted: n }],
    [
      summing,
      "main",
      {
        consumed: n,
        "dead-lettered": refused,
        emitted: sent.length,
        deduplicated: repeats,
        "null-key": keyless,
        tombstone: tombstones,
      },
    ],
    [
      summing,
      "by-shop",
      {
        consumed: sent.length,
        "dead-lettered": sent.length - counted.length,
        emitted: counted.length,
      },
    ],
    [summing, "shop_totals", { consumed: counted.length, emitted: counted.length }],
  ];
  for (const [figures, part, totals] of wanted) {
    const ledger = await figures.ledger(part);
    const isThere = Object.entries(totals).filter(([, value]) => value !== 0);
    to.same(ledgerTotals(ledger), Object.fromEntries(isThere), `ledger of ${part}`);
    to.same(imbalanceOf(ledger), 0, `balance of ${part}`);
  }
  const remarks = await summing.ledger("shop_remarks");
  to.same(remarks["dead-lettered"], {}, "letters of shop_remarks");
  to.same(imbalanceOf(remarks), 0, "balance of shop_remarks");
  const rows = await checking.ledger("order_rows");
  to.same(rows.consumed, n, "ledger of order_rows, consumed");
  to.same(imbalanceOf(rows), 0, "balance of order_rows");
}
