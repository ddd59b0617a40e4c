// `--yes` means the same for every verb that has it: what would be done is shown by --dry-run, done without asking by --yes, and
// otherwise asked for. And verbs that take something away for good have it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Command } from "commander";
import { verbs } from "../../src/cli/verbs.ts";

/** Every verb of the command line, with its path. */
function leaves(command: Command, path: readonly string[] = []): readonly [string, Command][] {
  if (command.commands.length === 0) return [[path.join(" "), command]];
  return command.commands.flatMap((one) => leaves(one, [...path, one.name()]));
}

const program = new Command();
for (const register of verbs) register(program, () => Promise.resolve());
const all = leaves(program);
const longs = (verb: Command): string[] => verb.options.map(({ long }) => long ?? "");
const withYes = all.filter(([, verb]) => longs(verb).includes("--yes"));

test("verbs that take away for good what nothing brings back ask", () => {
  const names = withYes.map(([name]) => name);
  for (const name of [
    "offsets reset",
    "dlq discard",
    "topics prune",
    "reprocess promote",
    "reprocess undo",
    "reprocess drop",
  ])
    assert.ok(names.includes(name), name);
});

test("--yes takes nothing, stands beside --dry-run and says the same everywhere; what takes the word for a loss has a plan", () => {
  for (const [name, verb] of withYes) {
    const yes = verb.options.find(({ long }) => long === "--yes");
    assert.equal(yes?.short, undefined, name);
    if (yes?.required === true) {
      const plan = name.replace(/apply$/, "plan");
      assert.ok(plan !== name && all.some(([other]) => other === plan), `${name} has a plan`);
      continue;
    }
    assert.ok(longs(verb).includes("--dry-run"), `${name} --dry-run`);
    assert.equal(yes?.description, "do it without asking", name);
  }
});

test("no other option means the same under another name", () => {
  const other = /^--(force-yes|assume-yes|confirm|no-confirm|really|non-interactive)$/;
  for (const [name, verb] of all)
    for (const long of longs(verb)) assert.doesNotMatch(long, other, name);
});
