// The outcome of one source record. The transform names it; the runtime counts it and writes the letter.
import type { ErrorCode } from "./error-table.ts";
import type { LetterClass, MillraceError } from "./errors.ts";
import type { CountedWord } from "./ledger.ts";
import type { OutRecord, RawRecord, RecordContext } from "./record.ts";
import type { SinkRow } from "./ports.ts";

/** Why a record can never pass; becomes the headers of its dead letter. No payload in any field. */
export interface Failure {
  readonly class: LetterClass;
  /** The stage that failed: decode, transform, encode, sink. */
  readonly stage: string;
  /** The operator, topic or table at which it failed. */
  readonly step: string;
  readonly rule: string | null;
  readonly code: ErrorCode | string;
  readonly message: string;
  /** Calls that were made before it was given up; if absent, one. */
  readonly tried?: { readonly times: number; readonly firstMs: number };
  /** The origin time of the record (`DecodedRecord.originMs`); left out where none is known. */
  readonly originMs?: number;
}

export type Outcome =
  /** A queued record waits in state for a call; it counts as emitted until it is given up. */
  | { readonly kind: CountedWord; readonly isQueued?: true }
  | { readonly kind: "filtered" | "late"; readonly by: string }
  | { readonly kind: "dead-lettered"; readonly failure: Failure }
  /** The task must stop before this record: nothing of it is kept. */
  | { readonly kind: "halted"; readonly error: MillraceError };

/** A decoded record on its way through the operators. */
export interface DecodedRecord {
  readonly raw: RawRecord;
  /** Undefined for a tombstone. */
  readonly value: unknown;
  readonly context: RecordContext;
  /** Its event time is Kafka's for want of a better one, and moves no time of its input. */
  readonly isUntimed?: true;
  /**
   * Its origin time, epoch ms: the greatest event time of its source partition when it was read there, its own included. No
   * step and no way between parts changes it.
   */
  readonly originMs: number;
}

/** Outputs and rows that operators have made, until the checkpoint. */
export interface Stage {
  readonly outputs: OutRecord[];
  readonly rows: SinkRow[];
  /** Position of the record in hand within the stage; rows carry it. */
  index: number;
}
