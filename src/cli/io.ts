// The streams and environment of every command: data goes to `out`, everything else to `err`.
import type { Command } from "commander";

export interface CliIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly isTty: boolean;
  out(line: string): void;
  /** Whether nobody reads the output any more, as behind `| head -1`; what goes on without end then ends. */
  isCut?(): boolean;
  err(line: string): void;
  /** Reads one line that somebody types at a terminal. */
  ask?(question: string): Promise<string>;
}

/** Documented exit codes (design.md section 5). */
export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  auth: 4,
  conflict: 5,
  unavailable: 69,
  config: 78,
  interrupted: 130,
} as const;

/** Adds one verb to the program. Its action returns the exit code, or throws a MillraceError. */
export type Register = (program: Command, run: RunCommand) => void;

/** Wraps an action: gives it the io, prints what it throws, sets the exit code. */
export type RunCommand = (action: (io: CliIo) => Promise<number>) => Promise<void>;
