// The streams and environment of every command: data goes to `out`, everything else to `err`. Both take lines: whatever a
// terminal would obey in one is printed as its escape, to a pipe as to a terminal.
import type { Command } from "commander";
export { exitCodes } from "../engine/core/exit-codes.ts";

export interface CliIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly isTty: boolean;
  out(line: string): void;
  /** Whether nobody reads the output any more, as behind `| head -1`; what goes on without end then ends. */
  isCut?(): boolean;
  /** Resolves then. */
  readonly cut?: Promise<void>;
  /** Drawn again: in the place of the line before, on a terminal. */
  err(line: string, isDrawnAgain?: boolean): void;
  /** Clears the terminal. */
  clear?(): void;
  /** Reads one line that somebody types at a terminal. */
  ask?(question: string): Promise<string>;
}

/** Prints text of our own, which may have several lines. */
export function paragraph(print: (line: string) => void, text: string): void {
  for (const line of text.split("\n")) print(line);
}

/** Adds one verb to the program. Its action returns the exit code, or throws a MillraceError. */
export type Register = (program: Command, run: RunCommand) => void;

/** Wraps an action: gives it the io, prints what it throws, sets the exit code. */
export type RunCommand = (action: (io: CliIo) => Promise<number>) => Promise<void>;
