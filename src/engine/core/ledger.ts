// The ledger: where every source record ended. One outcome each, the first that applies (design.md 3.6),
// so `consumed` always equals the sum of the others. Cumulative; travels with the progress it belongs to.

/** Cumulative counts. Keys below "filtered" are operator names; keys below "dead-lettered" are classes. */
export interface LedgerCounts {
  consumed: number;
  emitted: number;
  late: number;
  deduplicated: number;
  "null-key": number;
  "dead-lettered": Record<string, number>;
  filtered: Record<string, number>;
}

export const emptyLedger = (): LedgerCounts => ({
  consumed: 0,
  emitted: 0,
  late: 0,
  deduplicated: 0,
  "null-key": 0,
  "dead-lettered": {},
  filtered: {},
});

const sumOf = (counts: Record<string, number>): number =>
  Object.values(counts).reduce((a, b) => a + b, 0);

/** consumed minus the sum of the outcomes: 0 in a ledger that balances. */
export const imbalanceOf = (l: LedgerCounts): number =>
  l.consumed -
  (l.emitted +
    l.late +
    l.deduplicated +
    l["null-key"] +
    sumOf(l["dead-lettered"]) +
    sumOf(l.filtered));

const addAll = (into: Record<string, number>, from: Record<string, number>): void => {
  for (const [name, n] of Object.entries(from)) into[name] = (into[name] ?? 0) + n;
};

/** Adds `from` to `into` and returns `into`. */
export function addLedger(into: LedgerCounts, from: LedgerCounts): LedgerCounts {
  into.consumed += from.consumed;
  into.emitted += from.emitted;
  into.late += from.late;
  into.deduplicated += from.deduplicated;
  into["null-key"] += from["null-key"];
  addAll(into["dead-lettered"], from["dead-lettered"]);
  addAll(into.filtered, from.filtered);
  return into;
}

/** A sum that shares nothing with its parts. */
export const sumLedgers = (ledgers: Iterable<LedgerCounts>): LedgerCounts => {
  const total = emptyLedger();
  for (const ledger of ledgers) addLedger(total, ledger);
  return total;
};

/** The words of the ledger with zero lines left out and sub-counts summed, as tools print them. */
export function ledgerTotals(l: LedgerCounts): Record<string, number> {
  const all: Record<string, number> = {
    consumed: l.consumed,
    "dead-lettered": sumOf(l["dead-lettered"]),
    emitted: l.emitted,
    late: l.late,
    deduplicated: l.deduplicated,
    "null-key": l["null-key"],
    filtered: sumOf(l.filtered),
  };
  return Object.fromEntries(Object.entries(all).filter(([, n]) => n !== 0));
}
