// Bombs of a gigabyte, with the settings and the V8 options of k8s/base.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BombScene } from "../support/bomb-run.ts";

const MB = 1_048_576;
const bound = 134_217_728;
let scene: BombScene;
before(async () => {
  scene = await BombScene.open({
    zeros: 1_024 * MB,
    boundBytes: bound,
    nodeOptions: "--max-old-space-size=384 --max-semi-space-size=16",
  });
});
after(() => scene.close());

for (const codec of ["gzip", "snappy", "lz4", "zstd"] as const)
  test(`${codec}: memory rises by less than 64 MB beyond the bound`, async (t) => {
    const risen = await scene.survive(t, codec);
    t.diagnostic(`${codec}: ${(risen / MB).toFixed(0)} MB beyond the bound`);
    assert.ok(risen < 64 * MB, `${(risen / MB).toFixed(0)} MB beyond the bound`);
  });
