// The ledger: the outcomes of source records. A record has one, the first that applies in the order of the words below
// (docs/ledger.md), so `consumed` always equals the sum of the others. Cumulative; committed with its progress.
import { fields, mapOf, optional, whole, type Check } from "./foreign.ts";
import type { Outcome } from "./outcome.ts";

/** Words with a number. */
const counted = ["emitted", "superseded", "deduplicated", "null-key", "tombstone"] as const;
/**
 * Words with a number by name: of an operator below "filtered", of a class below "dead-lettered", of a reason below "late".
 */
const named = ["dead-lettered", "filtered", "late"] as const;
/** Words with a number by operator, of late results by reason, that are no outcomes of records. */
const beside = ["dead-results", "late-results", "behind", "evicted"] as const;

type NamedWord = (typeof named)[number];
type BesideWord = (typeof beside)[number];
type Checks<Word extends string> = Record<Word, Check>;

/** Every outcome, the first that applies first. */
export const ledgerWords = [
  "dead-lettered",
  "emitted",
  "superseded",
  "late",
  "deduplicated",
  "null-key",
  "tombstone",
  "filtered",
] as const;
export type LedgerWord = (typeof ledgerWords)[number];
export type CountedWord = (typeof counted)[number];

/** Cumulative counts. Keys below "filtered" are operator names; below "dead-lettered" classes; below "late" reasons. */
export type LedgerCounts = { consumed: number } & Record<CountedWord, number> &
  Record<(typeof named)[number], Record<string, number>> & {
    /**
     * Results of state that are dead letters, by the operator that made them. They belong to no record, so they are no outcome;
     * left out where there are none.
     */
    "dead-results"?: Record<string, number>;
    /**
     * Records that were behind the watermark in front of an operator, by operator (W4 of docs/semantics.md). Each has its outcome all
     * the same; left out where there are none.
     */
    behind?: Record<string, number>;
    /** Results of state that were late for an operator behind, by reason. They are no outcome either; left out where there are none. */
    "late-results"?: Record<string, number>;
    /**
     * Windows and records that an operator has let go ahead of their time, to stay within its bound, by operator; no outcomes
     * either. Left out where there are none.
     */
    evicted?: Record<string, number>;
  };

export const emptyLedger = (): LedgerCounts => ({
  consumed: 0,
  emitted: 0,
  superseded: 0,
  deduplicated: 0,
  "null-key": 0,
  tombstone: 0,
  "dead-lettered": {},
  filtered: {},
  late: {},
});

const byName: Check = mapOf(whole(), 10_000, 1_000);
/** 0.1.0 had a number for late. */
const names: Check = (value, path) =>
  typeof value === "number" ? whole()(value, path) : byName(value, path);

const countsCheck: Check = fields<LedgerCounts>({
  consumed: optional(whole()),
  ...(Object.fromEntries(counted.map((word) => [word, optional(whole())])) as Checks<CountedWord>),
  ...(Object.fromEntries(named.map((word) => [word, optional(names)])) as Checks<NamedWord>),
  ...(Object.fromEntries(beside.map((word) => [word, optional(byName)])) as Checks<BesideWord>),
});

/** A million records a second for thirty years: counts may go on from there, and their sums are exact. */
const COUNTS_MAX = 1e15;

/** A stored ledger; an older release knew fewer words. */
export const ledgerCheck: Check = (value, path) => {
  const why = countsCheck(value, path);
  if (why !== null) return why;
  const ledger = ledgerFrom(value as object);
  const sum = ledgerWords.reduce((all, word) => all + amountOf(ledger, word), ledger.consumed);
  return sum <= COUNTS_MAX ? null : `${path} has counts beyond ${String(COUNTS_MAX)}`;
};

/** A ledger that was stored, perhaps before a word of today was known: that one is 0. 0.1.0 had a number for late, always 0. */
export function ledgerFrom(stored: object): LedgerCounts {
  const counts = { ...emptyLedger(), ...stored };
  return typeof counts.late === "object" ? counts : { ...counts, late: {} };
}

const sumOf = (counts: Record<string, number>): number =>
  Object.values(counts).reduce((a, b) => a + b, 0);

const amountOf = (l: LedgerCounts, word: LedgerWord): number => {
  const amount = l[word];
  return typeof amount === "number" ? amount : sumOf(amount);
};

/** consumed minus the sum of the outcomes: 0 in a ledger that balances. */
export const imbalanceOf = (l: LedgerCounts): number =>
  ledgerWords.reduce((left, word) => left - amountOf(l, word), l.consumed);

/** An operator may have the name of what every object inherits. */
const countIn = (counts: Record<string, number>, name: string): number =>
  Object.hasOwn(counts, name) ? (counts[name] ?? 0) : 0;

const addAll = (into: Record<string, number>, from: Record<string, number>): void => {
  for (const [name, n] of Object.entries(from)) into[name] = countIn(into, name) + n;
};

/** Adds `from` to `into` and returns `into`. */
export function addLedger(into: LedgerCounts, from: LedgerCounts): LedgerCounts {
  into.consumed += from.consumed;
  for (const word of counted) into[word] += from[word];
  for (const word of named) addAll(into[word], from[word]);
  for (const word of beside) if (from[word] !== undefined) addAll((into[word] ??= {}), from[word]);
  return into;
}

/** Adds a result of the operator that became a dead letter. */
export const countDeadResult = (ledger: LedgerCounts, operator: string): void =>
  bump((ledger["dead-results"] ??= {}), operator);

/** Adds a window or a record that the operator has let go ahead of its time. */
export const countEvicted = (ledger: LedgerCounts, operator: string): void =>
  bump((ledger.evicted ??= {}), operator);

/** Adds records that were behind the watermark in front of the operator. */
export function countBehind(ledger: LedgerCounts, operator: string, records: number): void {
  const behind = (ledger.behind ??= {});
  behind[operator] = countIn(behind, operator) + records;
}

/** The same with one sum for all operators of a word, for want of room. */
export function withoutOperators(ledger: LedgerCounts): LedgerCounts {
  const summed = { ...ledger };
  for (const word of ["filtered", ...beside] as const) {
    if (word === "late-results") continue;
    const counts = ledger[word];
    if (counts !== undefined) summed[word] = { "*": sumOf(counts) };
  }
  return summed;
}

/** Adds a result that was late for an operator behind. */
export const countLateResult = (ledger: LedgerCounts, reason: string): void =>
  bump((ledger["late-results"] ??= {}), reason);

/** A sum that shares nothing with its parts. */
export const sumLedgers = (ledgers: Iterable<LedgerCounts>): LedgerCounts => {
  const total = emptyLedger();
  for (const ledger of ledgers) addLedger(total, ledger);
  return total;
};

/** The words of the ledger with zero lines left out and sub-counts summed, as tools print them. */
export function ledgerTotals(l: LedgerCounts): Record<string, number> {
  const all = ledgerWords.map((word): [string, number] => [word, amountOf(l, word)]);
  const others = beside.map((word): [string, number] => [word, sumOf(l[word] ?? {})]);
  const counts = [["consumed", l.consumed] as const, ...all, ...others];
  return Object.fromEntries(counts.filter(([, n]) => n !== 0));
}

/** Adds one outcome to a ledger. A halted record is not consumed. */
export function countOutcome(ledger: LedgerCounts, outcome: Outcome): void {
  if (outcome.kind === "halted") return;
  ledger.consumed++;
  if (outcome.kind === "filtered" || outcome.kind === "late")
    bump(ledger[outcome.kind], outcome.by);
  else if (outcome.kind === "dead-lettered") bump(ledger["dead-lettered"], outcome.failure.class);
  else ledger[outcome.kind]++;
}

const bump = (counts: Record<string, number>, name: string): void => {
  counts[name] = countIn(counts, name) + 1;
};
