// What topics of outputs, of repartitioning, of state and of tables refuse, and the records with which it is seen.
import type { Random } from "../../../src/engine/core/ports.ts";
import { REMARK, type Order } from "../../support/apps/chaos.ts";
import type { Special } from "../workload/traffic.ts";
import { between } from "./fault.ts";
import { inLedger, type Refusal } from "./refusal.ts";

export const HOUR_MS = 3_600_000;
/** Nothing is cleaned before its time, so that everything can be counted. */
export const COMPACTED: Readonly<Record<string, string>> = {
  "cleanup.policy": "compact",
  "min.compaction.lag.ms": String(24 * HOUR_MS),
};
/** More than ordinary records take, less than large ones. */
export const LIMITED: Readonly<Record<string, string>> = { "max.message.bytes": "20000" };
const hoursAhead = (hours: number): Readonly<Record<string, string>> => ({
  "message.timestamp.after.max.ms": String(hours * HOUR_MS),
});

export const large = (): string => "x".repeat(30_000);
const tokenOf = (random: Random): string => random.next().toString(36).slice(2, 10);

/** Each behind some good ones: a few, or so many that big batches come of them. */
export function among(
  random: Random,
  bad: readonly Special[],
  order: Partial<Order> = {},
): Special[] {
  const most = between(random, 0, 1) === 0 ? 9 : 60;
  return bad.flatMap((one) => [
    ...Array.from({ length: between(random, 0, most) }, (): Special => ({ fate: "good", order })),
    { ...one, order: { ...order, ...one.order } },
  ]);
}

export const some = (random: Random, of: (i: number) => Special): Special[] =>
  Array.from({ length: between(random, 2, 6) }, (_, i) => of(i));

/** Less than a day ahead, or `distinct` would forget today's orders. */
const ahead = (i: number): number => Date.now() + (2 + i) * HOUR_MS;

/** Of one customer in a shop of their own: their order is known, and so is what the shop's state says after each. */
const inOneShop = (random: Random, bad: readonly Special[]): Special[] =>
  among(random, bad, { shop: `Own ${tokenOf(random)}`, customer: `own ${tokenOf(random)}` });

/** Together three of them are below the limit. */
const REMARK_CHARS = 6_000;
const SMALL_CHARS = 60;
const ROOM_CHARS = 3 * REMARK_CHARS + 10 * SMALL_CHARS;

/**
 * Remarks on the orders of one shop, whose state holds all of them: some pass the limit alone, some by what was there
 * before, and small ones are still taken.
 */
export const remarks =
  (fate: "remarks" | "remarks-row", letters: "whole" | "limited" = "whole") =>
  (random: Random): Special[] => {
    const certain = [5 * REMARK_CHARS, ...Array.from({ length: 4 }, () => REMARK_CHARS)];
    const more = Array.from(
      { length: between(random, 0, 4) },
      () => [1, 2, 4, 5][between(random, 0, 3)] as number,
    );
    const lengths = [...certain, SMALL_CHARS, SMALL_CHARS, ...more.map((n) => n * REMARK_CHARS)]
      .map((length) => ({ length, place: random.next() }))
      .sort((a, b) => a.place - b.place);
    let chars = 0;
    const all = lengths.map(({ length }): Special => {
      const order = { note: REMARK + "r".repeat(length - REMARK.length) };
      const isLimited = letters === "limited" && length > ROOM_CHARS;
      if (chars + length > ROOM_CHARS)
        return { fate, order, ...(isLimited ? { letter: "pointer" } : {}) };
      chars += length;
      return { fate: "good", order };
    });
    return inOneShop(random, all);
  };

export const ofOutputs: readonly Refusal[] = [
  {
    name: "times of outputs",
    settings: ({ orders }) => [[orders, hoursAhead(100)]],
    specials: (random) =>
      among(
        random,
        some(random, (i) => ({ fate: "refused", timestamp: ahead(i) })),
      ),
    letters: inLedger("checking", "main", "sink"),
  },
  {
    name: "sizes of outputs",
    settings: ({ clean }) => [[clean, LIMITED]],
    specials: (random) =>
      among(
        random,
        some(random, () => ({ fate: "size", order: { note: large() } })),
      ),
    letters: inLedger("checking", "main", "size"),
  },
  {
    name: "outputs without a key",
    settings: ({ clean }) => [[clean, COMPACTED]],
    specials: (random) =>
      among(
        random,
        some(random, () => ({ fate: "refused", key: null })),
      ),
    letters: inLedger("checking", "main", "sink"),
  },
  {
    name: "times of outputs of state",
    // What leads to it takes them.
    settings: ({ orders, clean }) => [
      [orders, hoursAhead(100)],
      [clean, hoursAhead(100)],
    ],
    specials: (random) =>
      inOneShop(
        random,
        some(random, (i) => ({ fate: "totals-time", timestamp: ahead(i) })),
      ),
    letters: inLedger("summing", "by-shop", "sink"),
  },
  {
    name: "sizes in repartition topics",
    settings: ({ repartition }) => [[repartition, LIMITED]],
    specials: (random) =>
      among(
        random,
        some(random, () => ({ fate: "repartition", order: { note: large() } })),
      ),
    letters: inLedger("summing", "main", "size"),
  },
  {
    name: "times in repartition topics",
    settings: ({ orders, clean, repartition }) => [
      [orders, hoursAhead(100)],
      [clean, hoursAhead(100)],
      [repartition, hoursAhead(1)],
    ],
    specials: (random) =>
      among(
        random,
        some(random, (i) => ({ fate: "repartition-time", timestamp: ahead(i) })),
      ),
    letters: inLedger("summing", "main", "sink"),
  },
  {
    name: "keys of changelogs",
    settings: ({ repeats }) => [[repeats, LIMITED]],
    specials: (random) =>
      among(
        random,
        some(random, () => ({ fate: "repeats", order: { id: tokenOf(random) + large() } })),
      ),
    letters: inLedger("summing", "main", "size"),
  },
  {
    name: "values of changelogs",
    settings: ({ remarks: topic }) => [[topic, LIMITED]],
    specials: remarks("remarks"),
    letters: inLedger("summing", "by-shop", "size"),
  },
  {
    name: "rows in topics of tables",
    settings: ({ remarksRows }) => [[remarksRows, LIMITED]],
    specials: remarks("remarks-row"),
    letters: inLedger("summing", "by-shop", "size"),
  },
];
