import assert from "node:assert/strict";
import { test } from "node:test";
import { constants, createZstdCompress, gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { decoderOf } from "../../../../src/engine/clients/kafkajs/protocol/codecs/compression.ts";
import { TooLarge } from "../../../../src/engine/clients/kafkajs/protocol/codecs/output.ts";
import {
  lz4Bomb,
  lz4Literals,
  snappyBomb,
  snappyLiterals,
  xerial,
} from "../../../support/bombs.ts";

const MB = 1_048_576;
const names = { gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;
type Codec = keyof typeof names;

const decode = (codec: Codec, body: Buffer, bytesMax = 64 * MB): Buffer =>
  (decoderOf(names[codec]) as NonNullable<ReturnType<typeof decoderOf>>)(body, bytesMax);

const packed: Readonly<Record<Codec, (raw: Buffer) => Buffer>> = {
  gzip: (raw) => gzipSync(raw),
  zstd: (raw) => zstdCompressSync(raw),
  lz4: (raw) => lz4Literals(raw),
  snappy: (raw) =>
    xerial([snappyLiterals(raw.subarray(0, 100)), snappyLiterals(raw.subarray(100))]),
};
const codecs = Object.keys(names) as Codec[];

/** The memory that stays touched when nothing was collected. */
function risen(work: () => void): number {
  const before = process.memoryUsage().rss;
  work();
  return (process.memoryUsage().rss - before) / MB;
}

for (const codec of codecs) {
  test(`${codec}: what was packed comes back, at the bound exactly and above one megabyte`, () => {
    const raw = Buffer.alloc(3 * MB, "millrace ");
    assert.ok(decode(codec, packed[codec](raw), raw.length).equals(raw));
    const small = Buffer.from("some text of two hundred bytes ".repeat(7));
    assert.ok(decode(codec, packed[codec](small), small.length).equals(small));
  });

  test(`${codec}: one byte above the bound is refused`, () => {
    const raw = Buffer.alloc(3 * MB, "millrace ");
    assert.throws(() => decode(codec, packed[codec](raw), raw.length - 1), TooLarge);
    const small = Buffer.alloc(1_000, "x");
    assert.throws(() => decode(codec, packed[codec](small), small.length - 1), TooLarge);
  });

  test(`${codec}: bytes that were changed or cut end in an error or in bytes within the bound`, () => {
    const body = packed[codec](
      Buffer.from("a text, a text, a text and a number 12345 ".repeat(40)),
    );
    const changes = fc.array(fc.tuple(fc.nat({ max: body.length - 1 }), fc.nat({ max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(changes, fc.nat({ max: body.length }), (bytes, cut) => {
        const broken = Buffer.from(body.subarray(0, body.length - (cut % 3 === 0 ? cut : 0)));
        for (const [place, byte] of bytes) broken[place % broken.length] = byte;
        try {
          assert.ok(decode(codec, broken, 4_000).length <= 4_000);
        } catch (error) {
          assert.ok(error instanceof Error && error.name !== "AssertionError", String(error));
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test(`${codec}: any bytes at all end in an error or in bytes within the bound`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          assert.ok(decode(codec, Buffer.from(bytes), 4_000).length <= 4_000);
        } catch (error) {
          assert.ok(error instanceof Error && error.name !== "AssertionError", String(error));
        }
      }),
      { numRuns: 2_000 },
    );
  });
}

test("a bomb of each codec takes no memory but the bound's", async () => {
  const bound = 8 * MB;
  const bombs: [Codec, Buffer][] = [
    ["gzip", gzipSync(Buffer.alloc(200 * MB))],
    ["zstd", zstdCompressSync(Buffer.alloc(200 * MB))],
    ["zstd", await widestZstd(200)],
    ["lz4", lz4Bomb(200 * MB)],
    ["snappy", snappyBomb(200 * MB)],
    ["snappy", xerial(Array.from({ length: 50 }, () => snappyBomb(4 * MB)))],
  ];
  for (const [codec, body] of bombs) {
    const mb = risen(() => assert.throws(() => decode(codec, body, bound), TooLarge));
    assert.ok(mb < 64, `${codec}: ${mb.toFixed(0)} MB`);
  }
});

/** As level 22 writes it: a window of 128 MB. */
async function widestZstd(mb: number): Promise<Buffer> {
  const pack = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: 27 } });
  const chunks: Buffer[] = [];
  pack.on("data", (chunk: Buffer) => chunks.push(chunk));
  const { promise, resolve } = Promise.withResolvers<void>();
  pack.on("end", resolve);
  for (let i = 0; i < mb; i++) pack.write(Buffer.alloc(MB));
  pack.end();
  await promise;
  return Buffer.concat(chunks);
}

test("zstd of the widest window is read", async () => {
  assert.equal(decode("zstd", await widestZstd(2)).length, 2 * MB);
});

test("a snappy size that its bytes cannot become is refused before memory is taken", () => {
  // 4,294,967,295 bytes, of which there are four.
  const lie = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x61, 0x62]);
  assert.throws(() => decode("snappy", lie), RangeError);
  assert.throws(() => decode("snappy", Buffer.alloc(9, 0xff)), RangeError);
});

test("xerial frames without a positive length, or beyond the bytes, are refused", () => {
  const frame = snappyLiterals(Buffer.from("abc"));
  for (const length of [0, -1, -4, -2_147_483_648, frame.length + 1, 2_147_483_647]) {
    const body = xerial([frame]);
    body.writeInt32BE(length, 16);
    assert.throws(() => decode("snappy", body), RangeError, String(length));
  }
  assert.throws(() => decode("snappy", xerial([frame]).subarray(0, 10)), RangeError);
});

test("lz4 blocks beyond the input, larger than their frame says, or of an unknown frame are refused", () => {
  const body = lz4Literals(Buffer.from("abcdef"));
  const beyond = Buffer.from(body);
  beyond.writeUInt32LE(100_000, 7);
  assert.throws(() => decode("lz4", beyond), RangeError);
  const empty = Buffer.from(body);
  empty.writeUInt32LE(0x80000000, 7);
  assert.throws(() => decode("lz4", empty), RangeError);
  for (const size of [0, 1, 3]) {
    const unknown = Buffer.from(body);
    unknown[5] = size << 4;
    assert.throws(() => decode("lz4", unknown), RangeError);
  }
  assert.throws(() => decode("lz4", lz4Bomb(5 * MB, 5 * MB)), RangeError);
});

test("a codec that is not known has no decoder", () => {
  assert.deepEqual([5, 6, 7].map(decoderOf), [null, null, null]);
});
