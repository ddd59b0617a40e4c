// Personal data as it is shown without --personal: fields at declared paths are replaced, keys are hashes, so that equal ones
// can still be recognized.
import { createHash } from "node:crypto";
import { WHOLE } from "../engine/core/personal.ts";
import type { Fields } from "./convert.ts";

/** The text in place of personal data. */
export const MASK = "***";

/**
 * A copy with the values at these paths masked. Null stays null, so that absence can still be seen. Paths go through arrays,
 * maps and the branches of unions, and a value that ends before its path does is masked as a whole.
 */
export const masked = (value: unknown, paths: readonly string[]): unknown =>
  paths.reduce((copy, path) => (path === WHOLE ? hidden(copy) : maskedAt(copy, path)), value);

/** In the place of a whole value. */
export const hidden = (value: unknown): unknown => (value === null ? null : MASK);

/** In the place of a key. */
export const keyHash = (key: Uint8Array): string =>
  `sha256:${createHash("sha256").update(key).digest("hex").slice(0, 16)}`;

/** `isInner`: the path began further up. */
function maskedAt(value: unknown, path: string, isInner = false): unknown {
  if (value === null || value === undefined) return value;
  if (Array.isArray(value)) return value.map((item) => maskedAt(item, path, isInner));
  if (!isFields(value)) return MASK;
  const copies = stepsIn(value, path, isInner).map(([name, rest]) => [
    name,
    rest === "" ? hidden(value[name] ?? null) : maskedAt(value[name], rest, true),
  ]);
  return { ...value, ...(Object.fromEntries(copies) as Fields) };
}

/** The fields by which the path goes on, each with the rest of it. */
function stepsIn(value: Fields, path: string, isInner: boolean): (readonly [string, string])[] {
  const names = Object.keys(value);
  const named = names.filter((name) => path === name || path.startsWith(`${name}.`));
  if (named.length > 0) return named.map((name) => [name, path.slice(name.length + 1)]);
  // A lone field may be the named branch of a union; others may be the values of a map.
  const isBranch = isInner && names.length === 1;
  const among = names.filter((n) => isBranch || Array.isArray(value[n]) || isFields(value[n]));
  return among.map((name) => [name, path]);
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" &&
  value !== null &&
  !(value instanceof Uint8Array) &&
  !("toJSON" in value);
