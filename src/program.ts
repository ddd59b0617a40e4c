// The end of a program: its exit code, and the problems that keep it from running.
import { ConfigErrors, messageOf } from "./engine/core/errors.ts";

export async function runProgram(work: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await work();
  } catch (error) {
    const problems = error instanceof ConfigErrors ? error.problems : [];
    console.error([messageOf(error), ...problems.map((p) => `${p.code}  ${p.message}`)].join("\n"));
    process.exitCode = error instanceof ConfigErrors ? 78 : 1;
  }
}
