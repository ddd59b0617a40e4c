// Marked places of deliberate mistakes. A comment `// mistake: <name>` on a line of its own in src/engine marks the
// statement, member, property or element that follows it, wherever it moves. A mistake of two places has its name there
// with `(1 of 2)` and `(2 of 2)`, in the order of its `changes` in mutations.ts.
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import type { Change, Mutation } from "./mutations.ts";

const MARK = /^ *\/\/ mistake: (?<name>.+?)(?: \((?<part>\d+) of (?<parts>\d+)\))?$/gm;

/** Texts of files by their paths. */
export type Sources = ReadonlyMap<string, string>;

export interface Mark {
  readonly path: string;
  readonly name: string;
  /** Which place of the mistake it is, from 1, and how many there are. */
  readonly part: number;
  readonly parts: number;
  /** Offset of the comment's end. */
  readonly at: number;
}

interface Edit {
  readonly from: number;
  readonly to: number;
  readonly code: string;
}

export function engineSources(): Sources {
  const engine = join(import.meta.dirname, "../../src/engine");
  const paths = globSync("**/*.ts", { cwd: engine }).map((path) => join(engine, path));
  return new Map(paths.map((path) => [path, readFileSync(path, "utf8")]));
}

export function marksIn(sources: Sources): Mark[] {
  return [...sources].flatMap(([path, text]) =>
    [...text.matchAll(MARK)].map(({ index, 0: line, groups }) => {
      const { name = "", part = "1", parts = "1" } = groups ?? {};
      return { path, name, part: Number(part), parts: Number(parts), at: index + line.length };
    }),
  );
}

/** The files that a mistake changes, as it leaves them. Throws unless each of its places is marked once. */
export function withMistake(sources: Sources, { name, changes }: Mutation): Sources {
  const marks = marksIn(sources).filter((mark) => mark.name === name);
  const found = marks.map(({ part, parts }) => `${String(part)} of ${String(parts)}`).sort();
  const wanted = changes.map((_, i) => `${String(i + 1)} of ${String(changes.length)}`);
  if (found.join(", ") !== wanted.join(", "))
    throw new TypeError(
      `mistake "${name}": src/engine has the marks ${found.join(", ") || "of no place"}, mutations.ts the changes ${wanted.join(", ")}`,
    );
  const paths = new Set(marks.map(({ path }) => path));
  return new Map(
    [...paths].map((path) => {
      const text = sources.get(path) as string;
      const file = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);
      const edits = marks
        .filter((mark) => mark.path === path)
        .map((mark) => editOf(file, mark, changes[mark.part - 1] as Change));
      return [path, edited(text, edits)];
    }),
  );
}

/** From the last to the first, so that offsets stay right. */
function edited(text: string, edits: readonly Edit[]): string {
  return [...edits]
    .sort((a, b) => b.from - a.from)
    .reduce((rest, { from, to, code }) => rest.slice(0, from) + code + rest.slice(to), text);
}

function editOf(file: ts.SourceFile, mark: Mark, change: Change): Edit {
  const node = marked(file, mark.at, file);
  if (node === null) throw refused(file, mark, "stands above nothing that can be changed");
  const [from, to] = [node.getStart(), node.end];
  if (change === "omit")
    return ts.isStatement(node)
      ? { from, to, code: ";" }
      : { from, to: commaBehind(file.text, to), code: "" };
  if ("before" in change) return { from, to: from, code: `${change.before}\n` };
  if ("after" in change) return { from: to, to, code: `\n${change.after}` };
  const [part, code] = partOf(node, change);
  if (part === null)
    throw refused(file, mark, `stands above code without ${Object.keys(change).join()}`);
  const was = part.getText();
  const is = typeof code === "string" ? code : code(was);
  if (is === was) throw refused(file, mark, "changes nothing");
  return { from: part.getStart(), to: part.end, code: is };
}

function refused(file: ts.SourceFile, { path, name, at }: Mark, what: string): TypeError {
  const line = file.getLineAndCharacterOfPosition(at).line + 1;
  return new TypeError(`mistake "${name}": the mark at ${path}:${String(line)} ${what}`);
}

/** The outermost node behind a comment that ends at this offset. */
function marked(file: ts.SourceFile, at: number, within: ts.Node): ts.Node | null {
  const next = ts.forEachChild(within, (child) =>
    child.pos <= at && at < child.end ? child : undefined,
  );
  if (next === undefined) return null;
  if (at >= next.getStart(file)) return marked(file, at, next);
  const isCode = ts.isStatement(next) || ts.isClassElement(next) || ts.isExpression(next);
  return isCode || ts.isObjectLiteralElement(next) ? next : null;
}

type PartChange = Extract<
  Change,
  { instead: unknown } | { condition: unknown } | { value: unknown }
>;

function partOf(node: ts.Node, change: PartChange) {
  if ("instead" in change) return [node, change.instead] as const;
  if ("condition" in change) return [conditionOf(node), change.condition] as const;
  return [valueOf(node), change.value] as const;
}

function valueOf(node: ts.Node): ts.Expression | null {
  const [declared = node] = ts.isVariableStatement(node) ? node.declarationList.declarations : [];
  if (ts.hasOnlyExpressionInitializer(declared)) return declared.initializer ?? null;
  if (ts.isReturnStatement(node) || ts.isForOfStatement(node)) return node.expression ?? null;
  return ts.isExpressionStatement(node) ? assignedBy(node.expression) : null;
}

function assignedBy(node: ts.Expression): ts.Expression | null {
  if (!ts.isBinaryExpression(node)) return null;
  return node.operatorToken.kind === ts.SyntaxKind.EqualsToken ? node.right : null;
}

function conditionOf(node: ts.Node): ts.Expression | null {
  if (ts.isIfStatement(node) || ts.isWhileStatement(node)) return node.expression;
  const value = ts.isConditionalExpression(node) ? node : valueOf(node);
  return value !== null && ts.isConditionalExpression(value) ? value.condition : null;
}

/** The end of a property or an element: it goes with its comma. */
function commaBehind(text: string, end: number): number {
  return end + (/^\s*,/.exec(text.slice(end))?.[0].length ?? 0);
}
