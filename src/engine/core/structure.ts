// The structure of a value: the names of its fields and their kinds, not their contents. Two versions of a pipeline are
// compared by it where no schema says what they write. An object with names that only data can have (many of them, or
// none that code would write) is a map: its names are left out.
import { isDecimal } from "./decimal.ts";

/** By path, nested as "a.b", elements of an array as "a[]", of a map as "a.*": the kinds found there, sorted, as "null|string". */
export type Structure = Readonly<Record<string, string>>;

const NAMES_MAX = 40;
const NAME = /^[A-Za-z_$][\w$-]{0,99}$/;
/** The note of a structure must fit into a note: its names, and how long and how many their paths are. */
const PATH_CHARS_MAX = 1_500;
const PATHS_MAX = 5_000;
const PATHS_CHARS_MAX = 200_000;

/** Zero for a name that no code would write; else its replacement in a hash. */
const names = new Map<string, number>();
const NAMES_KEPT = 10_000;

function nameHash(name: string): number {
  const known = names.get(name);
  if (known !== undefined) return known;
  if (names.size >= NAMES_KEPT) names.clear();
  let hash = NAME.test(name) ? 1 : 0;
  for (let i = 0; hash !== 0 && i < name.length; i++)
    hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) | 1;
  names.set(name, hash);
  return hash;
}

const mix = (hash: number, part: number): number => {
  const mixed = Math.imul(hash ^ part, 0x85ebca6b);
  return mixed ^ (mixed >>> 13);
};

const kinds = ["null", "string", "number", "boolean", "bigint", "decimal", "bytes"] as const;
type Kind = (typeof kinds)[number];

/** Null for an array or an object. */
function kindOf(value: unknown): Kind | null {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value as Kind;
  if (isDecimal(value)) return "decimal";
  return value instanceof Uint8Array ? "bytes" : null;
}

/** Equal structures with their fields in one order have one hash; it is quick, for every value that is written. */
export function quickHash(value: unknown, hash = 0x811c9dc5): number {
  const kind = kindOf(value);
  if (kind !== null) return mix(hash, 1 + kinds.indexOf(kind));
  if (Array.isArray(value)) return mix(mix(hash, 11), elementsHash(value));
  const record = value as Readonly<Record<string, unknown>>;
  const keys = Object.keys(record);
  if (isMap(keys)) return mix(mix(hash, 12), elementsHash(Object.values(record)));
  let mixed = mix(hash, 13);
  for (const key of keys) {
    const field = record[key];
    if (field !== undefined) mixed = quickHash(field, mix(mixed, nameHash(key)));
  }
  return mix(mixed, 14);
}

/** However many there are, and in whatever order. */
function elementsHash(values: readonly unknown[]): number {
  let first = 0;
  let others: Set<number> | null = null;
  for (const value of values) {
    const hash = quickHash(value);
    if (first === 0) first = hash;
    else if (hash !== first) (others ??= new Set()).add(hash);
  }
  return others === null ? first : [...others].reduce((sum, hash) => (sum + hash) | 0, first);
}

const isMap = (keys: readonly string[]): boolean =>
  keys.length > NAMES_MAX || keys.some((key) => nameHash(key) === 0);

/** The first paths of a value that has more than can be noted. */
export function structureOf(value: unknown): Structure {
  const found = new Paths();
  look(value, "", found);
  const entries = [...found].map(([path, of]) => [path, [...of].sort().join("|")] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

class Paths extends Map<string, Set<string>> {
  #characters = 0;

  /** False where there is no room for the path. */
  add(path: string, kind: string): boolean {
    const known = this.get(path);
    if (known !== undefined) return known.add(kind).has(kind);
    this.#characters += path.length;
    const isRoom = this.size < PATHS_MAX && this.#characters <= PATHS_CHARS_MAX;
    if (isRoom) this.set(path, new Set([kind]));
    return isRoom && path.length <= PATH_CHARS_MAX;
  }
}

function look(value: unknown, path: string, found: Paths): void {
  const kind = kindOf(value) ?? (Array.isArray(value) ? "array" : "object");
  if (!found.add(path, kind)) return;
  if (kind === "array") for (const one of value as unknown[]) look(one, `${path}[]`, found);
  if (kind !== "object") return;
  const record = value as Readonly<Record<string, unknown>>;
  const keys = Object.keys(record);
  const areData = isMap(keys);
  for (const key of keys) {
    const field = record[key];
    if (field !== undefined) look(field, `${path}.${areData ? "*" : key}`, found);
  }
}

/**
 * The differences that keep a value of this structure from being one that `known` are examples of:
 * a field that none of them has, one that all of them have and it has not, or one of another kind.
 * Empty when nothing does; then optional fields were seen too.
 */
export function differences(structure: Structure, known: readonly Structure[]): readonly string[] {
  const [first] = known;
  if (first === undefined) return ["nothing to compare it with"];
  const found = Object.entries(structure).flatMap(([path, kind]) => {
    const others = known.flatMap((one) => one[path] ?? []);
    if (others.length === 0) return [`${labelOf(path)} is not among what this version writes`];
    return fits(kind, others)
      ? []
      : [`${labelOf(path)} is ${kind}, this version writes ${others[0] ?? ""}`];
  });
  const always = Object.keys(first).filter((path) => known.every((one) => path in one));
  const missing = always.filter((path) => !(path in structure) && !isWithin(path, structure));
  return [...found, ...missing.map((path) => `it has no ${labelOf(path)}`)];
}

const labelOf = (path: string): string => (path === "" ? "the value" : path.replace(/^\./, ""));

/** Null says nothing of the kind that a field has otherwise. */
function fits(kind: string, others: readonly string[]): boolean {
  const known = new Set(others.flatMap((other) => other.split("|")));
  const isOpen = known.size === 1 && known.has("null");
  return isOpen || kind.split("|").every((one) => one === "null" || known.has(one));
}

/** An element of an array or a map, or a field of what is not there: it need not be. */
function isWithin(path: string, structure: Structure): boolean {
  if (path.includes("[]") || path.includes(".*")) return true;
  const parent = path.slice(0, path.lastIndexOf("."));
  return parent !== "" && !(structure[parent] ?? "").split("|").includes("object");
}
