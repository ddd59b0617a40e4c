// Turns one cell of text, or one JSON value, into the value of an Avro scalar. Exact: decimals keep their digits, whole
// numbers beyond ±(2^53−1) and times finer than the schema's unit are refused.
import { decimal, type Decimal } from "#engine";
import type { Logical, Primitive } from "../engine/core/avro-shape.ts";
import { withoutTrailing } from "../engine/core/trailing.ts";
import { Mismatch } from "./mismatch.ts";
import { dayOf, instantOf, localTimeOf, timeOf, type FractionDigits } from "./times.ts";

/** Returns the value, or throws a Mismatch. */
export type Reader = (input: unknown) => unknown;
/** "text": every input is a text, as in CSV. "json": numbers are numbers. */
export type Form = "text" | "json";

const INT_MAX = 2 ** 31 - 1;
const INTEGER = /^[+-]?\d+$/;
const DECIMAL = /^[+-]?\d+(\.\d+)?$/;
/** Any decimal number of so many digits survives a round trip through a double (IEEE 754). */
const DOUBLE_DIGITS = 15;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Null for a type that has no reader. */
export function scalarReader(
  kind: Primitive | "fixed",
  logical: Logical | null,
  form: Form,
): Reader | null {
  if (logical?.kind === "decimal") return decimalReader(logical);
  if (logical !== null) return logicalReaders[logical.kind] ?? null;
  return form === "text" ? textReaders[kind] : jsonReaders[kind];
}

const asText = (input: unknown, expected: string): string => {
  if (typeof input === "string") return input;
  if (typeof input === "number" || typeof input === "bigint") return String(input);
  throw new Mismatch(expected);
};

function wholeNumber(input: unknown, max: number): number {
  const value = typeof input === "string" && INTEGER.test(input) ? Number(input) : input;
  if (typeof value !== "number" || !Number.isInteger(value)) throw new Mismatch("a whole number");
  if (value > max || value < -max - (max === INT_MAX ? 1 : 0))
    throw new Mismatch(`a whole number of at most ${String(max)}`);
  return value;
}

function realNumber(input: unknown): number {
  const value = typeof input === "string" && input.trim() !== "" ? Number(input) : input;
  if (typeof value !== "number" || !Number.isFinite(value)) throw new Mismatch("a number");
  return value;
}

function text(input: unknown): string {
  if (typeof input !== "string") throw new Mismatch("a text");
  return input;
}

function truth(input: unknown): boolean {
  if (typeof input === "boolean") return input;
  if (typeof input === "string" && /^(true|false)$/i.test(input))
    return input.toLowerCase() === "true";
  throw new Mismatch("true or false");
}

function bytes(input: unknown): Buffer {
  if (typeof input !== "string" || !BASE64.test(input)) throw new Mismatch("bytes in Base64");
  return Buffer.from(input, "base64");
}

/** JSON says what is a number and what is a text, so there they are not taken for each other. */
const strict =
  (type: "number" | "boolean", expected: string, read: Reader): Reader =>
  (input) => {
    if (typeof input !== type) throw new Mismatch(expected);
    return read(input);
  };

const nothing: Reader = (input) => {
  if (input !== null && input !== "") throw new Mismatch("nothing");
  return null;
};
const int: Reader = (input) => wholeNumber(input, INT_MAX);
const long: Reader = (input) => wholeNumber(input, Number.MAX_SAFE_INTEGER);

const textReaders: Readonly<Record<Primitive | "fixed", Reader>> = {
  null: nothing,
  boolean: truth,
  int,
  long,
  float: realNumber,
  double: realNumber,
  string: text,
  bytes,
  fixed: bytes,
};
const jsonReaders: Readonly<Record<Primitive | "fixed", Reader>> = {
  ...textReaders,
  boolean: strict("boolean", "true or false", truth),
  int: strict("number", "a whole number", int),
  long: strict("number", "a whole number", long),
  float: strict("number", "a number", realNumber),
  double: strict("number", "a number", realNumber),
};

const instantText = (input: unknown): string => asText(input, "a time");
const millis =
  (read: (text: string, digits: FractionDigits) => bigint): Reader =>
  (input) =>
    wholeNumber(Number(read(instantText(input), 3)), Number.MAX_SAFE_INTEGER);
const bigintOf =
  (digits: FractionDigits): Reader =>
  (input) =>
    instantOf(instantText(input), digits);
const local =
  (digits: FractionDigits): Reader =>
  (input) =>
    localTimeOf(instantText(input), digits);

/** A time of day: its text, or the count that Avro stores. */
const dayTime =
  (digits: FractionDigits) =>
  (input: string): bigint =>
    INTEGER.test(input) ? BigInt(input) : timeOf(input, digits);

const logicalReaders: Readonly<Record<string, Reader>> = {
  uuid: text,
  date: (input) => dayOf(asText(input, "a day such as 2026-01-05")),
  "time-millis": millis(dayTime(3)),
  "time-micros": (input) => dayTime(6)(instantText(input)),
  "timestamp-millis": millis(instantOf),
  "timestamp-micros": bigintOf(6),
  "timestamp-nanos": bigintOf(9),
  "local-timestamp-millis": local(3),
  "local-timestamp-micros": local(6),
  "local-timestamp-nanos": local(9),
  bigint: (input) => {
    const digits = asText(input, "a whole number");
    const isRounded = typeof input === "number" && !Number.isSafeInteger(input);
    if (!INTEGER.test(digits) || isRounded) throw new Mismatch("a whole number");
    return BigInt(digits);
  },
};

function decimalReader({ precision, scale }: { precision: number; scale: number }): Reader {
  const expected = `a decimal of at most ${String(precision)} digits, ${String(scale)} behind the point`;
  return (input): Decimal => {
    const written = asText(input, expected);
    const match = DECIMAL.exec(written);
    if (match === null) throw new Mismatch(expected);
    const digits = written.replace(/^[+-]?0*/, "").replace(".", "");
    if (typeof input === "number" && digits.length > DOUBLE_DIGITS)
      throw new Mismatch("a decimal as text: a JSON number may have lost digits");
    const places = withoutTrailing((match[1] ?? ".").slice(1), "0");
    const wholeDigits = written.replace(/^[+-]?0*/, "").replace(/\..*/, "").length;
    if (places.length > scale || wholeDigits > precision - scale) throw new Mismatch(expected);
    return decimal(written);
  };
}
