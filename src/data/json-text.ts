// Any decoded value as JSON: decimals and bigints as texts, since a JSON number may lose their digits; bytes in Base64.
import type { Fields } from "./convert.ts";

export const jsonText = (value: unknown): string => JSON.stringify(plain(value));

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(plain);
  if ("toJSON" in value) return value;
  return Object.fromEntries(Object.entries(value).map(([name, of]) => [name, plain(of)]));
}

/** The text in place of personal data. */
const MASK = "***";

/** A copy with the fields at these paths masked; null stays null, so that absence can still be seen. */
export function masked(value: unknown, paths: readonly string[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  return paths.reduce<unknown>((copy, path) => maskedAt(copy as Fields, path.split(".")), value);
}

function maskedAt(value: Fields, [name = "", ...below]: readonly string[]): Fields {
  const field = value[name];
  if (field === undefined || field === null) return value;
  if (below.length === 0) return { ...value, [name]: MASK };
  return typeof field === "object" ? { ...value, [name]: maskedAt(field as Fields, below) } : value;
}
