// How a checkpoint that Kafka decided comes to the copies of a task: by the offsets that the broker said.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SentBatch } from "../../../src/engine/core/kafka.ts";
import { TaskInputs } from "../../../src/engine/core/task-inputs.ts";
import type { BoundPart } from "../../../src/engine/runtime/task/bind.ts";
import { Breaker } from "../../../src/engine/runtime/task/breaker.ts";
import { TaskState } from "../../../src/engine/runtime/task/stream/state.ts";
import { TestCalls } from "../../support/calls.ts";
import { StoreBench } from "../../support/stores.ts";

const PARTITION = 3;
const own = { topic: "changelog", partition: PARTITION };

async function withChanges() {
  const bench = await StoreBench.open();
  const store = {
    name: "s",
    changelog: { name: own.topic },
    retentionMs: null,
    dueOfUndated: () => null,
  };
  const state = new TaskState({
    bound: {
      part: { stores: [store] },
      program: { dueOperators: () => [] },
    } as unknown as BoundPart,
    partition: PARTITION,
    stores: bench.stores,
    calls: new TestCalls().calls,
    inputs: new TaskInputs(PARTITION, [], () => null),
    times: { watermarkOf: () => -Infinity, keepsRecords: () => false },
    patiently: (work) => work(),
    breaker: new Breaker("main", "never"),
    learn: () => Promise.resolve(),
    now: () => 1_000,
  });
  await bench.batch({ a: 1, b: 2, c: 3 });
  const sealed = state.seal();
  assert.deepEqual(
    sealed.changelog.map(({ topic, partition, timestamp }) => [topic, partition, timestamp]),
    [0, 1, 2].map(() => [own.topic, PARTITION, 1_000]),
  );
  return { bench, state, sealed };
}

const batch = (at: Partial<SentBatch>): SentBatch => ({
  ...{ ...own, count: 1, baseOffset: 0n, appendTimeMs: null },
  ...at,
});

test("the copy goes to the end of its own batches, with the newest time at which they were appended", async () => {
  const { bench, state, sealed } = await withChanges();
  const others = [batch({ partition: 0, baseOffset: 500n }), batch({ topic: "out", count: 9 })];
  await state.settle(sealed, [
    ...others,
    batch({ count: 2, baseOffset: 10n, appendTimeMs: 70 }),
    batch({ count: 1, baseOffset: 15n, appendTimeMs: 60 }),
  ]);
  assert.deepEqual(await bench.copy.position(), { nextOffset: 16n, timeMs: 70 });
  assert.deepEqual((await bench.inCopy()).values, { a: 1, b: 2, c: 3 });
  assert.equal(bench.repairs, 0);
});

test("where the broker has not said an offset, the copy is brought up from its changelog", async () => {
  const { bench, state, sealed } = await withChanges();
  sealed.changelog.forEach(({ key, value }, i) =>
    bench.changelog.push({ key: key as Buffer, value, dueMs: null, offset: BigInt(i) }),
  );
  bench.end = 4n;
  await state.settle(sealed, [batch({ count: 2, baseOffset: null }), batch({ baseOffset: 2n })]);
  assert.equal(bench.repairs, 1);
  assert.deepEqual(await bench.inCopy(), { position: 4n, values: { a: 1, b: 2, c: 3 } });
});
