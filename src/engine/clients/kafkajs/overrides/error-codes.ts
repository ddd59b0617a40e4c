// Correction to kafkajs' table of error codes, which ends at 88: kafkajs calls an unknown code not retriable and
// nameless. Codes as in org.apache.kafka.common.protocol.Errors.
import { nameOfCode } from "../error-names.ts";
import type { DriverCorrection } from "./driver.ts";

export interface ErrorCodeEntry {
  readonly type: string;
  readonly code: number;
  readonly retriable: boolean;
  readonly message: string;
}

const from = 89;
const to = 136;
const retriable = new Set([89, 100, 103, 106, 122, 123, 133]);

const added: readonly ErrorCodeEntry[] = Array.from({ length: to - from + 1 }, (_, i) => {
  const code = from + i;
  const type = nameOfCode(code);
  return { type, code, retriable: retriable.has(code), message: type };
});

export function correctErrorTable(errorCodes: ErrorCodeEntry[]): DriverCorrection {
  for (const entry of added)
    if (!errorCodes.some((known) => known.code === entry.code)) errorCodes.push(entry);
  return {
    name: "error codes",
    isInPlace: () => added.every((entry) => errorCodes.some((known) => known.code === entry.code)),
  };
}
