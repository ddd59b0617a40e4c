// The file of rows that were not sent: line, column and reason of each problem, as CSV. It quotes nothing of a row.
// An import that goes on at a line keeps what was written of the lines before it.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { ConfigError, MillraceError, messageOf } from "../../engine/core/errors.ts";
import type { BadRow } from "../row.ts";

const HEADER = "line,column,reason";

export class RejectFile {
  readonly #path: string;

  /** Throws when another file is there, or when it cannot be written. */
  constructor(path: string, fromLine: number) {
    this.#path = path;
    const earlier = existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
    if (earlier.length > 0 && earlier[0] !== HEADER)
      throw new MillraceError(
        "MILL_USAGE",
        `--on-invalid reject-file: ${path} is another file (its first line is not ${HEADER}); name one that may be written`,
      );
    const kept = earlier.slice(1).filter((line) => line !== "" && Number.parseInt(line) < fromLine);
    this.#write(writeFileSync, [HEADER, ...kept]);
  }

  /** Written at once, before records of later lines are sent. */
  add({ line, problems }: BadRow): void {
    this.#write(
      appendFileSync,
      problems.map(({ field, message }) => [String(line), field, message].map(cell).join(",")),
    );
  }

  #write(write: (path: string, text: string) => void, lines: readonly string[]): void {
    try {
      write(this.#path, lines.map((line) => `${line}\n`).join(""));
    } catch (error) {
      throw new ConfigError("MILL_CONFIG_INVALID", `${this.#path}: ${messageOf(error)}`);
    }
  }
}

/** Names of columns come from the file: what a spreadsheet would work out as a formula gets an apostrophe, and is text. */
function cell(text: string): string {
  const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
