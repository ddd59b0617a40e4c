// Bombs of a gigabyte beside a worker with the settings and the V8 options of k8s/base, on servers of its own; and headers that lie.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { stopStack } from "../../src/stack/stack.ts";
import { BombScene } from "../support/bomb-run.ts";
import { codecNumbers, lieOf } from "../support/bombs.ts";
import { privateStack, type StackEnv } from "../support/stack.ts";

const MB = 1_048_576;
const zeros = 1_024 * MB;
const bound = 134_217_728;
const nodeOptions = "--max-old-space-size=384 --max-semi-space-size=16";

const codecs = ["gzip", "snappy", "lz4", "zstd"] as const;
const decoding = join(import.meta.dirname, "../support/decode-bomb.ts");

let scene: BombScene;
let dir = "";
before(async () => {
  const stack = await privateStack();
  dir = stack.dir;
  scene = await BombScene.open(
    { zeros, boundBytes: bound, nodeOptions },
    stack.env as unknown as StackEnv,
  );
});
after(async () => {
  await scene.close();
  await stopStack(dir, () => undefined, { purge: true });
});

const mb = (bytes: number): string => (bytes / MB).toFixed(bytes < MB ? 2 : 0);

for (const codec of codecs)
  test(`${codec}: memory rises by less than 64 MB beyond the bound`, async (t) => {
    const risen = await scene.survive(t, codec);
    const [was, is] = scene.lastPeaks.map(mb);
    t.diagnostic(
      `${codec}: ${mb(scene.lastBombBytes)} MB; the worker from ${was ?? ""} MB to ${is ?? ""} MB`,
    );
    assert.ok(risen < 64 * MB, `${mb(risen)} MB beyond the bound`);
  });

for (const codec of codecs)
  for (const said of [5, 100 * MB, 4_294_967_290])
    test(`${codec}: a header that says ${String(said)} bytes costs no more than the bound`, async (t) => {
      const file = join(mkdtempSync(join(tmpdir(), "millrace-bomb-")), codec);
      t.after(() => rmSync(dirname(file), { recursive: true }));
      writeFileSync(file, await lieOf(codec, zeros, said));
      const args = [decoding, String(codecNumbers[codec]), file, String(bound)];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      const { end, risen } = JSON.parse(stdout) as { end: string; risen: number };
      t.diagnostic(`${end}, memory rose by ${mb(risen)} MB`);
      assert.notEqual(end, "bytes");
      assert.ok(risen < bound + 64 * MB, `${mb(risen)} MB`);
    });
