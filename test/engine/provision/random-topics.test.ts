// Whatever topics others have, whatever pipelines declare and whichever are named: `topics apply` changes only settings that
// are declared of topics that are theirs, makes only their topics, and loses nothing without its word.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryKafka } from "../../../src/engine/testing/memory-kafka.ts";
import { applyRandomly } from "../../support/foreign-topics.ts";

const SEEDS = 400;
const first = Number(process.env["MILLRACE_TEST_SEED"] ?? 1);

test(`nothing that was not declared, named and confirmed is changed, seeds ${String(first)} to ${String(first + SEEDS - 1)}`, async () => {
  const exits = new Map<number, number>();
  let changes = 0;
  for (let seed = first; seed < first + SEEDS; seed++) {
    const run = await applyRandomly(seed, new MemoryKafka(new FakeClock(0)).port());
    assert.deepEqual(run.wrong, [], `MILLRACE_TEST_SEED=${String(seed)}`);
    exits.set(run.exit, (exits.get(run.exit) ?? 0) + 1);
    changes += run.changes;
    if (run.exit !== 0)
      assert.equal(run.changes, 0, `seed ${String(seed)} changed something beside a refusal`);
  }
  // Runs that do much, that lack a word and that are refused are all there.
  for (const exit of [0, 2, 78])
    assert.ok((exits.get(exit) ?? 0) >= 20, `${String(exit)}: ${String(exits.get(exit))}`);
  assert.ok(changes > SEEDS, String(changes));
});
