// The depth of a JSON text, found without parsing it: whatever walks a value that was read, ours or a callback of the
// user's, would run out of stack in one that is nested very deep.
import { Fault } from "./faults.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `[` and `{` differ in this bit, as do `]` and `}`. */
const CASE_BIT = 0x20;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** Throws a Fault for a text that is nested deeper; it need not be JSON. */
export function refuseDepth(bytes: Buffer, depthMax: number): void {
  // A text that parses and has fewer bytes is not nested deeper: each level takes two.
  if (bytes.length <= 2 * depthMax) return;
  let depth = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (byte === QUOTE) i = endOfText(bytes, i + 1);
    else if ((byte | CASE_BIT) === CLOSE) depth--;
    else if ((byte | CASE_BIT) === OPEN && ++depth > depthMax)
      throw new Fault("MILL_DECODE_JSON", `it is nested more than ${String(depthMax)} deep`);
  }
}

/** The index of the quote that ends a text. */
export function endOfText(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}
