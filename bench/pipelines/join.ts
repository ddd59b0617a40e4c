// Workload "join": payments of an account by web, each with those in a shop up to 10 s later.
import { pipeline } from "#engine";
import { output } from "./payments.ts";
import { JOIN, ms, timedPayments, type Pair } from "./windows.ts";

export const pipelines = [
  pipeline("join", ({ from }) => {
    const all = from(timedPayments);
    const inShop = all.filter("in-shop", ({ channel }) => channel === "shop");
    all
      .filter("by-web", ({ channel }) => channel === "web")
      .join("pairs", inShop, (left, right): Pair => ({ left: left.id, right: right.id }), {
        ...{ before: ms(0), after: ms(JOIN.afterMs), grace: ms(JOIN.graceMs) },
      })
      .to(output<Pair>());
  }),
];
export const tables = [];
