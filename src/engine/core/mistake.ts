// The error of a callback that returned what its step cannot take. Its text is ours and quotes no value, so it may be
// told. An error that the user's code throws is told by its name only.

export class Mistake extends Error {
  override readonly name = "Mistake";
}

/**
 * The result of a callback, unless that is a promise, which only mapAsync waits for. A promise that
 * fails later, and that nobody waits for, would end the process.
 */
export function settled<T>(result: T): T {
  if (isLater(result)) throw new Mistake("it returned a promise, which only mapAsync waits for");
  return result;
}

/** True for a promise; its failure is nobody's from here on. */
export function isLater(result: unknown): boolean {
  if (!(result instanceof Promise)) return false;
  result.catch(() => undefined);
  return true;
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
