// What a callback returned and its step cannot take. Its text is ours and quotes no value, so it may be told, where of an
// error that the user's code throws only the name may.

export class Mistake extends Error {
  override readonly name = "Mistake";
}

/** The kind of a value, for a message, and never the value. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "number") return Number.isFinite(value) ? "a number" : String(value);
  if (typeof value === "string") return "a text";
  if (Array.isArray(value)) return "a list";
  return typeof value === "undefined" ? "undefined" : `${article(value)} ${typeof value}`;
}

const article = (value: unknown): string => (typeof value === "object" ? "an" : "a");
