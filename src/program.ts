// The end of a program: its exit code, and the problems that keep it from running.
import { ConfigErrors, messageOf, MillraceError } from "./engine/core/errors.ts";

export async function runProgram(work: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await work();
  } catch (error) {
    const problems = error instanceof ConfigErrors ? error.problems : [];
    console.error([messageOf(error), ...problems.map((p) => `${p.code}  ${p.message}`)].join("\n"));
    process.exitCode = codeOf(error);
  }
}

/** As the command line has them; a supervisor starts nothing again that ends with 5 or 78. */
function codeOf(error: unknown): number {
  if (error instanceof ConfigErrors) return 78;
  return error instanceof MillraceError && error.code === "MILL_GROUP_RELEASE" ? 5 : 1;
}
