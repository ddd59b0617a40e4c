// How one source record ended. The transform says it, the runtime counts it and writes the letter.
import type { ErrorCode } from "./error-table.ts";
import type { LetterClass, MillraceError } from "./errors.ts";
import { emptyLedger, type CountedWord, type LedgerCounts } from "./ledger.ts";
import type { OutRecord, RawRecord, RecordContext } from "./record.ts";
import type { SinkRow } from "./ports.ts";

/** Why a record can never pass; becomes the headers of its dead letter. No payload in any field. */
export interface Failure {
  readonly class: LetterClass;
  /** Where in the line: decode, transform, encode, sink. */
  readonly stage: string;
  /** The operator, topic or table at which it failed. */
  readonly step: string;
  readonly rule: string | null;
  readonly code: ErrorCode | string;
  readonly message: string;
  /** Calls that were made before it was given up; one where nothing is said. */
  readonly tried?: { readonly times: number; readonly firstMs: number };
}

export type Outcome =
  /** A queued record waits in state for a call; it counts as emitted until it is given up. */
  | { readonly kind: CountedWord; readonly isQueued?: true }
  | { readonly kind: "filtered"; readonly by: string }
  | { readonly kind: "dead-lettered"; readonly failure: Failure }
  /** The task must stop before this record: nothing of it is kept. */
  | { readonly kind: "halted"; readonly error: MillraceError };

export const isLetter = ({ kind }: Outcome): boolean => kind === "dead-lettered";

/** Adds one outcome to a ledger. A halted record is not consumed. */
export function countOutcome(ledger: LedgerCounts, outcome: Outcome): void {
  if (outcome.kind === "halted") return;
  ledger.consumed++;
  if (outcome.kind === "filtered") bump(ledger.filtered, outcome.by);
  else if (outcome.kind === "dead-lettered") bump(ledger["dead-lettered"], outcome.failure.class);
  else ledger[outcome.kind]++;
}

/** The ledger of one outcome alone, to be added or taken back. */
export function ledgerOf(outcome: Outcome): LedgerCounts {
  const ledger = emptyLedger();
  countOutcome(ledger, outcome);
  return ledger;
}

const bump = (counts: Record<string, number>, name: string): void => {
  counts[name] = (counts[name] ?? 0) + 1;
};

/** A decoded record on its way through the operators. */
export interface DecodedRecord {
  readonly raw: RawRecord;
  /** Undefined for a tombstone. */
  readonly value: unknown;
  readonly context: RecordContext;
  /** Its event time is Kafka's for want of a better one, and moves no stream time. */
  readonly isUntimed?: true;
}

/** Where operators put what they make, until the checkpoint. */
export interface Stage {
  readonly outputs: OutRecord[];
  readonly rows: SinkRow[];
  /** Position of the record in hand within the stage; rows carry it. */
  index: number;
}
