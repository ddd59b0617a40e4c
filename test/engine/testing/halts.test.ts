// simulate() with more dead letters than the pipeline goes on with.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pipeline } from "#engine";
import { send, simulate } from "#testing";
import { things } from "../../support/plans.ts";

const [input, output] = [things("in", 1), things("out", 1)];
const use = pipeline("checked", ({ from }) => {
  from(input)
    .expect("good", ({ n }) => n > 0, { otherwise: "dead-letter" })
    .to(output);
});
const steps = (bad: number) =>
  Array.from({ length: 40 }, (_, i) => send(input, "k", { id: "k", n: i < bad ? -1 : 1 }));

test("25 bad records are letters", async () => {
  const { deadLetters, records } = await simulate(use, steps(25));
  assert.deepEqual([deadLetters.length, records(output).length], [25, 15]);
});

test("26 halt the pipeline: it is said, with what lets it go on", async () => {
  await assert.rejects(simulate(use, steps(26)), (error: Error) => {
    assert.match(error.message, /checked is halted since .*main in-0 at offset 25: more than 25/);
    assert.match(error.message, /haltWhen: "never" in the pipeline, or breaker: "off" here$/);
    return true;
  });
});

test("with the breaker off it goes on", async () => {
  const { deadLetters, records } = await simulate(use, steps(30), { breaker: "off" });
  assert.deepEqual([deadLetters.length, records(output).length], [30, 10]);
});
