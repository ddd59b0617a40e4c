// Cases for both: an operator with its sizes, and records in the order in which they are read. Made by chance from a seed.
import { Chance } from "../support/chance.ts";

export type Operator =
  | { readonly kind: "tumbling"; readonly size: number }
  | { readonly kind: "hopping"; readonly size: number; readonly advance: number }
  | { readonly kind: "sliding"; readonly difference: number }
  | { readonly kind: "session"; readonly gap: number }
  | Join;

export interface Join {
  readonly kind: "join";
  readonly type: "inner" | "left" | "outer";
  readonly before: number;
  readonly after: number;
}

/** A record of one of two topics, which have one partition each. */
export interface Fed {
  readonly topic: "left" | "right";
  readonly key: string;
  readonly t: number;
  /** Unique in its case. */
  readonly value: string;
}

export interface Case {
  readonly operator: Operator;
  /** The grace of Kafka Streams. */
  readonly grace: number;
  /** The grace of Millrace: the same, or ported. */
  readonly ourGrace: number;
  /** The retention of Kafka Streams' store, which joins cannot set; null: its default. */
  readonly retention: number | null;
  /** Whether that store is on disk, its default at ten times the cost, or in memory. */
  readonly onDisk: boolean;
  readonly records: readonly Fed[];
}

export const names = [
  "tumbling",
  "hopping",
  "sliding",
  "session",
  "inner",
  "left",
  "outer",
] as const;
export type Name = (typeof names)[number];

export const titleOf = ({ operator }: Case): Name =>
  operator.kind === "join" ? operator.type : operator.kind;

/** "late" has records that are older than the grace; then the grace of sessions and joins is ported. */
export type Disorder = "within-grace" | "late";

/** Beyond all times of a case, in each scale. */
const RETENTION_MS = 30 * 86_400_000;
const AGE_MAX = 18;

export function caseOf(name: Name, disorder: Disorder, seed: number): Case {
  const chance = new Chance(seed);
  const scale = chance.of([1, 1, 1, 1000, 60_000]);
  const operator = operatorOf(name, chance, scale);
  const grace = chance.of([0, 1, 3, 6]) * scale;
  const ourGrace = disorder === "late" ? ported(operator, grace) : grace;
  const ageMax = disorder === "late" ? AGE_MAX * scale : grace;
  const topics = operator.kind === "join" ? (["left", "right"] as const) : (["left"] as const);
  // The first windows of all begin at 0.
  const begin = chance.of([0, 3, 2000, 2000, 2007]) * scale;
  const lists = topics.map((topic) => listOf(topic, chance, { begin, scale, ageMax }));
  const retention = operator.kind === "join" ? null : RETENTION_MS;
  const records = chance.is(0.5) ? fed(lists) : fed(lists.map((list) => ended(list, scale)));
  return { operator, grace, ourGrace, retention, onDisk: chance.is(0.1), records };
}

function operatorOf(name: Name, chance: Chance, scale: number): Operator {
  const size = chance.of([4, 10, 12]);
  switch (name) {
    case "tumbling":
      return { kind: name, size: size * scale };
    case "hopping":
      return { kind: name, size: size * scale, advance: chance.of([1, 2, 3, size / 2]) * scale };
    case "sliding":
      return { kind: name, difference: chance.of([1, 2, 5, 8]) * scale };
    case "session":
      return { kind: name, gap: chance.of([1, 3, 5]) * scale };
    case "inner":
    case "left":
    case "outer": {
      const [before, after] = [chance.below(6) * scale, chance.below(6) * scale];
      return { kind: "join", type: name, before, after };
    }
  }
}

/** The grace with which Millrace takes what Kafka Streams takes, as time.md ports it. */
export function ported(operator: Operator, grace: number): number {
  if (operator.kind === "session") return operator.gap + grace;
  if (operator.kind === "join") return operator.before + operator.after + grace;
  return grace;
}

interface Shape {
  readonly begin: number;
  readonly scale: number;
  readonly ageMax: number;
}

function listOf(topic: Fed["topic"], chance: Chance, { begin, scale, ageMax }: Shape): Fed[] {
  let time = begin;
  return Array.from({ length: 1 + chance.below(11) }, (_, i) => {
    time += chance.of([0, 1, 1, 2, 4, 9, 20]) * scale;
    const age = chance.is(0.5) ? chance.below(ageMax / scale + 1) * scale : 0;
    const t = Math.max(0, time - age);
    return { topic, key: `k${String(chance.below(2))}`, t, value: `${topic[0] ?? ""}${String(i)}` };
  });
}

/** A record far behind the last one closes all that is open. */
const ended = (list: readonly Fed[], scale: number): readonly Fed[] => {
  const last = Math.max(...list.map(({ t }) => t));
  const { topic } = list[0] as Fed;
  return [...list, { topic, key: "end", t: last + 1000 * scale, value: `${topic}-end` }];
};

/** The order of a task that has both topics in front of it: the earliest head first. */
function fed(lists: readonly (readonly Fed[])[]): Fed[] {
  const rest = lists.map((list) => [...list]);
  const records: Fed[] = [];
  for (;;) {
    const heads = rest.filter((list) => list.length > 0);
    const next = heads.sort((a, b) => (a[0] as Fed).t - (b[0] as Fed).t)[0];
    if (next === undefined) return records;
    records.push(next.shift() as Fed);
  }
}
