// JSON, strictly: UTF-8 without byte order mark, bounded depth, no number that would be rounded, no key that replaces a
// prototype. The topic's validator has the last word on reading.
import { isUtf8 } from "node:buffer";
import { DecodeError, MillraceError } from "../core/errors.ts";
import type { Codec, JsonValidator } from "../core/schema.ts";
import { withoutTrailing } from "../core/trailing.ts";
import { decodeError, encodeError, Fault, type At } from "./faults.ts";
import { envelopeOf, withForm } from "./framing.ts";
import { endOfText, refuseDepth } from "./json-depth.ts";

const DEPTH_MAX = 256;

export function jsonCodec(validator: JsonValidator | null, where: At): Codec {
  return {
    isValidated: validator !== null,
    encode(value) {
      const text = jsonTextOf(value, where);
      const bytes = Buffer.from(text, "utf8");
      try {
        // Millrace must be able to read the bytes that it writes.
        if (needsCare(bytes, text)) parseCarefully(text);
      } catch (error) {
        throw encodeError(error instanceof Fault ? error.message : "it cannot be read back", where);
      }
      return bytes;
    },
    decode(bytes) {
      try {
        const value = parseJson(bytes);
        return validator === null ? value : validated(validator, value);
      } catch (error) {
        if (error instanceof MillraceError && !(error instanceof DecodeError)) throw error;
        throw decodeError(error, "MILL_DECODE_JSON", where);
      }
    },
    unknownId: () => null,
  };
}

const invalid = (detail: string): Fault => new Fault("MILL_DECODE_JSON", detail);

/** Parses without losing anything; throws a Fault that quotes nothing of the text. */
function parseJson(bytes: Buffer | null): unknown {
  if (bytes === null || bytes.length === 0) throw new Fault("MILL_DECODE_EMPTY", "");
  if (!isUtf8(bytes)) throw invalid(withForm("it is not UTF-8", bytes));
  // A byte order mark stays in the text, and does not parse.
  const text = bytes.toString("utf8");
  try {
    return needsCare(bytes, text) ? parseCarefully(text) : (JSON.parse(text) as unknown);
  } catch (error) {
    throw error instanceof Fault ? error : invalid(withForm("it does not parse", bytes));
  }
}

/** Whether it must be parsed with care; throws a Fault when it is nested too deep. */
function needsCare(bytes: Buffer, text: string): boolean {
  refuseDepth(bytes, DEPTH_MAX);
  return text.includes("\\u") || mayRound(bytes) || text.includes("__proto__");
}

const QUOTE = 0x22;
const E = 0x65;
const ZERO = 0x30;
const NINE = 0x39;
/** `e` and `E` differ in this bit. */
const CASE_BIT = 0x20;
/** Fewer digits are always a safe integer. */
const SAFE_DIGITS = 15;

// This sees every byte of every value, as `refuseDepth` does: loops over local variables are five times as fast as anything prettier.

/** Whether there is a number with many digits or an exponent. */
function mayRound(bytes: Buffer): boolean {
  let digits = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (byte >= ZERO && byte <= NINE) {
      if (++digits > SAFE_DIGITS) return true;
    } else {
      if (digits > 0 && (byte | CASE_BIT) === E) return true;
      digits = 0;
      if (byte === QUOTE) i = endOfText(bytes, i + 1);
    }
  }
  return false;
}

/** The context that JSON.parse gives a reviver since V8 11.4; TypeScript's types do not have it yet. */
type SourcedReviver = (key: string, value: unknown, context: { source?: string }) => unknown;

function parseCarefully(text: string): unknown {
  const check: SourcedReviver = (key, value, { source }) => {
    if (key === "__proto__") throw invalid("a key would replace a prototype");
    if (!key.isWellFormed()) throw invalid("a key holds half a surrogate pair");
    if (typeof value === "string" && !value.isWellFormed())
      throw invalid("a text holds half a surrogate pair");
    if (typeof value === "number") checkNumber(value, source ?? "");
    return value;
  };
  return JSON.parse(text, check as (key: string, value: unknown) => unknown) as unknown;
}

function checkNumber(value: number, source: string): void {
  if (!Number.isFinite(value)) throw invalid("a number is too large");
  if (Number.isSafeInteger(value)) return;
  const isPlain = /^-?\d+$/.test(source);
  // Written as 9007199254740993.0 or 9007199254740993e0 it is the same number, and would be rounded just so.
  if (isPlain || losesDigits(value, source)) throw invalid("a whole number is beyond ±(2^53−1)");
}

/**
 * Whether a whole number was rounded. If its digits are written down to the units, the value must be exactly that
 * number. An exponent that leaves digits out (6.02214076e23) is how doubles are printed: the shortest text of the value
 * must be the one that was written. Fractions always may be rounded.
 */
function losesDigits(value: number, source: string): boolean {
  const written = digitsOf(source);
  const { digits, exponent, lastPlace } = written;
  if (exponent < 0) return false;
  if (lastPlace <= 0) return BigInt(digits) * 10n ** BigInt(exponent) !== BigInt(Math.abs(value));
  const read = digitsOf(String(value));
  return digits !== read.digits || exponent !== read.exponent;
}

/** A decimal number as digits × 10^exponent, without zeros at either end; its last written digit counts 10^lastPlace. */
function digitsOf(text: string): { digits: string; exponent: number; lastPlace: number } {
  const [mantissa = "", power = "0"] = text.replace(/^-/, "").toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const all = (whole + fraction).replace(/^0+/, "");
  const digits = withoutTrailing(all, "0");
  const lastPlace = Number(power) - fraction.length;
  return { digits, exponent: lastPlace + all.length - digits.length, lastPlace };
}

function validated(validator: JsonValidator, value: unknown): unknown {
  try {
    return validator(value);
  } catch (error) {
    const envelope = envelopeOf(value);
    if (envelope !== null) throw invalid(`the topic's validator refused it: ${envelope}`);
    // Ours names the fields; the text of any other may quote the value.
    if (error instanceof DecodeError) throw invalid(error.message.replace(/^[^:]*: /, ""));
    throw error instanceof MillraceError ? error : invalid("the topic's validator refused it");
  }
}

function jsonTextOf(value: unknown, where: At): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    throw encodeError("it holds a bigint, or itself", where);
  }
  if (text === undefined) throw encodeError("expected a value, received undefined", where);
  // JSON writes NaN and infinity as null; only a text with a null in it can hide one.
  if (text.includes("null") && hidesNumber(value))
    throw encodeError("it holds a number that is not finite", where);
  return text;
}

function hidesNumber(value: unknown): boolean {
  if (typeof value === "number") return !Number.isFinite(value);
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).some(hidesNumber);
}
