// Orders with the anomalies of a real shop: exactly 8 % without customer, another 2 % with a negative amount,
// statuses in any casing; then later updates and exact repeats of good ones, and poison scattered among all.
import { decimal } from "#engine";
import { orders, type Order } from "../../topics/orders.ts";
import { CUSTOMERS, PRODUCTS, customerId, productId } from "./catalogue.ts";
import type { GeneratedRecord } from "./generated-record.ts";
import { passed, SPAN_MS, type Now } from "./made-up-times.ts";
import { interleave, poisonOf } from "./poison.ts";
import { centsText, idOf, randomNumbers, scatter } from "./random-numbers.ts";

export interface OrderOptions {
  readonly seed: number;
  /** Different orders. */
  readonly count: number;
  /** Later updates of good orders: same id, newer `updatedAt`. */
  readonly updates?: number;
  /** Exact repeats of good orders as they first came, also where an update has overtaken them. */
  readonly repeats?: number;
  /** Poison records of each kind. */
  readonly poison?: number;
  /** No made-up time passes it. Default: the machine's clock. */
  readonly now?: Now;
}

/** 8 % without customer and 2 % negative, of the different orders; no order is both. */
const ANOMALIES = [0.08, 0.02];
const GOOD = 0;
const WITHOUT_CUSTOMER = 1;
const NEGATIVE = 2;
const FIRST_ORDER = Date.UTC(2026, 0, 5, 8);
const PACE_MS = 15_000;
const UPDATE_PACE_MS = 1_000;
/** The orders' share of the span that they and their updates have together. */
const ORDERS_SHARE = 2 / 3;
const STATUSES = [
  "pending",
  "Pending",
  "SHIPPED",
  "shipped",
  " delivered",
  "Delivered ",
  "cancelled",
];
const LATER_STATUSES = ["shipped", "Delivered", "delivered", "CANCELLED"];

/** The same records for the same options, in the same order. */
export function* generateOrders(options: OrderOptions): Iterable<GeneratedRecord<Order>> {
  const { seed, count, poison = 0 } = options;
  const kinds = scatter(count, ANOMALIES, randomNumbers(seed));
  const total = count + (options.updates ?? 0) + (options.repeats ?? 0);
  const victim = orderAt(options, 0, GOOD);
  yield* interleave(good(options, kinds), total, poisonOf(orders.name, victim, { seed, poison }));
}

function* good(options: OrderOptions, kinds: Uint8Array): Iterable<GeneratedRecord<Order>> {
  const { seed, count, updates = 0, repeats = 0, now = Date.now } = options;
  for (let i = 0; i < count; i++) yield recordOf(orderAt(options, i, kinds[i] ?? GOOD));
  if (!kinds.includes(GOOD)) return;
  const random = randomNumbers(seed, count + 1);
  const anyGood = (): Order => {
    let i = random.whole(0, count - 1);
    while (kinds[i] !== GOOD) i = (i + 1) % count;
    return orderAt(options, i, GOOD);
  };
  const endOfOrders = FIRST_ORDER + count * paceOf(count);
  const updatePace = Math.min(UPDATE_PACE_MS, ((1 - ORDERS_SHARE) * SPAN_MS) / updates);
  for (let i = 0; i < updates; i++) {
    const updatedAt = passed(endOfOrders + Math.floor(i * updatePace), now);
    yield recordOf({ ...anyGood(), status: random.pick(LATER_STATUSES), updatedAt });
  }
  for (let i = 0; i < repeats; i++) yield recordOf(anyGood());
}

const recordOf = (value: Order): GeneratedRecord<Order> => ({
  topic: orders.name,
  key: value.orderId,
  value,
});

/** Between orders, whole ms. */
const paceOf = (count: number): number =>
  Math.max(1, Math.min(PACE_MS, Math.floor((ORDERS_SHARE * SPAN_MS) / count)));

function orderAt(
  { seed, count, now = Date.now }: OrderOptions,
  index: number,
  kind: number,
): Order {
  const pace = paceOf(count);
  const random = randomNumbers(seed, index + 1);
  // Squared, so that some customers buy far more than others, as they do.
  const customer = 1 + Math.floor(random.fraction() ** 2 * CUSTOMERS);
  const quantity = random.whole(1, 5);
  const cents = quantity * random.whole(199, 19_999);
  const orderDate = passed(FIRST_ORDER + index * pace + random.whole(0, pace - 1), now);
  return {
    orderId: idOf("o", index + 1, 7),
    customerId: kind === WITHOUT_CUSTOMER ? null : customerId(customer),
    productId: productId(random.whole(1, PRODUCTS)),
    quantity,
    totalAmount: decimal(centsText(kind === NEGATIVE ? -cents : cents)),
    status: random.pick(STATUSES),
    orderDate,
    updatedAt: orderDate,
  };
}
