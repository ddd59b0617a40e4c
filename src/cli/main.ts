// The command line: parse, call, print. One file per verb; no logic of its own.
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { Command, CommanderError } from "commander";
import { printable } from "../data/printable.ts";
import { hidingSecretsOf } from "../engine/clients/environment-secrets.ts";
import { ConfigErrors, MillraceError, messageOf } from "../engine/core/errors.ts";
import { exitCodeOf } from "../engine/core/exit-codes.ts";
import type { Hide } from "../engine/core/secrets.ts";
import { withoutLogins } from "../engine/core/shown-address.ts";
import { onDefect } from "../program.ts";
import { readStackEnv } from "../stack/stack-file.ts";
import { exitCodes, paragraph, type CliIo, type Register, type RunCommand } from "./io.ts";
import { endWithLauncher } from "./launcher.ts";
import { schemas } from "./schemas.ts";

const realIo = (): CliIo => ({
  env: process.env,
  cwd: process.cwd(),
  isTty: process.stderr.isTTY,
  ...untilCut(),
  ask: async (question) => {
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    return lines.question(question).finally(() => lines.close());
  },
});

/** Output that ends quietly when its reader does (`| head -1`): the command goes on to its own end, and says no more. */
function untilCut(): Pick<CliIo, "out" | "err" | "isCut" | "cut" | "clear"> {
  let isCut = false;
  const { promise: cut, resolve } = Promise.withResolvers<void>();
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      if (stream !== process.stdout) return;
      isCut = true;
      resolve();
    });
  return {
    out: (line) => void (isCut || process.stdout.write(`${line}\n`)),
    err: (line, again) => void process.stderr.write(`${again === true ? REDRAW : ""}${line}\n`),
    isCut: () => isCut,
    cut,
    clear: () => void (isCut || process.stdout.write(CLEAR)),
  };
}

/** Up one line and clear it. */
const REDRAW = "\u001b[1A\u001b[2K";
const CLEAR = "\u001b[2J\u001b[H";

/** Lines that no terminal obeys, without the secrets of the settings. A message loses every login besides; data does not. */
function safe(io: CliIo): CliIo {
  let known: Hide | null = null;
  const hide: Hide = (text) => (known ??= hidingSecretsOf(settingsOf(io)))(text);
  return {
    ...io,
    out: (line) => io.out(printable(hide(line))),
    err: (line, again) => io.err(printable(hide(withoutLogins(line))), again),
  };
}

/** A file of the stack that cannot be read is reported by who needs it. */
function settingsOf({ cwd, env }: CliIo): CliIo["env"] {
  try {
    return readStackEnv(join(cwd, ".millrace"), env);
  } catch {
    return env;
  }
}

/** The command line as a program. */
export function program(argv: readonly string[]): Promise<number> {
  const io = realIo();
  endWithLauncher(io);
  onDefect((text) => paragraph(safe(io).err, text));
  return main(argv, io);
}

/** Runs one command and returns its exit code. */
export async function main(
  argv: readonly string[],
  given: CliIo = realIo(),
  registers?: readonly Register[],
): Promise<number> {
  const io = safe(given);
  let code: number = exitCodes.ok;
  const run: RunCommand = async (action) => {
    try {
      code = await action(io);
    } catch (error) {
      code = report(error, io);
    }
  };
  const program = programOf(registers ?? (await verbsFor(argv)), run, io);
  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
  return code;
}

/** Other verbs load the pipelines, which import the very files that `schemas generate` has yet to write. */
async function verbsFor([verb]: readonly string[]): Promise<readonly Register[]> {
  return verb === "schemas" ? [schemas] : (await import("./verbs.ts")).verbs;
}

function programOf(registers: readonly Register[], run: RunCommand, io: CliIo): Command {
  const program = new Command("millrace")
    .description("Stream processing for TypeScript on Kafka, exactly once into Kafka and Postgres.")
    .version("0.1.0")
    .showHelpAfterError("(add --help for the options)")
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => paragraph(io.out, text.trimEnd()),
      writeErr: (text) => paragraph(io.err, text.trimEnd()),
    });
  for (const register of registers) register(program, run);
  return program;
}

/** A message that quotes another one may have several lines: none but the first begins as a line of ours does. */
const indented = (message: string): string => message.replaceAll("\n", "\n  ");

/** Prints what went wrong and what to do, and says how to exit. */
function report(error: unknown, io: CliIo): number {
  if (error instanceof ConfigErrors) {
    paragraph(io.err, indented(error.message));
    for (const { code, message } of error.problems)
      paragraph(io.err, indented(`${code}  ${message}`));
    return exitCodeOf(error);
  }
  if (!(error instanceof MillraceError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
    paragraph(io.err, text);
    return exitCodes.failure;
  }
  paragraph(io.err, indented(`${error.code}  ${error.message}`));
  io.err(`More: npx millrace explain ${error.code}`);
  return exitCodeOf(error);
}
