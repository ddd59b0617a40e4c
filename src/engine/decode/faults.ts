// Faults inside a codec, before they become errors with an address. Taps and types throw them; the codec turns them
// into DecodeError or MILL_ENCODE_VALUE. Texts name fields and types, never values.
import { DecodeError, MillraceError, type ErrorOptionsOfOurs } from "../core/errors.ts";
import type { ErrorCode } from "../core/error-table.ts";

export type FaultCode = Extract<ErrorCode, `MILL_DECODE_${string}` | "MILL_ENCODE_VALUE">;

export class Fault extends Error {
  readonly code: FaultCode;
  constructor(code: FaultCode, detail: string) {
    super(detail);
    this.name = "Fault";
    this.code = code;
  }
}

export const broken = (detail: string): Fault => new Fault("MILL_DECODE_AVRO", detail);
export const breach = (detail: string): Fault => new Fault("MILL_DECODE_SCHEMA", detail);
export const unwritable = (detail: string): Fault => new Fault("MILL_ENCODE_VALUE", detail);

export type At = ErrorOptionsOfOurs["where"];

const optionsOf = (where: At): ErrorOptionsOfOurs => (where === undefined ? {} : { where });

/** Anything that was thrown while reading; `code` is for what is no fault of ours (a stack overflow, say). */
export function decodeError(thrown: unknown, code: FaultCode, where: At): DecodeError {
  // The text of a foreign error may quote the data, so it is not passed on, also not as a cause.
  if (thrown instanceof Fault)
    return new DecodeError(thrown.code, thrown.message, optionsOf(where));
  const detail =
    thrown instanceof RangeError ? "nested too deeply or too long" : "the bytes cannot be read";
  return new DecodeError(code, detail, optionsOf(where));
}

export function encodeError(detail: string, where: At): MillraceError {
  return new MillraceError("MILL_ENCODE_VALUE", detail, optionsOf(where));
}
