import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Command } from "commander";
import { errorsDoc } from "../../src/cli/errors-doc.ts";
import { verbs } from "../../src/cli/verbs.ts";
import { entryOf, errorTable, isErrorCode } from "../../src/engine/core/error-table.ts";

const doc = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
const headings = [...doc.matchAll(/^## (.*)$/gm)].map((match) => match[1] ?? "");
const codes = Object.keys(errorTable).filter(isErrorCode);

test("every code has its heading in docs/errors.md", () => {
  assert.deepEqual(
    codes.filter((code) => !headings.includes(code)),
    [],
  );
});

test("every heading of docs/errors.md is a code, and stands once", () => {
  assert.deepEqual(
    headings.filter((heading) => !isErrorCode(heading)),
    [],
  );
  assert.equal(new Set(headings).size, headings.length);
});

test("docs/errors.md is what the table says, word by word", () => {
  assert.equal(doc, errorsDoc(), "stale: run node src/cli/errors-doc.ts");
});

test("every code is MILL_<AREA>_<WHAT>, says what it means and what to do", () => {
  for (const code of codes) {
    const { message, meaning, action } = entryOf(code);
    // MILL_USAGE is older than the rule; a code is never renamed.
    if (code !== "MILL_USAGE") assert.match(code, /^MILL_[A-Z0-9]+(_[A-Z0-9]+)+$/);
    assert.match(message, /^(\p{Ll}|[A-Z]\w+ )/u, `${code}: details follow the message`);
    assert.doesNotMatch(message, /\.$/, code);
    assert.match(meaning, /\.$/, code);
    assert.ok(action.length > 5, code);
  }
});

test("commands that an action names exist", () => {
  const program = new Command();
  for (const register of verbs) register(program, () => Promise.resolve());
  const missing = codes.flatMap((code) =>
    [...entryOf(code).action.matchAll(/npx millrace((?: [a-z]+)+)/g)]
      .map((match) => (match[1] ?? "").trim().split(" "))
      .filter((words) => !isCommand(program, words))
      .map((words) => `${code}: ${words.join(" ")}`),
  );
  assert.deepEqual(missing, []);
});

function isCommand(parent: Command, [word, ...more]: readonly string[]): boolean {
  const found = parent.commands.find((command) => command.name() === word);
  if (found === undefined) return false;
  return found.commands.length === 0 || more.length === 0 || isCommand(found, more);
}
