// The codecs of record batches, for reading: gzip and zstd by Node, snappy (raw or in Java's xerial frames) and lz4
// (frames) here, since the packages for them are slow or must be compiled.
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { MillraceError } from "../../../../core/errors.ts";
import { unlz4 } from "./lz4.ts";
import { unsnappy } from "./snappy.ts";

const codecs: Readonly<Record<number, (body: Buffer) => Buffer>> = {
  1: (body) => gunzipSync(body),
  2: unsnappy,
  3: unlz4,
  4: (body) => zstdDecompressSync(body),
};

export function decompress(
  codec: number,
  body: Buffer,
  at: { readonly topic: string; readonly partition: number },
): Buffer {
  const where = { topic: at.topic, partition: at.partition };
  const decoder = codecs[codec];
  if (decoder === undefined)
    throw new MillraceError(
      "MILL_KAFKA_REFUSED",
      `a record batch has the unknown codec ${String(codec)}`,
      { where },
    );
  try {
    return decoder(body);
  } catch (cause) {
    throw new MillraceError(
      "MILL_KAFKA_REFUSED",
      `a record batch of codec ${String(codec)} cannot be decompressed`,
      { where, cause },
    );
  }
}
