// The input of a case for people: bytes as text where they are, else as hex.
import { isUtf8 } from "node:buffer";
import { inspect } from "node:util";

const CHARS_MAX = 2_000;
const cut = (text: string): string =>
  text.length > CHARS_MAX ? `${text.slice(0, CHARS_MAX)}… (${String(text.length)})` : text;

const bytesText = (bytes: Uint8Array): string =>
  isUtf8(bytes)
    ? cut(JSON.stringify(Buffer.from(bytes).toString()))
    : cut(Buffer.from(bytes).toString("hex"));

function readable(value: unknown): unknown {
  if (value instanceof Uint8Array) return bytesText(value);
  if (typeof value === "string") return cut(JSON.stringify(value));
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(readable);
  if (value instanceof Map)
    return new Map([...value].map(([key, one]) => [key as unknown, readable(one)]));
  if (Object.getPrototypeOf(value) !== Object.prototype) return `(${value.constructor.name})`;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, readable(one)]));
}

export const shown = (input: unknown): string =>
  inspect(readable(input), {
    depth: 8,
    maxArrayLength: 40,
    maxStringLength: 3_000,
    breakLength: 100,
  });
