// The command line: parse, call, print. One file per verb; no logic of its own.
import { createInterface } from "node:readline/promises";
import { Command, CommanderError } from "commander";
import { ConfigErrors, MillraceError, messageOf } from "../engine/core/errors.ts";
import { exitCodeOf } from "../engine/core/exit-codes.ts";
import { exitCodes, type CliIo, type Register, type RunCommand } from "./io.ts";
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
function untilCut(): Pick<CliIo, "out" | "err" | "isCut"> {
  let isCut = false;
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      isCut ||= stream === process.stdout;
    });
  return {
    out: (line) => void (isCut || process.stdout.write(`${line}\n`)),
    err: (line) => void process.stderr.write(`${line}\n`),
    isCut: () => isCut,
  };
}

/** Runs one command and returns its exit code. */
export async function main(
  argv: readonly string[],
  io: CliIo = realIo(),
  registers?: readonly Register[],
): Promise<number> {
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
      writeOut: (text) => io.out(text.trimEnd()),
      writeErr: (text) => io.err(text.trimEnd()),
    });
  for (const register of registers) register(program, run);
  return program;
}

/** Prints what went wrong and what to do, and says how to exit. */
function report(error: unknown, io: CliIo): number {
  if (error instanceof ConfigErrors) {
    io.err(error.message);
    for (const problem of error.problems) io.err(`${problem.code}  ${problem.message}`);
    return exitCodeOf(error);
  }
  if (!(error instanceof MillraceError)) {
    io.err(error instanceof Error ? (error.stack ?? error.message) : messageOf(error));
    return exitCodes.failure;
  }
  io.err(`${error.code}  ${error.message}`);
  io.err(`More: npx millrace explain ${error.code}`);
  return exitCodeOf(error);
}
