// Topics of others on a real broker, as test/engine/provision/random-topics.test.ts has them in memory.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { applyRandomly } from "../../support/foreign-topics.ts";
import { KafkaFixture } from "../../support/kafka.ts";

const SEEDS = 12;

test("nothing that was not declared, named and confirmed is changed", async (t) => {
  const fixture = await KafkaFixture.for(t);
  const kafka = fixture.port();
  const first = Number(process.env["MILLRACE_TEST_SEED"] ?? randomInt(1, 1_000_000));
  t.diagnostic(`MILLRACE_TEST_SEED=${String(first)}`);
  const exits: number[] = [];
  for (let seed = first; seed < first + SEEDS; seed++) {
    const { exit, wrong } = await applyRandomly(seed, kafka, `${fixture.name("others")}-`);
    assert.deepEqual(wrong, [], `MILLRACE_TEST_SEED=${String(seed)}`);
    exits.push(exit);
  }
  assert.ok(
    exits.every((exit) => [0, 2, 78].includes(exit)),
    exits.join(),
  );
});
