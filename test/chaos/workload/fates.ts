// What must become of a record. Each is sent with its fate in a header, which the oracle alone reads.
import type { World } from "../world/world.ts";

/**
 * good: counted everywhere · keyless: not in sums · tombstone: a delete · refused, size: the clean topic does not take it · sink: its
 * table does not · those of `laterRefusals`: a topic behind the clean one does not · the others: the class of its dead letter.
 */
export type Fate =
  | "good"
  | "keyless"
  | "tombstone"
  | "rule"
  | "decode"
  | "schema"
  | "transform"
  | "refused"
  | "size"
  | "sink"
  | LaterFate;

/** Refused by a topic behind the clean one, by the name of what is too large or whose time is. */
export type LaterFate =
  "repeats" | "repartition" | "repartition-time" | "totals-time" | "remarks" | "remarks-row";

/** How its letter must lie in the dead-letter topic, where it has one. */
export type LetterForm = "whole" | "pointer";

interface LaterRefusal {
  /** The part whose record the letter is. */
  readonly part: "main" | "by-shop";
  readonly class: "size" | "sink";
  /** The topic that refuses. */
  topic(topics: FlowTopics): string;
}

export const laterRefusals: Readonly<Record<LaterFate, LaterRefusal>> = {
  repeats: { part: "main", class: "size", topic: ({ repeats }) => repeats },
  repartition: { part: "main", class: "size", topic: ({ repartition }) => repartition },
  "repartition-time": { part: "main", class: "sink", topic: ({ repartition }) => repartition },
  "totals-time": { part: "by-shop", class: "sink", topic: ({ totals }) => totals },
  remarks: { part: "by-shop", class: "size", topic: ({ remarks }) => remarks },
  "remarks-row": { part: "by-shop", class: "size", topic: ({ remarksRows }) => remarksRows },
};

export const laterRefusal = (fate: Fate): LaterRefusal | null =>
  fate in laterRefusals ? laterRefusals[fate as LaterFate] : null;

/** Whether the clean topic has the record. */
export const isClean = (fate: Fate): boolean =>
  ["good", "keyless", "tombstone", "sink"].includes(fate) || laterRefusal(fate) !== null;

/** Every topic that may refuse a record. */
export interface FlowTopics {
  readonly orders: string;
  readonly clean: string;
  readonly totals: string;
  readonly repartition: string;
  /** Changelogs. */
  readonly repeats: string;
  readonly remarks: string;
  /** Leads to a table. */
  readonly remarksRows: string;
  readonly letters: string;
  readonly lettersOfSums: string;
}

export function flowTopics({ app, checking, summing }: World): FlowTopics {
  const { parts } = summing.plan;
  const source = (part: string): string =>
    parts.find(({ name }) => name === part)?.sources[0]?.name ?? "";
  const changelog = (store: string): string =>
    parts.flatMap(({ stores }) => stores).find(({ name }) => name === store)?.changelog.name ?? "";
  return {
    orders: app.orders.name,
    clean: app.clean.name,
    totals: app.totals.name,
    repartition: source("by-shop"),
    repeats: changelog("repeats"),
    remarks: changelog("shop-remarks"),
    remarksRows: source("shop_remarks"),
    letters: checking.plan.deadLetters,
    lettersOfSums: summing.plan.deadLetters,
  };
}
