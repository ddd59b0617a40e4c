// The rows that the readers of files yield, and how they say what is wrong with a line.
import { ConfigError } from "../engine/core/errors.ts";
import type { Fields } from "./convert.ts";
import { Mismatch } from "./mismatch.ts";

export interface Row {
  /** The line of the file on which the row ends, from 1. */
  readonly line: number;
  readonly value: Fields;
}

/** Longer lines are refused: one lost quotation mark must not pull a whole file into memory. */
export const LINE_BYTES_MAX: number = 4_000_000;

/** Runs `read`; a Mismatch becomes an error that names file, line and column. */
export function atLine<T>(path: string, line: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    throw lineError(path, line, error);
  }
}

export function lineError(path: string, line: number, { field, expected }: Mismatch): ConfigError {
  const column = field === "" ? "" : `, column ${field}`;
  return new ConfigError(
    "MILL_DATA_INVALID",
    `${path} line ${String(line)}${column}: expected ${expected}`,
  );
}
