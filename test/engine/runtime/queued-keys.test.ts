// The queued keys of a task: what it reads of their store, when it calls for them, and what it says of them.
import { byId } from "../../../src/engine/core/state.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { QueuedKeys } from "../../../src/engine/runtime/calls/queued-keys.ts";
import { entryCodec } from "../../../src/engine/state/entry-codec.ts";
import type { RetryPolicy } from "../../../src/engine/core/plan.ts";
import type { CallOperation } from "../../../src/engine/transform/calls/call.ts";
import {
  dueOfQueue,
  join,
  openQueue,
  placeOfKey,
  placeOfRecord,
  plainKeeping,
  TOTALS_PLACE,
  type AtStep,
} from "../../../src/engine/transform/calls/key-queue.ts";
import type { CallStep } from "../../../src/engine/transform/calls/map-async.ts";
import { TestCalls } from "../../support/calls.ts";
import { raw } from "../../support/plans.ts";
import { plainCodec, StoreBench } from "../../support/stores.ts";

const START_MS = new TestCalls().clock.now();
const codec = entryCodec(plainCodec, "s", { dueOfUndated: dueOfQueue });
const runMax = { records: 100, bytes: 1e6 };

const at = (key: string, n: number): AtStep => {
  const record = raw(undefined, { key: Buffer.from(key), offset: BigInt(n), timestamp: 0 });
  const context = { ...record, key };
  return { record: { raw: record, value: { n }, context, originMs: 0 }, value: { n } };
};

/** Queues of so many records by key, each due then, as a batch leaves them. */
async function queue(bench: StoreBench, keys: Record<string, [records: number, dueMs: number]>) {
  const shelf = { view: bench.store, keeping: plainKeeping };
  for (const [key, [records, dueMs]] of Object.entries(keys)) {
    const bytes = Buffer.from(key);
    const places = Array.from({ length: records }, (_, n) => placeOfRecord(bytes, n));
    await bench.stores.load("s", byId([TOTALS_PLACE, placeOfKey(bytes), ...places]));
    openQueue(shelf, at(key, 0), {
      tried: { times: 1, firstMs: START_MS },
      dueMs: START_MS + dueMs,
    });
    for (let n = 1; n < records; n++) join(shelf, at(key, n), { runMax } as never);
  }
  bench.stores.endBatch();
  await bench.checkpoint();
}

/** A new owner of the store, who has nothing in memory, and what it says and calls for. */
async function owner(bench: StoreBench, retry: Partial<RetryPolicy> | null = null) {
  const calls = new TestCalls();
  const [said, called]: [string[], unknown[]] = [[], []];
  const operation = {
    concurrency: 50,
    timeoutMs: 1_000,
    ...{ resource: null, retry },
    fn: (value: unknown) => {
      called.push(value);
      return new Promise(() => undefined);
    },
  } as unknown as CallOperation;
  const step = { at: 0, name: "call", operation, store: { name: "s" }, keeping: plainKeeping };
  const read: string[] = [];
  bench.copies.onCall = (call) => void read.push(call);
  const keys = new QueuedKeys({
    steps: [step as unknown as CallStep],
    stores: bench.stores,
    calls: calls.calls,
    patiently: (work) => work(),
    learn: () => Promise.resolve(),
    release: () => Promise.reject(new Error("nothing has ended")),
    nudge: () => undefined,
    onChange: (_step, { keys: of, records }) => void said.push(`${String(of)}/${String(records)}`),
  });
  await keys.open();
  return { keys, calls, said, called, read };
}

/** Bytes of a store of 0.1.0: without dues and without totals. */
async function asBefore(bench: StoreBench): Promise<void> {
  for (const [i, change] of bench.changelog.entries()) {
    const { key, value } = change;
    if (key.equals(TOTALS_PLACE.bytes))
      bench.changelog[i] = { ...change, value: null, dueMs: null };
    else if (value?.[0] === 3) {
      const old = Buffer.concat([Buffer.of(1), value.subarray(1, 9), value.subarray(17)]);
      bench.changelog[i] = { ...change, value: old, dueMs: codec.dueOf(key, old) };
    }
  }
  await bench.copies.wipe();
  await bench.store.repair();
}

const fresh = (cacheBytes = 0): Promise<StoreBench> => StoreBench.open({ codec, cacheBytes });

test("a task that begins knows how many keys and records wait, and has read none of them", async () => {
  const bench = await fresh();
  const many = Array.from({ length: 700 }, (_, i) => [`k${String(i)}`, [2, 5_000]] as const);
  await queue(bench, { ...Object.fromEntries(many), late: [3, 9_000] } as never);
  const { said, keys, read } = await owner(bench);
  assert.deepEqual([said, keys.records], [["701/1403"], 1_403]);
  assert.deepEqual(read, ["read"]);
});

test("only what is due is called for, in the order of due and key, once", async () => {
  const bench = await fresh();
  await queue(bench, { c: [1, 700], b: [2, 500], a: [1, 500], d: [1, 900] });
  const { keys, calls, called } = await owner(bench);
  await calls.clock.advance(600);
  assert.equal(await keys.turn(), null);
  await calls.clock.advance(0);
  assert.equal(called.length, 2);
  await calls.clock.advance(200);
  await keys.turn();
  await keys.turn();
  await calls.clock.advance(0);
  assert.equal(called.length, 3);
  assert.equal(bench.store.nextDueMs, START_MS + 900);
});

test("a key whose due lies further off than any pause, by a clock that was ahead, does not wait for it", async () => {
  const bench = await fresh();
  await queue(bench, { a: [1, 5 * 3_600_000], b: [1, 60_001] });
  const { keys, calls, called } = await owner(bench, { maxMs: 60_000 });
  await keys.turn();
  // What is due next is known from the first look on.
  await keys.turn();
  await calls.clock.advance(0);
  assert.equal(called.length, 1, "the nearest");
  const other = await fresh();
  await queue(other, { a: [1, 60_000] });
  const { keys: patient, calls: later, called: none } = await owner(other, { maxMs: 60_000 });
  await patient.turn();
  await patient.turn();
  await later.clock.advance(0);
  assert.equal(none.length, 0);
});

test("a store of 0.1.0 is counted once, and what is due in it is due then", async () => {
  const bench = await fresh();
  const many = Array.from({ length: 600 }, (_, i) => [`k${String(i)}`, [2, 500]] as const);
  await queue(bench, { ...Object.fromEntries(many), late: [3, 9_000] } as never);
  await asBefore(bench);
  const before = await owner(bench);
  assert.deepEqual(before.said, ["601/1203"]);
  await before.calls.clock.advance(600);
  await before.keys.turn();
  await before.calls.clock.advance(0);
  // Half of the step's calls are for queued keys.
  assert.equal(before.called.length, 25);
  await bench.checkpoint();
  const after = await owner(bench);
  assert.deepEqual(after.said, ["601/1203"]);
  assert.deepEqual(after.read, ["read"]);
});
