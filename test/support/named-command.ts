// The commands that a message names, as somebody would type them.
import assert from "node:assert/strict";

/** The arguments of each, in their order; a sentence that goes on behind one is not of it. */
export function commandsIn(message: string): readonly (readonly string[])[] {
  const found = message.matchAll(/npx millrace ([^"\n;]+?)(?=$|\.?$|\. |, |["\n;)])/gm);
  return [...found].map(([, command = ""]) => command.split(/\s+/));
}

/** The last of them, which is the way on. */
export function commandIn(message: string): readonly string[] {
  return commandsIn(message).at(-1) ?? assert.fail(`no command in: ${message}`);
}
