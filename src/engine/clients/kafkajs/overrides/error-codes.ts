// Correction to kafkajs' table of error codes, which ends at 88: what it does not know it calls not retriable and
// nameless. Codes as in org.apache.kafka.common.protocol.Errors.
import type { Correction } from "./driver.ts";

export interface ErrorCodeEntry {
  readonly type: string;
  readonly code: number;
  readonly retriable: boolean;
  readonly message: string;
}

const added: readonly ErrorCodeEntry[] = [
  {
    type: "THROTTLING_QUOTA_EXCEEDED",
    code: 89,
    retriable: true,
    message: "The throttling quota has been exceeded",
  },
  {
    type: "PRODUCER_FENCED",
    code: 90,
    retriable: false,
    message: "There is a newer producer with the same transactional id",
  },
  {
    type: "UNKNOWN_TOPIC_ID",
    code: 100,
    retriable: true,
    message: "This server does not host this topic id",
  },
  {
    type: "TRANSACTIONAL_ID_NOT_FOUND",
    code: 105,
    retriable: false,
    message: "The transactional id could not be found",
  },
  {
    type: "TRANSACTION_ABORTABLE",
    code: 120,
    retriable: false,
    message: "The transaction can only be aborted",
  },
];

export function correctErrorTable(errorCodes: ErrorCodeEntry[]): Correction {
  for (const entry of added)
    if (!errorCodes.some((known) => known.code === entry.code)) errorCodes.push(entry);
  return {
    name: "error codes",
    isInPlace: () => added.every((entry) => errorCodes.some((known) => known.code === entry.code)),
  };
}
