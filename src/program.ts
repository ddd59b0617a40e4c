// The end of a program: its exit code, and the problems that keep it from running.
import { printable } from "./data/printable.ts";
import { hidingSecretsOf } from "./engine/clients/environment-secrets.ts";
import { ConfigErrors, FencedError, messageOf } from "./engine/core/errors.ts";
import { exitCodeOf, exitCodes } from "./engine/core/exit-codes.ts";
import { withoutLogins } from "./engine/core/shown-address.ts";

export async function runProgram(work: () => Promise<number>): Promise<void> {
  const hide = hidingSecretsOf(process.env);
  const say = (line: string): void => console.error(printable(hide(withoutLogins(line))));
  onDefect((text) => text.split("\n").forEach(say));
  try {
    process.exitCode = await work();
  } catch (error) {
    const problems = error instanceof ConfigErrors ? error.problems : [];
    const texts = [messageOf(error), ...problems.map((p) => `${p.code}  ${p.message}`)];
    for (const text of texts) text.split("\n").forEach(say);
    // A fenced worker is started again by its supervisor, which a conflict would forbid.
    process.exitCode = error instanceof FencedError ? exitCodes.failure : exitCodeOf(error);
  }
}

/** An error that nobody catches ends the process as Node does it, and Node's warnings are printed, through the same guard as everything else. */
export function onDefect(print: (text: string) => void): void {
  process.removeAllListeners("warning");
  process.on("warning", ({ name, message }) => print(`${name}: ${message}`));
  process.once("uncaughtException", (error: unknown) => {
    print(error instanceof Error ? (error.stack ?? error.message) : messageOf(error));
    process.exit(exitCodes.failure);
  });
}
