// A file, or standard input, as pieces of text, unpacked when its name ends in .gz, .br or .zst. Strict UTF-8: a byte that is none stops the
// reading. Pieces come as they are asked for, so a slow reader slows the disk down.
import { createReadStream } from "node:fs";
import { pipeline as flow } from "node:stream";
import { createBrotliDecompress, createGunzip, createZstdDecompress } from "node:zlib";
import { ConfigError, MillraceError, messageOf } from "../engine/core/errors.ts";
import { STDIN, nameOf } from "./row.ts";

const unpackers = {
  ".gz": createGunzip,
  ".br": createBrotliDecompress,
  ".zst": createZstdDecompress,
} as const;
const packers = { ".gz": "gzip", ".br": "Brotli", ".zst": "Zstandard" } as const;
type Packing = keyof typeof unpackers;

/** The compression of a file, by its name; null: none. */
export const packingOf = (path: string): Packing | null =>
  (Object.keys(unpackers) as Packing[]).find((ending) => path.endsWith(ending)) ?? null;

export async function* fileText(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    for await (const chunk of bytesOf(path))
      yield decoder.decode(chunk as Buffer, { stream: true });
    yield decoder.decode();
  } catch (error) {
    throw translated(path, error);
  }
}

function bytesOf(path: string): AsyncIterable<unknown> {
  if (path === STDIN) return process.stdin;
  const file = createReadStream(path);
  const packing = packingOf(path);
  if (packing === null) return file;
  // The callback is needed, or an error of the file would end the process; it also reaches the reader of the result.
  return flow(file, unpackers[packing](), () => undefined);
}

function translated(path: string, error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENOENT") return new MillraceError("MILL_NOT_FOUND", `no file ${path}`);
  if (code === "ERR_ENCODING_INVALID_ENCODED_DATA")
    return new ConfigError("MILL_DATA_INVALID", `${nameOf(path)} is not valid UTF-8`);
  if (/^(Z_|ERR__ERROR_|ZSTD_)/.test(code))
    return new ConfigError(
      "MILL_DATA_INVALID",
      `${path} is not a whole ${packers[packingOf(path) ?? ".gz"]} file`,
    );
  if (code === "EISDIR" || code === "EACCES")
    return new ConfigError("MILL_DATA_INVALID", `${path}: ${messageOf(error)}`);
  return error;
}
