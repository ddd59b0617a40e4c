// A short text of a value: equal for equal content, in whatever order its fields lie, and for Decimals of one
// amount. Its hash is stored for `distinct`, so it must stay what it is: another text would make each repeat a conflict.
import { createHash } from "node:crypto";
import { isDecimal } from "../../core/decimal.ts";
import { Mistake } from "../../core/errors.ts";

/** 16 bytes of SHA-256 in base64. */
export const contentOf = (value: unknown): string =>
  createHash("sha256").update(contentText(value)).digest("base64").slice(0, 22);

/** Throws a Mistake for what has no content that compares. */
export function contentText(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") return value === 0 ? "0" : String(value);
  if (typeof value === "bigint") return `${String(value)}n`;
  if (typeof value === "boolean" || value === null) return String(value);
  if (typeof value === "object") return objectText(value);
  throw new Mistake(`a ${typeof value} has no content to compare`);
}

function objectText(value: object): string {
  if (isDecimal(value)) return `d${value.toString()}`;
  if (value instanceof Uint8Array) return `b${Buffer.from(value).toString("base64")}`;
  if (Array.isArray(value)) return `[${Array.from(value, contentText).join(",")}]`;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    throw new Mistake(
      "only plain objects, lists, Decimals and bytes compare; name what counts by content",
    );
  const fields = Object.entries(value).filter(([, one]) => one !== undefined);
  const inOrder = fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${inOrder.map(([name, one]) => `${JSON.stringify(name)}:${contentText(one)}`).join(",")}}`;
}
