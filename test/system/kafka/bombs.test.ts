// A worker of its own beside a broker, and bombs that are smaller than those of test/long/bombs.ts; of all codecs in test/long.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BombScene, input, pipelineName } from "../../support/bomb-run.ts";
import { sharedStack } from "../../support/stack.ts";
import { isWhole } from "../../support/whole.ts";

const MB = 1_048_576;
const codecs = isWhole ? (["gzip", "snappy", "lz4", "zstd"] as const) : (["gzip", "zstd"] as const);
let scene: BombScene;
before(async () => {
  const run = { zeros: 150 * MB, boundBytes: 16 * MB, nodeOptions: "" };
  scene = await BombScene.open(run, await sharedStack());
});
after(() => scene.close());

for (const codec of codecs)
  test(`a bomb of ${codec} stops its task alone, and the printed command passes over it`, async (t) => {
    const risen = await scene.survive(t, codec);
    assert.ok(risen < 64 * MB, `${(risen / MB).toFixed(0)} MB beyond the bound`);
  });

test("consume shows the rest, and the commands that it prints lead behind every bomb", async () => {
  const printed = /behind it: npx millrace (consume .*)$/m;
  assert.equal(await scene.followed(["consume", input.name], printed), codecs.length);
});

test("a run fails at a bomb, and the runs that it names begin behind it", async () => {
  const printed = /behind it: npx millrace (reprocess run \S+ --from-offset \S+=\d+)/;
  assert.equal(await scene.followed(["reprocess", "run", pipelineName], printed), codecs.length);
});
