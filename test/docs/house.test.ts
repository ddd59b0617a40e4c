import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, extname, join, relative } from "node:path";
import { test, type TestContext } from "node:test";
import ts from "typescript";

const root = join(import.meta.dirname, "../..");
const skipped = new Set(["node_modules", ".git", ".millrace", "target"]);

/** Every file of the repository below a folder, as paths from its root. */
function filesBelow(folder: string): readonly string[] {
  const path = join(root, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    const name = join(folder, entry.name);
    if (skipped.has(entry.name)) return [];
    return entry.isDirectory() ? filesBelow(name) : [name];
  });
}

const all = filesBelow("");
const code = all.filter((file) => /^(src|topics|schemas|test|bench)\//.test(file));
const isScript = (file: string): boolean => /\.[cm]?[jt]s$/.test(file);
const read = (file: string): string => readFileSync(join(root, file), "utf8");

test("a room of the engine holds at most nine files: the tenth is a folder with a name", () => {
  const rooms = new Map<string, number>();
  for (const file of code.filter((each) => each.startsWith("src/engine/") && isScript(each))) {
    const folder = dirname(file);
    // core/ is the vocabulary that all rooms share, not a room.
    if (folder !== "src/engine/core") rooms.set(folder, (rooms.get(folder) ?? 0) + 1);
  }
  assert.ok(rooms.size > 5);
  const crowded = [...rooms].filter(([, count]) => count > 9);
  assert.deepEqual(crowded, []);
});

test("a type name is declared once in the engine, so that a reader who looks it up finds one answer", () => {
  const declared = /^(?:export )?(?:declare )?(?:abstract )?(?:interface|type|class|enum) (\w+)/gm;
  const files = new Map<string, string[]>();
  for (const file of code.filter((each) => each.startsWith("src/engine/")))
    for (const [, name = ""] of read(file).matchAll(declared))
      files.set(name, [...(files.get(name) ?? []), file]);
  assert.ok(files.size > 500);
  const twice = [...files].filter(([, where]) => where.length > 1);
  assert.deepEqual(twice, []);
});

/** Words that the code has done without since each of them meant several things, as parts of names in whatever case. */
const goneWords = new Set(
  `told tell tells teller tellers telling untold owe owes owed owing hold holds held holder holders holding lot lots heir heirs
   fate fates twin twins stand stands stood standing shoo trouble troubles lesson lessons park parks parked parking`.split(
    /\s+/,
  ),
);
/** Names that keep one of these words, each with its reason. */
const keptNames = new Map([
  ["MILL_GATE_HELD", "the code of an error"],
  ["millrace_parked_keys", "a metric"],
  ["millrace_parked_records", "a metric"],
  ["millrace_time_held_by", "a metric"],
  ["park-key", "what a user writes to have keys queued"],
  ["-parked", "the end of a store's name, and so of a changelog's"],
  ["parked", "a letter that has failed too often is parked; the name of their topic in the plan"],
  ["PARKED", "the same header"],
  ["isParked", "a letter that has failed too often is parked"],
  ["hold", "the option --hold of promotions, and its field in a run's row"],
  ["held", "a step and a field of a run's row; the answer for a lock"],
  ["stands", "a field of a run's row"],
  ["HeldLock", "a lock is held"],
  ["holders", "sessions that hold a lock"],
  ["holdersOf", "sessions that hold a lock"],
]);

test("names in the engine have none of the words that meant several things", () => {
  const found = new Map<string, string>();
  const note = (name: string, file: string): void => {
    const parts = name
      .replaceAll(/([a-z0-9])([A-Z])/g, "$1 $2")
      .toLowerCase()
      .split(/[^a-z0-9]+/);
    if (parts.some((part) => goneWords.has(part)) || name === "Run") found.set(name, file);
  };
  for (const file of code.filter((each) => each.startsWith("src/engine/"))) {
    for (const name of file.split(/[/.]/)) note(name, file);
    // A token of source text is a name, or a text without spaces; comments are no tokens.
    const visit = (node: ts.Node): void => {
      const isName = ts.isIdentifier(node) || ts.isPrivateIdentifier(node);
      if (isName || (ts.isStringLiteralLike(node) && !/\s/.test(node.text))) note(node.text, file);
      ts.forEachChild(node, visit);
    };
    visit(ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest));
  }
  const wrong = [...found].filter(([name]) => !keptNames.has(name));
  assert.deepEqual(wrong, []);
  const unused = [...keptNames.keys()].filter((name) => !found.has(name));
  assert.deepEqual(unused, []);
});

test("files and folders of code are kebab-case", () => {
  const wrong = code.filter((file) => isScript(file) && /[^a-z0-9./-]/.test(file));
  assert.deepEqual(wrong, []);
});

test("a file is named after what it holds, never utils or manager", () => {
  const vague = /^(utils?|helpers?|common|misc|manager|services?|.*-(utils?|helpers?|manager))$/;
  const names = (file: string): readonly string[] => [
    ...dirname(file).split("/"),
    basename(file).split(".")[0] ?? "",
  ];
  const wrong = code.filter((file) => names(file).some((name) => vague.test(name)));
  assert.deepEqual(wrong, []);
});

test("every file of the engine opens with a comment that says what it is", () => {
  const silent = code.filter(
    (file) => /^src\/.*\.ts$/.test(file) && !/^(\/\/|\/\*)/.test(read(file)),
  );
  assert.deepEqual(silent, []);
});

test("no work is left as a note in the code or the documents", () => {
  const note = new RegExp(`\\b(${["TO", "FIX"].map((a, i) => a + ["DO", "ME"][i]).join("|")})\\b`);
  const text = new Set([".ts", ".js", ".mjs", ".md", ".yaml", ".yml", ".xml", ".sql", ""]);
  const wrong = all.filter((file) => text.has(extname(file)) && note.test(read(file)));
  assert.deepEqual(wrong, []);
});

test("every link of a document to a file of the repository leads somewhere", () => {
  const documents = all.filter((file) => file.endsWith(".md"));
  assert.ok(documents.length > 0);
  const broken = documents.flatMap((file) =>
    [...read(file).matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)]
      .map((match) => match[1] ?? "")
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => !existsSync(join(root, dirname(file), decodeURI(target))))
      .map((target) => `${file} → ${target}`),
  );
  assert.deepEqual(broken, []);
});

interface Violation {
  readonly from: string;
  readonly rule: { readonly name: string };
}

/** Runs the import check of this repository over a small tree of files, and says which rule refused which file. */
function violationsOf(t: TestContext, files: Readonly<Record<string, string>>): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), "millrace-house-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const tree = {
    "package.json": '{ "type": "module", "imports": { "#engine": "./src/engine/index.ts" } }',
    "tsconfig.json": '{ "compilerOptions": { "module": "nodenext", "noEmit": true } }',
    "src/engine/core/record.ts": "export const record = 1;",
    "src/engine/index.ts": 'export { record } from "./core/record.ts";',
    ...files,
  };
  for (const [file, content] of Object.entries(tree)) {
    mkdirSync(join(folder, dirname(file)), { recursive: true });
    writeFileSync(join(folder, file), content);
  }
  const cruise = join(root, "node_modules/.bin/depcruise");
  const config = relative(folder, join(root, ".dependency-cruiser.mjs"));
  const args = [cruise, "--config", config, "--output-type", "json", "src"];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
  assert.ok(stdout.startsWith("{"), stderr || stdout);
  const { summary } = JSON.parse(stdout) as { summary: { violations: Violation[] } };
  return summary.violations.map(({ rule, from }) => `${rule.name}: ${from}`).toSorted();
}

test("the import check passes a tree that keeps the rules", (t) => {
  const found = violationsOf(t, {
    "src/engine/state/store.ts": 'import { record } from "../core/record.ts"; export { record };',
    "src/engine/runtime/live.ts": 'import { record } from "../state/store.ts"; export { record };',
    "src/pipelines/orders.ts": 'import { record } from "#engine"; export { record };',
  });
  assert.deepEqual(found, []);
});

test("the import check refuses a room that imports another, also for its types alone", (t) => {
  const found = violationsOf(t, {
    "src/engine/state/store.ts": "export const store = 1; export type Store = number;",
    "src/engine/source/fetch.ts": 'import { store } from "../state/store.ts"; export { store };',
    "src/engine/sinks/batch.ts":
      'import type { Store } from "../state/store.ts"; export type { Store };',
  });
  assert.deepEqual(found, [
    "strangers-sinks: src/engine/sinks/batch.ts",
    "strangers-source: src/engine/source/fetch.ts",
  ]);
});

test("the import check refuses a command's logic that runs a worker, and a worker that operates", (t) => {
  const found = violationsOf(t, {
    "src/engine/runtime/worker.ts":
      'import { check } from "../operate/check.ts"; export { check };',
    "src/engine/operate/check.ts":
      'import { ledgers } from "../runtime/ledgers.ts"; export const check = ledgers;',
    "src/engine/operate/reset.ts":
      'import { check } from "../runtime/worker.ts"; export { check };',
  });
  assert.deepEqual(found, [
    "hallways-are-strangers: src/engine/runtime/worker.ts",
    "no-folder-cycles: src/engine/operate",
    "no-folder-cycles: src/engine/runtime",
    "operating-runs-nothing: src/engine/operate/reset.ts",
  ]);
});

test("the import check refuses a pipeline that does not come through the front door", (t) => {
  const found = violationsOf(t, {
    "src/pipelines/orders.ts":
      'import { record } from "../engine/core/record.ts"; export { record };',
  });
  assert.deepEqual(found, ["front-door: src/pipelines/orders.ts"]);
});

test("the import check refuses clients, network, files and timers in a pure room", (t) => {
  const found = violationsOf(t, {
    "src/engine/clients/redis.ts": "export const redis = 1;",
    "src/engine/decode/avro.ts": 'import { redis } from "../clients/redis.ts"; export { redis };',
    "src/engine/decode/json.ts": 'import { get } from "node:https"; export { get };',
    "src/engine/transform/join.ts": 'import { readFile } from "node:fs/promises"; readFile;',
    "src/engine/transform/window.ts": 'import { setTimeout } from "node:timers"; setTimeout;',
  });
  assert.deepEqual(found, [
    "pure-rooms: src/engine/decode/avro.ts",
    "pure-rooms: src/engine/decode/json.ts",
    "pure-rooms: src/engine/transform/join.ts",
    "pure-rooms: src/engine/transform/window.ts",
  ]);
});

test("the import check refuses a driver outside clients/", (t) => {
  const found = violationsOf(t, {
    "node_modules/pg/package.json": '{ "name": "pg", "main": "index.js" }',
    "node_modules/pg/index.js": "module.exports = {};",
    "src/engine/clients/postgres.ts": 'import pg from "pg"; export { pg };',
    "src/engine/sinks/batch.ts": 'import pg from "pg"; export { pg };',
    "src/engine/observe/lag.ts": 'import { pg } from "../clients/postgres.ts"; export { pg };',
    "src/engine/clients/log.ts": 'import { pg } from "../observe/lag.ts"; export { pg };',
  });
  assert.deepEqual(found, [
    "clients-know-no-room: src/engine/clients/log.ts",
    "drivers-only-in-clients: src/engine/sinks/batch.ts",
    "no-folder-cycles: src/engine/clients",
    "no-folder-cycles: src/engine/observe",
  ]);
});

test("the import check refuses names that are not kebab-case, wherever they stand", (t) => {
  const found = violationsOf(t, {
    "src/engine/state/keyedStore.ts": "export const store = 1;",
    "src/engine/state/use.ts": 'import { store } from "./keyedStore.ts"; export { store };',
    "src/engine/state/My_Reader.ts": 'import { store } from "./use.ts"; export { store };',
    "src/engine/Sinks/alone.ts": "export const alone = 1;",
  });
  for (const expected of [
    "kebab-case-target: src/engine/state/use.ts",
    "kebab-case-source: src/engine/state/My_Reader.ts",
    "kebab-case-alone: src/engine/Sinks/alone.ts",
  ])
    assert.ok(found.includes(expected), expected);
});

test("the import check refuses a ring of folders, also where only types are imported", (t) => {
  const found = violationsOf(t, {
    "src/engine/runtime/a/a.ts":
      'import { c } from "../b/c.ts"; export const a = (): unknown => c;',
    "src/engine/runtime/b/b.ts": 'import type { D } from "../a/d.ts"; export type B = D;',
    "src/engine/runtime/b/c.ts": "export const c = 1;",
    "src/engine/runtime/a/d.ts": "export type D = number;",
  });
  assert.deepEqual(
    found.filter((violation) => violation.startsWith("no-folder-cycles")),
    ["no-folder-cycles: src/engine/runtime/a", "no-folder-cycles: src/engine/runtime/b"],
  );
});

test("the import check refuses a ring of imports", (t) => {
  const found = violationsOf(t, {
    "src/engine/core/a.ts": 'import { b } from "./b.ts"; export const a = (): unknown => b;',
    "src/engine/core/b.ts": 'import { a } from "./a.ts"; export const b = (): unknown => a;',
  });
  assert.deepEqual(found, ["no-cycles: src/engine/core/a.ts"]);
});
