// The rows that the readers of files yield, and how they say what is wrong with a line.
import { ConfigError } from "../engine/core/errors.ts";
import type { Fields } from "./convert.ts";
import { Mismatch } from "./mismatch.ts";

export interface Row {
  /** The line of the file on which the row ends, from 1. */
  readonly line: number;
  readonly value: Fields;
}

/** A row that is no value of the topic, with everything that is wrong with it. */
export interface BadRow {
  readonly line: number;
  readonly problems: readonly Problem[];
  /** True where nothing behind it can be read. */
  readonly isLast: boolean;
}

/** Quotes nothing of the row. */
interface Problem {
  /** The column or field; empty for the whole row. */
  readonly field: string;
  readonly message: string;
}

/** Longer lines are refused: one lost quotation mark must not pull a whole file into memory. */
export const LINE_BYTES_MAX: number = 4_000_000;

export const isBad = (row: object): row is BadRow => "problems" in row;

/** The row that `read` makes, or the one that says what it cannot be made of. */
export function rowAt<T extends object>(line: number, read: () => T): T | BadRow {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    return badRow(line, error);
  }
}

export const badRow = (line: number, mismatch: Mismatch, isLast = false): BadRow => ({
  line,
  problems: [mismatch, ...mismatch.others],
  isLast,
});

/** "line 23,294, column retail_disc: expected …", once for each problem. */
export const problemTexts = ({ line, problems }: BadRow): readonly string[] =>
  problems.map(
    ({ field, message }) =>
      `line ${String(line)}${field === "" ? "" : `, column ${field}`}: ${message}`,
  );

/** The error of a file that must be right as a whole. */
export const fileError = (path: string, row: BadRow): ConfigError =>
  new ConfigError("MILL_DATA_INVALID", `${nameOf(path)} ${problemTexts(row).join("; ")}`);

/** The path of standard input. */
export const STDIN = "-";
export const nameOf = (path: string): string => (path === STDIN ? "standard input" : path);

export const emptyFile = (path: string, expected: string): ConfigError =>
  new ConfigError("MILL_DATA_INVALID", `${nameOf(path)} is empty: expected ${expected}`);
