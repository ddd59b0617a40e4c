// Grocery lines in the shape of a real chain's: baskets of about ten different products, a few lines without
// quantity that only carry a discount. Lines of a basket share their time, and come in order of time.
import { decimal } from "#engine";
import { transactions, type RetailLine } from "../../topics/retail.ts";
import type { GeneratedRecord } from "./generated-record.ts";
import { passed, SPAN_MS, squeeze, type Now } from "./made-up-times.ts";
import { centsText, randomNumbers, scatter, type RandomNumbers } from "./random-numbers.ts";

interface RetailOptions {
  readonly seed: number;
  /** Lines. */
  readonly count: number;
  readonly households?: number;
  /** Default: the machine's clock. */
  readonly now?: Now;
}

/** Exactly one line in two hundred has no quantity. */
const WITHOUT_QUANTITY = [0.005];
const FIRST_LINE = Date.UTC(2026, 0, 1, 8);
const WEEK_MS = 7 * 86_400_000;
const FIRST_BASKET = 40_000_000_000;
const STORES = 196;
const PRODUCTS = 20_000;
const LINES_MAX = 19;
const SECONDS_BETWEEN_BASKETS_MAX = 480;
/** On average. */
const MS_A_LINE = ((SECONDS_BETWEEN_BASKETS_MAX / 2) * 1000) / ((1 + LINES_MAX) / 2);

type Till = Pick<
  RetailLine,
  "householdId" | "storeId" | "basketId" | "week" | "transactionTimestamp"
>;

/** The same lines for the same options, in the same order. */
export function* generateRetail(options: RetailOptions): Iterable<GeneratedRecord<RetailLine>> {
  const { seed, count, households = 2_000, now = Date.now } = options;
  const kinds = scatter(count, WITHOUT_QUANTITY, randomNumbers(seed));
  const closer = squeeze(count * MS_A_LINE);
  let sinceFirst = 0;
  for (let line = 0, basket = 0; line < count; basket++) {
    const random = randomNumbers(seed, basket + 1);
    sinceFirst += random.whole(1, SECONDS_BETWEEN_BASKETS_MAX) * 1000;
    const after = Math.min(SPAN_MS, Math.floor((sinceFirst * closer) / 1000) * 1000);
    const at = passed(FIRST_LINE + after, now);
    const till = {
      householdId: String(random.whole(1, households)),
      storeId: String(random.whole(1, STORES)),
      basketId: FIRST_BASKET + basket,
      week: 1 + Math.floor(after / WEEK_MS),
      transactionTimestamp: at,
    };
    for (const product of productsOf(random)) {
      if (line === count) return;
      const value = lineOf(till, product, random, kinds[line++] === 0);
      yield { topic: transactions.name, key: till.householdId, value };
    }
  }
}

/** Different ones: a product is in a basket once. */
const productsOf = (random: RandomNumbers): ReadonlySet<number> =>
  new Set(
    Array.from({ length: random.whole(1, LINES_MAX) }, () =>
      random.whole(25_000, 25_000 + PRODUCTS),
    ),
  );

function lineOf(
  till: Till,
  product: number,
  random: RandomNumbers,
  hasQuantity: boolean,
): RetailLine {
  const quantity = hasQuantity ? 1 + Math.floor(random.fraction() ** 3 * 4) : 0;
  const cents = quantity * random.whole(50, 899);
  const discount = random.fraction() < 0.4 ? Math.floor(cents * 0.15) : 0;
  return {
    ...till,
    productId: String(product),
    quantity,
    salesValue: decimal(centsText(cents - discount)),
    retailDisc: decimal(centsText(discount)),
    couponDisc: decimal(hasQuantity ? "0.00" : "1.00"),
    couponMatchDisc: decimal("0.00"),
  };
}
