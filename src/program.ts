// The end of a program: its exit code, and the problems that keep it from running.
import { printable } from "./data/printable.ts";
import { ConfigErrors, FencedError, messageOf } from "./engine/core/errors.ts";
import { exitCodeOf, exitCodes } from "./engine/core/exit-codes.ts";

export async function runProgram(work: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await work();
  } catch (error) {
    const problems = error instanceof ConfigErrors ? error.problems : [];
    const texts = [messageOf(error), ...problems.map((p) => `${p.code}  ${p.message}`)];
    console.error(texts.flatMap((text) => text.split("\n").map(printable)).join("\n"));
    // A fenced worker is started again by its supervisor, which a conflict would forbid.
    process.exitCode = error instanceof FencedError ? exitCodes.failure : exitCodeOf(error);
  }
}
