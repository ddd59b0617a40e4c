// Every command that a message, the error table or a document names is one of ours: its verb is there, takes such options and
// gets the arguments that it needs. The command line parses each; what the verb would do is left out.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { test } from "node:test";
import { Command } from "commander";
import type { RunCommand } from "../../src/cli/io.ts";
import { verbs } from "../../src/cli/verbs.ts";

const root = join(import.meta.dirname, "../..");

/** Texts that name the verb alone, since the message beside them has the whole command, or the reader has it in hand. */
const VERB_ALONE =
  /^(offsets (reset|show)|dlq (redrive|discard|stats|list)|resume|reprocess|explain|describe)$/;

interface Named {
  readonly where: string;
  readonly words: readonly string[];
}

const filesBelow = (folder: string, ending: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(root, folder, name));

/** An argument as messages and documents write it: a placeholder, a value of code, or a name of the examples. */
const isArgument = (word: string): boolean =>
  /^(<[\w -]+>|VALUE|CODE|MILL_\w+)$|[\d_.=-]|^[a-z]+$/.test(word);

/** The words of a command end where its sentence goes on. */
function wordsOf(text: string): string[] {
  const [line = ""] = text
    .replaceAll(/\$\{[^{}]*\}/g, "VALUE")
    .split(/[`"'\\;()·…\n|#]|, |: |\. |\.$|,$| {2}/);
  return line
    .trim()
    .replace(/[.,:]$/, "")
    .split(" ")
    .filter((word) => word !== "" && !/^[<>&]$/.test(word));
}

const named: readonly Named[] = [
  ...filesBelow("src", ".ts"),
  ...filesBelow("docs", ".md"),
  ...["README.md", "CONTRIBUTING.md"].map((name) => join(root, name)),
].flatMap((path) =>
  [...readFileSync(path, "utf8").matchAll(/npx millrace ([^\n]*)/g)].map(([, text = ""]) => ({
    where: relative(root, path),
    words: wordsOf(text),
  })),
);

function program(): Command {
  const made = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  const nothing: RunCommand = () => Promise.resolve();
  for (const register of verbs) register(made, nothing);
  const quiet = (command: Command): void => {
    command
      .exitOverride()
      .configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
    for (const each of command.commands) quiet(each);
  };
  quiet(made);
  return made;
}

/** The verb, and what of the words belongs to it: prose that follows begins with a word that no argument is. */
function verbOf(
  words: readonly string[],
): { verb: Command; path: string[]; rest: string[] } | null {
  let verb = program();
  const path: string[] = [];
  for (const word of words) {
    const next = verb.commands.find((one) => one.name() === word);
    if (next === undefined) break;
    verb = next;
    path.push(word);
  }
  return path.length === 0 ? null : { verb, path, rest: words.slice(path.length) };
}

/** Why the command line would refuse it, or null. */
function refusal({ words }: Named): string | null {
  // The demo prints commands that it has run itself; help is commander's.
  if (["VALUE", "--help"].includes(words[0] ?? "")) return null;
  const found = verbOf(words);
  if (found === null) return "there is no such verb";
  const { verb, path, rest } = found;
  if (verb.commands.length > 0) return VERB_ALONE.test(path.join(" ")) ? null : "a group of verbs";
  const options = rest.filter((word) => word.startsWith("--")).map((word) => word.split("=")[0]);
  const unknown = options.find((name) => !verb.options.some(({ long }) => long === name));
  if (unknown !== undefined) return `no option ${unknown}`;
  const isAlone = options.length === 0 && VERB_ALONE.test(path.join(" "));
  return isAlone ? null : lackOf(verb, rest);
}

function lackOf(verb: Command, rest: readonly string[]): string | null {
  const needed = verb.registeredArguments.filter(({ required }) => required).length;
  const first = rest.findIndex((word) => word.startsWith("-"));
  const given = (first < 0 ? rest : rest.slice(0, first)).filter(isArgument).length;
  return given >= needed ? null : `needs ${String(needed)} arguments`;
}

test("every command that a message or a document names is one of ours, with its options and arguments", () => {
  assert.ok(named.length > 150, `${String(named.length)} commands`);
  const wrong = named.flatMap((one) => {
    const why = refusal(one);
    return why === null ? [] : [`${one.where}: npx millrace ${one.words.join(" ")}: ${why}`];
  });
  assert.deepEqual(wrong, []);
});

test("a verb, an option or an argument that is not there is found", () => {
  const why = (text: string) => refusal({ where: "", words: wordsOf(text) });
  assert.equal(why("resume <pipeline> --halt-above 20%"), null);
  assert.match(why("revive <pipeline>") ?? "", /no such verb/);
  assert.match(why("resume <pipeline> --louder") ?? "", /no option --louder/);
  assert.match(why("drain") ?? "", /needs 1 arguments/);
  assert.match(why("topics unapply") ?? "", /group of verbs/);
});
