// simulate() where a pipeline or a task does not go on: with too many dead letters, or at a record that halts it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { percent, pipeline, records as many } from "#engine";
import { send, simulate } from "#testing";
import { things } from "../../support/plans.ts";

const [input, output] = [things("in", 1), things("out", 1)];
const limit = { deadLetters: { above: percent(5), per: many(500) } };
const use = pipeline("checked", { haltWhen: limit }, ({ from }) => {
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

test("what stops a task is thrown, with where it stands", async () => {
  const halting = pipeline("halting", ({ from }) => {
    from(input)
      .expect("good", ({ n }) => n > 0, { otherwise: "halt" })
      .to(output);
  });
  await assert.rejects(simulate(halting, steps(1)), (error: Error & { code?: string }) => {
    assert.equal(error.code, "MILL_RULE_HALT");
    assert.match(error.message, /main in-0: .*good/);
    assert.match(error.message, /where the test expects it: stops: "expected"$/);
    return true;
  });
  const { stops, records } = await simulate(halting, steps(1), { stops: "expected" });
  assert.deepEqual(
    stops.map(({ part, topic, code }) => [part, topic, code]),
    [["main", "in", "MILL_RULE_HALT"]],
  );
  assert.deepEqual(records(output), []);
});
