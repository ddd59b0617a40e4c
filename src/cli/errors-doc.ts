// docs/errors.md is made from the error table: `node src/cli/errors-doc.ts` writes it, `--check` only compares and exits 1
// when it is stale. The text of a code is the same that `millrace explain` prints.
import { existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { sqlStates, type SqlEnd } from "../engine/core/sql-states.ts";
import { errorTable, entryOf, isErrorCode } from "../engine/core/error-table.ts";
import { exitCodes } from "./io.ts";

const path = fileURLToPath(new URL("../../docs/errors.md", import.meta.url));

/** The engine's reaction to an error, by disposition; `pause` has no code of its own. */
const conduct = {
  retry: "Waits and tries again by itself.",
  "dead-letter": "The record goes to the dead-letter topic; its partition goes on.",
  pause: "The task waits.",
  fence: "Everything that was not committed is dropped.",
  halt: "The task or the command stops.",
} as const;

const WARNS = "Warns once for each task, and goes on.";

/** The whole document. */
export function errorsDoc(): string {
  const codes = Object.keys(errorTable).filter(isErrorCode).toSorted();
  return `# Errors

Every error has a code that is never used again for another meaning. \`npx millrace explain CODE\` prints the same text.
This file is made from \`src/engine/core/error-table.ts\` by \`node src/cli/errors-doc.ts\`: change it there.

${codes.map(section).join("\n")}`;
}

function section(code: keyof typeof errorTable): string {
  const { message, meaning, action, disposition, onlyWarns = false } = entryOf(code);
  return `## ${code}

> ${message}

${meaning}

- **Millrace**: ${onlyWarns ? WARNS : conduct[disposition]}
- **You**: ${action}
${code === "MILL_SINK_REFUSED" ? refusals() : ""}`;
}

const endings: Readonly<Record<SqlEnd, string>> = {
  letter: "a letter",
  wait: "waits",
  compare: "a letter where other rows of the commit pass; stops where none does",
  stop: "stops",
};

/** The outcome of a row, by SQLSTATE. */
function refusals(): string {
  const rows = sqlStates.map(
    ({ states, end, meaning }) => `| ${states.join(", ")} | ${endings[end]} | ${meaning} |`,
  );
  return `
### Rows that Postgres refuses, by SQLSTATE

A whole SQLSTATE goes before its class (the first two characters).

| SQLSTATE | what becomes of the row | what it is |
| --- | --- | --- |
${rows.join("\n")}
| any other class, such as 45000 | a letter | a trigger's own code |

Whatever the table says, a row that a trigger refuses by RAISE, or a row-level policy, is a letter. A RAISE with a code that
waits is asked again first: four times at once, and where no other row passes ten times more, about twenty seconds. What fails
for a statement without rows as well is never the row's fault.
`;
}

function run(isCheck: boolean): number {
  if (!isCheck) {
    writeFileSync(path, errorsDoc());
    return exitCodes.ok;
  }
  if (existsSync(path) && readFileSync(path, "utf8") === errorsDoc()) return exitCodes.ok;
  process.stderr.write("docs/errors.md is stale. Run: node src/cli/errors-doc.ts\n");
  return exitCodes.failure;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename)
  process.exitCode = run(process.argv.includes("--check"));
