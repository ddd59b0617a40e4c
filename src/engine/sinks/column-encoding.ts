// Values as Postgres reads them: one exact text per value, never rounded, and array literals of such texts.
// A value that cannot be written exactly is a RowFault, so the row becomes a dead letter; no fault names the value.
import { isDecimal } from "../core/decimal.ts";
import type { Column } from "../core/table-layout.ts";
import type { ColumnType, Encoding } from "../core/column-type.ts";

/** A value that can never be in its column. */
export class RowFault extends Error {
  /** SQLSTATE, as Postgres would have answered. */
  readonly code: string;
  constructor(code: string, column: string, expected: string) {
    super(`${code}, column ${column}: expected ${expected}`);
    this.code = code;
  }
}

export type Encode = (value: unknown) => string | null;

/** The encoder of one column. Null and undefined are NULL. */
export function encoderOf(column: Column): Encode {
  const encode = encoders[column.type.encoding];
  return (value) => {
    if (value === null || value === undefined) return null;
    try {
      return encode(value, column.type);
    } catch (error) {
      if (!(error instanceof Mismatch)) throw error;
      throw new RowFault(error.code, column.name, error.message);
    }
  };
}

class Mismatch extends Error {
  readonly code: string;
  constructor(expected: string, code = "22023") {
    super(expected);
    this.code = code;
  }
}

const encoders: Readonly<Record<Encoding, (value: unknown, type: ColumnType) => string>> = {
  text: (value) => textOf(value),
  // Postgres takes either case for the same id; one spelling makes equal keys equal texts.
  uuid: (value) => textOf(value).toLowerCase(),
  boolean: (value) => {
    if (typeof value !== "boolean") throw new Mismatch("a boolean");
    return value ? "t" : "f";
  },
  number: (value) => {
    if (typeof value !== "number" && typeof value !== "bigint") throw new Mismatch("a number");
    return Object.is(value, -0) ? "-0" : String(value);
  },
  decimal: (value, { scale }) => decimalText(value, scale),
  "epoch-millis": (value) => instantText(wholeOf(value, 8.64e15), "000"),
  "epoch-micros": (value) => {
    const micros = BigInt(bigOf(value));
    const part = ((micros % 1000n) + 1000n) % 1000n;
    const millis = Number((micros - part) / 1000n);
    return instantText(wholeOf(millis, 8.64e15), String(part).padStart(3, "0"));
  },
  "day-millis": (value) => timeText(BigInt(wholeOf(value, DAY_MS)) * 1000n),
  "day-micros": (value) => timeText(bigOf(value)),
  bytes: (value) => {
    if (!(value instanceof Uint8Array)) throw new Mismatch("bytes");
    return `\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex")}`;
  },
  json: (value) => jsonText(value),
};

function textOf(value: unknown): string {
  if (typeof value !== "string") throw new Mismatch("a text");
  // A lone surrogate has no UTF-8; the driver would write another character instead.
  if (!value.isWellFormed()) throw new Mismatch("well-formed Unicode", "22021");
  return value;
}

function wholeOf(value: unknown, max: number): number {
  if (Number.isInteger(value) && Math.abs(value as number) <= max) return value as number;
  throw new Mismatch("whole milliseconds in range", "22008");
}

function bigOf(value: unknown): bigint {
  if (typeof value === "bigint") return value;
  if (Number.isSafeInteger(value)) return BigInt(value as number);
  throw new Mismatch("whole microseconds", "22008");
}

function decimalText(value: unknown, scale: number): string {
  // By its class: JSON of anybody may have fields that are named like our methods.
  if (!isDecimal(value)) throw new Mismatch("a Decimal");
  const [whole = "", places = ""] = value.toFixed().split(".");
  if (/[^0]/.test(places.slice(scale)))
    throw new Mismatch(`at most ${String(scale)} decimal places; round first`, "22003");
  const kept = places.slice(0, scale).padEnd(scale, "0");
  const number = scale === 0 ? whole : `${whole}.${kept}`;
  // -0.00 and 0.00 are one number, and must be one key.
  return /^-[0.]*$/.test(number) ? number.slice(1) : number;
}

/** ISO in years 1 to 9999, as Date prints it; outside of them Postgres wants plain years and BC. */
function instantText(ms: number, micros: string): string {
  const iso = new Date(ms).toISOString();
  if (iso.length === 24 && !iso.startsWith("0000")) return `${iso.slice(0, 23)}${micros}Z`;
  const year = new Date(ms).getUTCFullYear();
  const rest = iso.slice(iso.length - 20, -1);
  const shown = String(year > 0 ? year : 1 - year).padStart(4, "0");
  return `${shown}${rest}${micros}+00${year > 0 ? "" : " BC"}`;
}

const DAY_MS = 86_400_000;

function timeText(micros: bigint): string {
  if (micros < 0n || micros > BigInt(DAY_MS) * 1000n) throw new Mismatch("a time of day", "22008");
  const two = (n: bigint): string => String(n).padStart(2, "0");
  const seconds = micros / 1_000_000n;
  const clock = [seconds / 3600n, (seconds / 60n) % 60n, seconds % 60n].map(two).join(":");
  return `${clock}.${String(micros % 1_000_000n).padStart(6, "0")}`;
}

function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value, jsonMember);
  } catch (error) {
    if (error instanceof Mismatch) throw error;
    throw new Mismatch("a value that JSON can hold");
  }
}

/** Values that JSON numbers cannot express are texts; bytes are base64. `this` is the object of the member. */
function jsonMember(this: unknown, key: string, shown: unknown): unknown {
  // Buffer has a toJSON of its own, so bytes are looked for before it.
  const raw = (this as Record<string, unknown>)[key];
  if (raw instanceof Uint8Array)
    return Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString("base64");
  if (typeof shown === "bigint") return String(shown);
  if (typeof shown === "number" && !Number.isFinite(shown)) throw new Mismatch("finite numbers");
  return shown;
}

const PLAIN = /^[-+0-9A-Za-z_.:@/]+$/;

/** A one-dimensional Postgres array of texts. */
export function arrayLiteral(values: readonly (string | null)[]): string {
  return `{${values.map(element).join(",")}}`;
}

function element(value: string | null): string {
  if (value === null) return "NULL";
  if (PLAIN.test(value) && !(value.length === 4 && value.toUpperCase() === "NULL")) return value;
  return `"${value.replace(/["\\]/g, "\\$&")}"`;
}
