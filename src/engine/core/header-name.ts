// Names of headers, which Kafka takes for UTF-8 and does not check. A name that is UTF-8 is its text. Any other name keeps
// its bytes: those from 0x80 on become the surrogates U+DC80 to U+DCFF, which no valid text contains alone, so the bytes
// can always be written again as they came, also from JSON. (Python's "surrogateescape" does the same.)
import { isUtf8 } from "node:buffer";

const LOW_SURROGATES = 0xdc00;
/** The replacement of what toString could not read; a name may also contain it of its own. */
const REPLACEMENT = "\ufffd";

/** The name between two places of a buffer. */
export function headerNameOf(bytes: Buffer, from: number, to: number): string {
  const text = bytes.toString("utf8", from, to);
  if (!text.includes(REPLACEMENT) || isUtf8(bytes.subarray(from, to))) return text;
  let name = "";
  for (let i = from; i < to; i++) {
    const byte = bytes[i] as number;
    name += String.fromCharCode(byte < 0x80 ? byte : LOW_SURROGATES + byte);
  }
  return name;
}

/** The length of the name in bytes. */
export const headerNameLength = (name: string): number =>
  name.isWellFormed() ? Buffer.byteLength(name, "utf8") : headerNameBytes(name).length;

/** Writes the name's bytes and returns their number. */
export const writeHeaderName = (name: string, buffer: Buffer, at: number): number =>
  name.isWellFormed() ? buffer.write(name, at, "utf8") : headerNameBytes(name).copy(buffer, at);

/** The bytes of a name. */
export function headerNameBytes(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name, "utf8");
  return Buffer.concat(Array.from(name, bytesOf));
}

/** The bytes of one character: all but an escaped byte is written as any text is. */
function bytesOf(character: string): Buffer {
  const code = character.charCodeAt(0) - LOW_SURROGATES;
  return character.length === 1 && code >= 0x80 && code <= 0xff
    ? Buffer.of(code)
    : Buffer.from(character, "utf8");
}

/** The name for people: bytes that are no text as \x and two digits. */
export const shownHeaderName = (name: string): string =>
  name.isWellFormed()
    ? name
    : name.replace(/[\udc80-\udcff]/g, (byte) => {
        const code = byte.charCodeAt(0) - LOW_SURROGATES;
        return `\\x${code.toString(16).padStart(2, "0")}`;
      });
