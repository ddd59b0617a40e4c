// Codecs without a schema: text, raw bytes, and the long of Kafka's own LongSerializer (8 bytes, big-endian).
import { isUtf8 } from "node:buffer";
import type { Codec } from "../core/schema.ts";
import { decodeError, encodeError, Fault, type At } from "./faults.ts";
import { withForm } from "./framing.ts";

export function primitiveCodec(kind: "string" | "bytes" | "long", where: At): Codec {
  const { encode, decode } = formats[kind];
  return {
    encode: (value) => encode(value) ?? fail(where, `expected ${expected[kind]}`),
    decode(bytes) {
      if (bytes === null)
        throw decodeError(new Fault("MILL_DECODE_EMPTY", ""), "MILL_DECODE_TEXT", where);
      try {
        return decode(bytes);
      } catch (error) {
        throw decodeError(error, "MILL_DECODE_TEXT", where);
      }
    },
    unknownId: () => null,
  };
}

const expected = {
  string: "a text without half surrogate pairs",
  bytes: "bytes",
  long: "a whole number within ±(2^53−1)",
} as const;

function fail(where: At, detail: string): never {
  throw encodeError(detail, where);
}

/** `encode` answers null for what it cannot write. */
interface Format {
  encode(value: unknown): Buffer | null;
  decode(bytes: Buffer): unknown;
}

const string: Format = {
  encode: (value) =>
    typeof value === "string" && value.isWellFormed() ? Buffer.from(value, "utf8") : null,
  decode(bytes) {
    if (!isUtf8(bytes)) throw new Fault("MILL_DECODE_TEXT", withForm("it is not UTF-8", bytes));
    return bytes.toString("utf8");
  },
};

const raw: Format = {
  encode: (value) => (value instanceof Uint8Array ? Buffer.from(value) : null),
  // A copy: the bytes of a fetch are used again.
  decode: (bytes) => new Uint8Array(bytes),
};

const long: Format = {
  encode(value) {
    if (!Number.isSafeInteger(value)) return null;
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeBigInt64BE(BigInt(value as number));
    return bytes;
  },
  decode(bytes) {
    if (bytes.length !== 8) {
      const received = `expected 8 bytes, received ${String(bytes.length)}`;
      throw new Fault("MILL_DECODE_TEXT", withForm(received, bytes));
    }
    const value = Number(bytes.readBigInt64BE());
    if (!Number.isSafeInteger(value))
      throw new Fault("MILL_DECODE_SCHEMA", "a long is beyond ±(2^53−1)");
    return value;
  },
};

const formats: Readonly<Record<"string" | "bytes" | "long", Format>> = { string, bytes: raw, long };
