// Tables of documents whose last cell names tests: `file.test.ts`: "words of a title", "of another one".
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");
const all = globSync("test/**/*.test.ts", { cwd: root });

export interface NamedRow {
  /** The first cell. */
  readonly rule: string;
  readonly tests: readonly NamedTest[];
}

export interface NamedTest {
  /** As the document names it, with folders or without: the same name may be in several. */
  readonly file: string;
  readonly titles: readonly string[];
}

/** The rows of every table under a heading whose last column names tests. */
export function namedRows(text: string, heading: string): readonly NamedRow[] {
  const section = text.split(`## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const rows: NamedRow[] = [];
  let isNaming = false;
  for (const line of section.split("\n")) {
    if (!line.startsWith("|")) isNaming = false;
    else if (/\| (?:test|caught by) \|$/.test(line)) isNaming = true;
    else if (isNaming && !line.startsWith("| ---")) rows.push(rowOf(line));
  }
  return rows;
}

function rowOf(line: string): NamedRow {
  const [, rule = "", ...cells] = line.split("|").map((cell) => cell.trim());
  const last = cells.at(-2) ?? "";
  const named = [...last.matchAll(/`([\w/.-]+\.test\.ts)`(?::((?:,? "[^"]+")+))?/g)];
  return {
    rule,
    tests: named.map(([, file = "", titles = ""]) => ({
      file,
      titles: [...titles.matchAll(/"([^"]+)"/g)].map(([, title = ""]) => title),
    })),
  };
}

/** The files of that name. */
export const filesOf = (name: string): readonly string[] =>
  all.filter((file) => file === name || file.endsWith(`/${name}`));

const TITLE = /\b(?:test|it)\(\s*(["'`])((?:\\.|(?!\1)[^\\])*)\1/g;
const FROM_CODE = /\$\{(?:[^{}]|\{[^}]*\})*\}/g;

/** The titles of the tests of the files of that name; what code puts into a title is "…". */
export const titlesOf = (name: string): readonly string[] =>
  filesOf(name).flatMap((file) => {
    const source = readFileSync(join(root, file), "utf8");
    return [...source.matchAll(TITLE)].map(([, , title = ""]) => title.replaceAll(FROM_CODE, "…"));
  });

/** The faults of a row: no file, a file that is not there, a title that none of its tests has. */
export function faultsOf({ rule, tests }: NamedRow): readonly string[] {
  if (tests.length === 0) return [`${rule}: no test`];
  return tests.flatMap(({ file, titles }) => {
    if (filesOf(file).length === 0) return [`${rule}: there is no ${file}`];
    const known = titlesOf(file);
    return titles
      .filter((title) => !known.some((one) => one.includes(title)))
      .map((title) => `${rule}: ${file} has no test "${title}"`);
  });
}
