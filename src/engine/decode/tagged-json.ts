// Our JSON for internal topics and stores without a schema: what JSON has no word for is marked, so it comes back as it
// was. {"$d": "12.3"} is a Decimal, $i a bigint, $b bytes (base64), $f NaN, an infinity or -0. A key of the user's own
// that begins with $ gets one more.
import { decimal, isDecimal } from "../core/decimal.ts";
import type { Codec } from "../core/schema.ts";
import { decodeError, encodeError, Fault, unwritable, type At } from "./faults.ts";
import { refuseDepth } from "./json-depth.ts";

/** Deeper than what a topic may bring, since the code's own values come here. */
const DEPTH_MAX = 1_000;

/** A marked -Infinity is 18 bytes, the longest double 24. */
const SCALAR_BYTES_MAX = 32;

type Plain = Readonly<Record<string, unknown>>;

export function taggedJsonCodec(where: At): Codec {
  return {
    encode(value) {
      try {
        const bytes = Buffer.from(JSON.stringify(marked(value)), "utf8");
        refuseDepth(bytes, DEPTH_MAX);
        return bytes;
      } catch (error) {
        const detail =
          error instanceof Fault ? error.message : "it is nested too deeply, or in itself";
        throw encodeError(detail, where);
      }
    },
    decode(bytes) {
      try {
        return parse(bytes);
      } catch (error) {
        throw decodeError(error, "MILL_DECODE_JSON", where);
      }
    },
    unknownId: () => null,
    bytesMax: (value) =>
      typeof value === "number" || typeof value === "boolean" ? SCALAR_BYTES_MAX : null,
  };
}

function parse(bytes: Buffer | null): unknown {
  if (bytes === null || bytes.length === 0) throw new Fault("MILL_DECODE_EMPTY", "");
  refuseDepth(bytes, DEPTH_MAX);
  const text = bytes.toString("utf8");
  const value = JSON.parse(text) as unknown;
  return text.includes('"$') ? unmarked(value) : value;
}

function marked(value: unknown): unknown {
  if (typeof value === "number")
    return Number.isFinite(value) && !Object.is(value, -0) ? value : { $f: numberText(value) };
  if (typeof value === "bigint") return { $i: value.toString() };
  if (typeof value === "string" || typeof value === "boolean" || value === null) return value;
  if (typeof value === "object") return markedObject(value);
  throw unwritable(`a ${typeof value} cannot be kept`);
}

const numberText = (value: number): string => (Object.is(value, -0) ? "-0" : String(value));

function markedObject(value: object): unknown {
  if (isDecimal(value)) return { $d: value.toString() };
  if (value instanceof Uint8Array)
    return { $b: Buffer.from(value.buffer, value.byteOffset, value.length).toString("base64") };
  if (Array.isArray(value)) return markedList(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  // A Map or a Date would come back as something else.
  if (prototype !== Object.prototype && prototype !== null)
    throw unwritable("only plain objects, arrays, Decimals and bytes can be kept");
  return markedRecord(value as Plain);
}

/** The list itself where nothing in it is marked; its holes are seen, and refused. */
function markedList(list: readonly unknown[]): readonly unknown[] {
  let copy: unknown[] | null = "toJSON" in list ? [] : null;
  for (let i = 0; i < list.length; i++) {
    const one = list[i];
    const own = marked(one);
    if (copy === null && own !== one) copy = list.slice(0, i);
    copy?.push(own);
  }
  return copy ?? list;
}

function markedRecord(record: Plain): Plain {
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(record)) {
    const value = record[key];
    if (value !== undefined) put(copy, key.startsWith("$") ? `$${key}` : key, marked(value));
  }
  return copy;
}

/** Assigning to `__proto__` would replace the prototype. */
function put(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__")
    Object.defineProperty(target, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  else target[key] = value;
}

function unmarked(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(unmarked);
  const record = value as Plain;
  const keys = Object.keys(record);
  const only = keys.length === 1 ? (keys[0] as string) : "";
  if (only.startsWith("$") && !only.startsWith("$$")) return valueOfMark(only, record[only]);
  const copy: Record<string, unknown> = {};
  for (const key of keys)
    put(copy, key.startsWith("$$") ? key.slice(1) : key, unmarked(record[key]));
  return copy;
}

function valueOfMark(mark: string, text: unknown): unknown {
  if (typeof text === "string") {
    if (mark === "$d") return decimal(text);
    if (mark === "$i") return BigInt(text);
    if (mark === "$b") return new Uint8Array(Buffer.from(text, "base64"));
    if (mark === "$f") return Number(text);
  }
  throw new Fault("MILL_DECODE_JSON", "it has a mark that is none of ours");
}
