// The choice of letters that a command works on, and their counts. Pure.
import type { LetterStateName } from "../core/redrive.ts";
import type { Fingerprint, FoundLetter, LetterFacts } from "./found-letter.ts";

/** Null: all. */
export interface LetterFilter {
  readonly class: string | null;
  readonly step: string | null;
  readonly rule: string | null;
  readonly code: string | null;
  readonly part: string | null;
  readonly states: readonly LetterStateName[] | null;
  /** By the time of the last failure, epoch ms. */
  readonly sinceMs: number | null;
  readonly untilMs: number | null;
  readonly origin: {
    readonly topic: string;
    readonly partition: number | null;
    readonly offset: bigint | null;
  } | null;
  readonly ids: readonly string[] | null;
  readonly parked: "only" | "without" | null;
}

/** Tests the letter's own facts, not its state. */
export function matches(letter: LetterFacts, filter: LetterFilter): boolean {
  const { sinceMs, untilMs, ids } = filter;
  const failedMs = Date.parse(letter.lastTime ?? "") || 0;
  return (
    matchesName(letter, filter) &&
    matchesOrigin(letter, filter) &&
    (sinceMs === null || failedMs >= sinceMs) &&
    (untilMs === null || failedMs < untilMs) &&
    (ids === null || ids.some((id) => letter.id.startsWith(id)))
  );
}

const names = ["class", "step", "rule", "code", "part"] as const;
const matchesName = (letter: LetterFacts, filter: LetterFilter): boolean =>
  names.every((name) => filter[name] === null || letter[name] === filter[name]);

function matchesOrigin({ origin: at }: LetterFacts, { origin }: LetterFilter): boolean {
  if (origin === null) return true;
  return (
    at.topic === origin.topic &&
    (origin.partition === null || at.partition === origin.partition) &&
    (origin.offset === null || at.offset === origin.offset)
  );
}

export const isChosen = (letter: Omit<FoundLetter, "record">, filter: LetterFilter): boolean =>
  matches(letter, filter) &&
  (filter.states === null || filter.states.includes(letter.state.state)) &&
  (filter.parked === null || letter.isParked === (filter.parked === "only"));

export interface LetterGroup extends Fingerprint {
  readonly count: number;
  /** The number of letters in each state. */
  readonly states: Readonly<Record<string, number>>;
  readonly parked: number;
  readonly parts: readonly string[];
  readonly first: string | null;
  readonly last: string | null;
  /** The id of a letter to look at. */
  readonly example: string;
}

/** By class, step, rule and code; the most frequent first. */
export function groupsOf(letters: readonly FoundLetter[]): LetterGroup[] {
  const groups = Map.groupBy(letters, (one) =>
    JSON.stringify([one.class, one.step, one.rule, one.code]),
  );
  return [...groups.values()].map(groupOf).sort((a, b) => b.count - a.count);
}

function groupOf(letters: readonly FoundLetter[]): LetterGroup {
  const [{ class: name, step, rule, code, id }] = letters as readonly [FoundLetter];
  const times = (of: "firstTime" | "lastTime"): string[] =>
    letters.flatMap((letter) => letter[of] ?? []).sort();
  return {
    ...{ class: name, step, rule, code },
    count: letters.length,
    states: countedBy(letters, ({ state }) => state.state),
    parked: letters.filter(({ isParked, state }) => isParked && state.state === "open").length,
    parts: [...new Set(letters.map(({ part }) => part))].sort(),
    first: times("firstTime")[0] ?? null,
    last: times("lastTime").at(-1) ?? null,
    example: id,
  };
}

/** The count of each name, in the order of first appearance. */
export function countedBy<T>(all: Iterable<T>, nameOf: (one: T) => string): Record<string, number> {
  // Names come from letters, which anybody may have written: `constructor` is one as any other.
  const counts = new Map<string, number>();
  for (const one of all) counts.set(nameOf(one), (counts.get(nameOf(one)) ?? 0) + 1);
  return Object.fromEntries(counts);
}
