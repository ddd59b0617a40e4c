// A worker of its own beside a broker: bombs of every codec, smaller than those of test/long/bombs.ts.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BombScene } from "../../support/bomb-run.ts";
import { sharedStack } from "../../support/stack.ts";

const MB = 1_048_576;
let scene: BombScene;
before(async () => {
  const run = { zeros: 150 * MB, boundBytes: 16 * MB, nodeOptions: "" };
  scene = await BombScene.open(run, await sharedStack());
});
after(() => scene.close());

for (const codec of ["gzip", "snappy", "lz4", "zstd"] as const)
  test(`a bomb of ${codec} stops its task alone, and the printed command passes over it`, async (t) => {
    const risen = await scene.survive(t, codec);
    assert.ok(risen < 64 * MB, `${(risen / MB).toFixed(0)} MB beyond the bound`);
  });
