// A name for the code that makes the values of each topic between parts: the callbacks above it, the schemas of the topics
// that they read, and the files that these come from with what they import. Numbers, comments and white space do not count.
// Packages, and values that are read when the program runs, are not seen. So equal names are trusted, and names that
// differ mean no more than that values must be compared. A callback that makes none of these values, such as a key function, is
// left out of its file's text, unless it is written with types.
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, resolve, sep } from "node:path";
import { sideName } from "../core/join-buffer.ts";
import { queuesKeys, storesOf, type Plan, type PlanNode } from "../core/plan.ts";
import type { TopicName } from "../core/record.ts";
import type { SchemaFormat } from "../core/schema.ts";
import { feedersOf, reachedFrom } from "../core/walk.ts";

/** By the topic under which structures are noted; of records that steps keep, by the names of their stores. */
export type Codes = ReadonlyMap<TopicName, string>;

export function codesOf(plan: Plan): Codes {
  const nodes = plan.parts.flatMap((part) => part.nodes);
  const files = filesOf(nodes);
  const codes = new Map<TopicName, string>();
  for (const { name, makers } of nodes.flatMap((node) => notedBy(node, plan))) {
    if (codes.has(name)) continue;
    const reached = makers.map((maker) => reachedFrom(maker, (at) => nodesAbove(at, plan)));
    const above = new Set([...makers, ...reached.flatMap((found) => [...found])]);
    const text = [...above].map(nodeText).sort().join("\n");
    const others = nodes.filter((one) => !above.has(one) || !one.facts.changes);
    const hash = createHash("sha256").update(text).update(without(others, files));
    codes.set(name, hash.digest("hex").slice(0, 12));
  }
  return codes;
}

/** Values that a node writes or keeps. */
interface NotedValues {
  /** Under which their structures are noted. */
  readonly name: TopicName;
  /** The nodes that they come from. */
  readonly makers: readonly PlanNode[];
}

function notedBy(node: PlanNode, plan: Plan): readonly NotedValues[] {
  const makers = nodesAbove(node, plan);
  const { store, topic } = node.operation;
  const kept = storesOf(node.operation).flatMap(({ name, changelog: { value }, keepsRecords }) => {
    if (value.kind === "join-buffer") return sidesOf(name, node, plan);
    return keepsRecords === true || (queuesKeys(node) && name === store?.name)
      ? [{ name, makers }]
      : [];
  });
  // A topic that takes what another topic of ours has is no maker of it.
  if (topic?.value.kind !== "carried" || topic.value.shapes !== topic.name) return kept;
  return node.facts.reads ? kept : [...kept, { name: topic.name, makers }];
}

/** Each side of a join by itself, in the order of its inputs. */
function sidesOf(store: string, { inputs }: PlanNode, { parts }: Plan): readonly NotedValues[] {
  const nodes = parts.flatMap((part) => part.nodes);
  return inputs.map((id, side) => ({
    name: sideName(store, side),
    makers: nodes.filter((one) => one.id === id),
  }));
}

/** The nodes that feed it, through topics of ours too. */
function nodesAbove(node: PlanNode, { parts }: Plan): PlanNode[] {
  const { facts, operation } = node;
  if (!facts.reads)
    return feedersOf(parts.find(({ nodes }) => nodes.includes(node))?.nodes ?? [])(node);
  return parts
    .flatMap(({ nodes }) => nodes)
    .filter(
      ({ facts: { writes }, operation: { topic } }) =>
        (writes === "repartition" || writes === "forward") && topic?.name === operation.topic?.name,
    );
}

function nodeText(node: PlanNode): string {
  const { name, facts, operation } = node;
  const { kind, topic } = operation;
  if (facts.reads && topic)
    return topic.internal === null ? `source ${formatText(topic.value)}` : "";
  // A node that only looks at values and passes them on decides nothing of what they are.
  return facts.changes ? `${kind} ${name} ${callbacksOf(node).join(" ")}` : "";
}

const callbacksOf = ({ operation }: PlanNode): string[] =>
  Object.values(operation)
    .filter((part) => typeof part === "function")
    .map((fn) => plain(String(fn)));

/** The files, in each of which a callback of these nodes may change: its text is left out once, behind its name. */
function without(nodes: readonly PlanNode[], files: ReadonlyMap<string, string>): string {
  const texts = new Map(files);
  for (const node of nodes) {
    const file = fileOf(node);
    let text = texts.get(file) ?? "";
    const from = Math.max(0, text.indexOf(`"${node.name}"`));
    for (const callback of callbacksOf(node)) {
      const at = text.indexOf(callback, from);
      if (at >= 0) text = text.slice(0, at) + text.slice(at + callback.length);
    }
    texts.set(file, text);
  }
  return [...texts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, text]) => text)
    .join("\n");
}

const formatText = (format: SchemaFormat): string =>
  JSON.stringify(format, (_, part: unknown) =>
    typeof part === "function" ? plain(String(part)) : part,
  );

/**
 * Strings stay; a number may change, a comment and the space between words too. Two slashes behind a backslash or a bracket
 * end a regular expression: no comment begins there, so what follows counts.
 */
const TOKEN =
  /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|(?<![\\\]])\/\/[^\n]*|\/\*[\s\S]*?\*\/|\s+|\b\d[\w.]*/g;
export const plain = (code: string): string =>
  code.replace(TOKEN, (found, text: string | undefined) => {
    if (text !== undefined) return text;
    return /^\d/.test(found) ? "0" : "";
  });

const IMPORTED = /(?:from|import)\s*\(?\s*["']((?:\.{1,2}\/|#)[^"']+)["']/g;
/** Its release is no change of the code that makes values. */
const ENGINE = resolve(import.meta.dirname, "..");

/** Null for what is not of the project, or cannot be found. */
function importedFile(file: string, to: string): string | null {
  if (!to.startsWith("#")) return resolve(dirname(file), to);
  try {
    const found = createRequire(file).resolve(to);
    return found.startsWith(`${ENGINE}${sep}`) ? null : found;
  } catch {
    return null;
  }
}

/** A file without what does not count, and what it imports of the same project. */
interface Source {
  readonly changedMs: number;
  readonly text: string;
  readonly imports: readonly string[];
}

/** Every worker of a process asks for the same files. */
const read = new Map<string, Source>();

function sourceOf(file: string): Source {
  const changedMs = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const known = read.get(file);
  if (known?.changedMs === changedMs) return known;
  const text = changedMs === 0 ? "" : readFileSync(file, "utf8");
  const isOurs = !file.includes("/node_modules/");
  const imports = isOurs
    ? [...text.matchAll(IMPORTED)].flatMap(([, to = ""]) => importedFile(file, to) ?? [])
    : [];
  const source = { changedMs, text: plain(text), imports };
  read.set(file, source);
  return source;
}

/** The files of the declarations and what they import of the same project, by path or by a name of its package.json (`#lib`). */
function filesOf(nodes: readonly PlanNode[]): ReadonlyMap<string, string> {
  const own = nodes.map(fileOf);
  const files = reachedFrom("", (file) => (file === "" ? own : sourceOf(file).imports));
  return new Map([...files].map((file) => [file, sourceOf(file).text]));
}

const fileOf = ({ site }: PlanNode): string => resolve(site.slice(0, site.lastIndexOf(":")));
