// The rows of one case by our rules, or by those of Kafka Streams where a rule is named: what the two differ in is named
// here, and nowhere else. A row is a text, so that rows can be compared.
import type { Case } from "../cases.ts";

/** Rules of time.md in which Kafka Streams differs on purpose, each with the two answers. */
export const rules = {
  "row time":
    "table, result's t: a window's row is at e-1, a sliding window's at e; Kafka Streams' at the largest t in it",
  "sliding windows":
    "table, sliding: a record opens its windows where it is on time for them; Kafka Streams finds them beside windows that it has stored, and misses those of a record whose own window was closed",
  "session late":
    "O2: grace is the largest age accepted; Kafka Streams asks whether the session that a record would join is open, however old the record is",
  "session close":
    "table, session: W > end+gap+grace; Kafka Streams closes by its own grace, and a record that it takes later joins a session whose row is out",
  "join late": "O2: grace is the largest age accepted; Kafka Streams drops no record of a join",
  "join kept":
    "table, stream join: a side is kept until no partner can come; Kafka Streams' store keeps before+after+grace by its own side's time, and loses pairs at the edge",
  "join unmatched":
    "table, stream join: unmatched when W, the smaller of both times, has passed span+grace; Kafka Streams goes by the larger, at once where the record's own span has passed, and a partner may still come",
} as const;
export type Rule = keyof typeof rules;

/** Rules of ours that are exchanged for those of Kafka Streams. */
export type Exchanged = ReadonlySet<Rule>;

export interface Answer {
  readonly rows: readonly string[];
  /** Records that were late for all of their windows, or for some. */
  readonly late: number;
}
export type Reference = (one: Case, exchanged: Exchanged) => Answer;

interface WindowRow {
  readonly key: string;
  readonly start: number;
  readonly end: number;
  readonly t: number;
  readonly values: readonly string[];
}

export const windowRow = ({ key, start, end, t, values }: WindowRow): string =>
  `${key} ${String(start)}..${String(end)} at ${String(t)}: ${[...values].sort().join(" ")}`;

export const pairRow = (key: string, t: number, value: string): string =>
  `${key} at ${String(t)}: ${value}`;
