// Steps of simulate() as calls without types may write them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seconds } from "#engine";
import { advance, pause } from "#testing";

test("a step that takes a duration refuses what is none: a bare number would never end", () => {
  for (const none of [5_000, undefined, null, "5 s", {}, { ms: NaN }])
    for (const step of [advance, pause])
      assert.throws(() => step(none as never), /takes a duration: \w+\(minutes\(5\)\); received/);
  assert.deepEqual(advance(seconds(5)), { kind: "advance", duration: seconds(5) });
});
