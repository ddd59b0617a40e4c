// Grocery lines by time: what a household buys in one go, and what a store sells by the hour. Both are exact: the same
// rows live and in a run, with any number of workers, after any crash, and in whatever order lines come within the grace.
import { decimal, hours, minutes, pipeline, session, tumbling, type Windowed } from "#engine";
import { basketTotals, type BasketTotals } from "../../schemas/types/basket-totals.v1.ts";
import { cleanTransactions, lateTransactions, type RetailLine } from "../../topics/retail.ts";
import { retailBaskets, type RetailBasketRow } from "../tables/retail-baskets.ts";
import { storeHours, type StoreHourRow } from "../tables/store-hours.ts";

/** A line may come this much later than newer ones of its partition. */
const grace = minutes(10);

/** Baskets, which are sessions of a household, and the sales of each store and hour. */
export const basketsAndHours = pipeline("retail-baskets", ({ from }) => {
  const lines = from(cleanTransactions);

  const baskets = lines
    .groupByKey()
    .windowedBy(session({ gap: minutes(30), grace }))
    .aggregate("basket", { ...totals, merge: addTotals, emit: "close" });
  baskets.late.to(lateTransactions);
  baskets.toStream("basket-row", toBasket).upsertInto(retailBaskets);

  lines
    .groupBy("by-store", ({ storeId }) => storeId)
    .windowedBy(tumbling({ size: hours(1), grace }))
    .aggregate("store-hour", { ...totals, emit: "close" })
    .toStream("store-hour-row", toStoreHour)
    .upsertInto(storeHours);
});

const totals = {
  value: basketTotals,
  init: (): BasketTotals => ({ lines: 0, spend: decimal("0") }),
  add: (sum: BasketTotals, { salesValue }: RetailLine): BasketTotals => ({
    lines: sum.lines + 1,
    spend: sum.spend.plus(salesValue),
  }),
};

const addTotals = (a: BasketTotals, b: BasketTotals): BasketTotals => ({
  lines: a.lines + b.lines,
  spend: a.spend.plus(b.spend),
});

const toBasket = (sum: BasketTotals, { key, start, end }: Windowed<string>): RetailBasketRow => ({
  ...sum,
  householdId: key,
  startedAt: start.getTime(),
  endedAt: end.getTime(),
});

const toStoreHour = (sum: BasketTotals, { key, start }: Windowed<string>): StoreHourRow => ({
  storeId: key,
  hour: start.getTime(),
  lines: sum.lines,
  sales: sum.spend,
});
