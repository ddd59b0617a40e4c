// What must come of a case, in the words of the oracle and of the checks.
import type { SourceRecord } from "../case.ts";
import type { Row, Value } from "../values.ts";

/** What must lie in an output topic. */
export interface ExpectedTopic {
  /** ordered: exactly so · free: each origin's values in order, mixed with others' · told: how many, and the last. */
  readonly kind: "ordered" | "free" | "told";
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
  /** By store and key; not of `distinct`. */
  readonly stores: Map<string, Map<string, unknown>>;
}

export const letterText = (topic: string, key: string | null, value: string): string =>
  `${topic} ${key ?? "-"} ${value}`;
export const poisonText = ({ value }: SourceRecord): string => `{"i":"${value?.i ?? ""}"`;
/** Where keys are null, the partition tells. */
export const keyText = (key: string | null, partition: number): string =>
  key ?? `null@${String(partition)}`;
