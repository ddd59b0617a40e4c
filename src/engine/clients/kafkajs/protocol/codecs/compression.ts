// The codecs of record batches, for reading: gzip and zstd by Node, snappy (raw or in Java's xerial frames) and lz4
// (frames) here, since the packages for them are slow or must be compiled. None makes more than the bound, and none
// takes memory for more.
import { constants, gunzipSync, zstdDecompressSync, type ZstdOptions } from "node:zlib";
import { unlz4 } from "./lz4.ts";
import { TooLarge } from "./output.ts";
import { unsnappy } from "./snappy.ts";

type Decompress = (body: Buffer, bytesMax: number) => Buffer;

const codecs: Readonly<Record<number, Decompress>> = {
  1: (body, bytesMax) => byNode(gunzipSync, body, bytesMax),
  2: unsnappy,
  3: unlz4,
  4: unzstd,
};

/** Null for a codec that is not known. The decoder throws TooLarge, and anything else for bytes that are none of its own. */
export const decoderOf = (codec: number): Decompress | null => codecs[codec] ?? null;

const SMALL_BYTES = 1_048_576;

type Inflate = (body: Buffer, options: ZstdOptions) => Buffer;

/**
 * Node collects chunks and joins them, which takes twice the size. So a result that is not small is made again in one
 * chunk as large as the bound, which takes only the memory that is written to.
 */
function byNode(
  inflate: Inflate,
  body: Buffer,
  bytesMax: number,
  options: ZstdOptions = {},
): Buffer {
  const small = Math.min(bytesMax, SMALL_BYTES);
  try {
    return inflate(body, { ...options, maxOutputLength: small });
  } catch (error) {
    if (codeOf(error) !== "ERR_BUFFER_TOO_LARGE") throw error;
    if (small === bytesMax) throw new TooLarge(bytesMax);
  }
  try {
    return inflate(body, { ...options, chunkSize: bytesMax + 1, maxOutputLength: bytesMax });
  } catch (error) {
    throw codeOf(error) === "ERR_BUFFER_TOO_LARGE" ? new TooLarge(bytesMax) : error;
  }
}

/** Beside its result zstd fills a window as large as the frame says: 128 MB at its highest levels. */
const windowOf = (log: number): ZstdOptions => ({
  params: { [constants.ZSTD_d_windowLogMax]: log },
});
const USUAL_WINDOW_LOG = 25;
const WIDEST_WINDOW_LOG = 27;

function unzstd(body: Buffer, bytesMax: number): Buffer {
  try {
    return byNode(zstdDecompressSync, body, bytesMax, windowOf(USUAL_WINDOW_LOG));
  } catch (error) {
    if (codeOf(error) !== "ZSTD_error_frameParameter_windowTooLarge") throw error;
  }
  // The window counts too.
  const usual = 2 ** USUAL_WINDOW_LOG;
  const left = Math.max(usual, bytesMax - 2 ** WIDEST_WINDOW_LOG);
  return byNode(zstdDecompressSync, body, Math.min(bytesMax, left), windowOf(WIDEST_WINDOW_LOG));
}

const codeOf = (error: unknown): unknown => (error as { readonly code?: unknown }).code;
