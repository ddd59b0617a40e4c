// What must come of a case, in the words of the oracle and of the checks.
import type { SourceRecord } from "../case.ts";
import type { Row, Value } from "../values.ts";

/** What must lie in an output topic. */
export interface ExpectedTopic {
  /**
   * ordered: exactly so · free: each origin's values in order, mixed with others' · told: how many, and the last · any: by another
   * check.
   */
  kind: "ordered" | "free" | "told" | "any";
  /** Only the last telling of a checkpoint is there. */
  readonly isHeld: boolean;
  readonly items: Map<string, { readonly value: Value | null; readonly origin: string }[]>;
}

export interface ExpectedLedger {
  readonly counts: Record<string, number>;
  /** How many records reach it depends on the checkpoints. */
  isLoose: boolean;
  /** The sums of the table are not all certain: tasks share a row, or a refusal may be hidden. */
  isMixed: boolean;
}

export interface Expected {
  readonly topics: Map<string, ExpectedTopic>;
  readonly rows: Map<string, Map<string, Row>>;
  /** What each letter says of its record, as often as there are letters. */
  readonly letters: string[];
  /** Of rows that a newer one of their key may hide, if they come in one batch. */
  readonly perhaps: string[];
  /** By part. */
  readonly ledgers: Map<string, ExpectedLedger>;
  /** By topic and source partition: results whose order shows across keys, as `sequenceText` has them. */
  readonly sequences: Map<string, Map<number, string[]>>;
  /** By store and key; not of `distinct`. */
  readonly stores: Map<string, Map<string, unknown>>;
  /** Windows that went ahead of their time, by operator, where it is known. */
  readonly evicted: Map<string, number>;
}

export const letterText = (topic: string, key: string | null, value: string): string =>
  `${topic} ${key ?? "-"} ${value}`;
export const poisonText = ({ value }: SourceRecord): string => `{"i":"${value?.i ?? ""}"`;
export const sourceText = (record: SourceRecord): string => {
  if (record.isPoison === true) return poisonText(record);
  return record.value === null ? "-" : JSON.stringify(record.value);
};

/** One record more in the ledger of a part. */
export function count(
  { ledgers }: Expected,
  part: string,
  outcome: string,
  how = { isLoose: false, isMixed: false },
): void {
  const ledger = ledgers.get(part) ?? { counts: {}, ...how };
  ledgers.set(part, ledger);
  for (const kind of ["consumed", outcome]) ledger.counts[kind] = (ledger.counts[kind] ?? 0) + 1;
}

/** Where keys are null, the partition tells. */
export const keyText = (key: string | null, partition: number): string =>
  key ?? `null@${String(partition)}`;
