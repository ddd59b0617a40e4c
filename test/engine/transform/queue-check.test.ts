// Values that the engine itself keeps in stores are known by their form: its own are taken, anything else is named.
import assert from "node:assert/strict";
import { test } from "node:test";
import { days, json, pipeline, string, topic } from "#engine";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import { compileCodec } from "../../../src/engine/decode/codec.ts";
import { byId, type StoreView } from "../../../src/engine/core/state.ts";
import { entryCodec, type EntryCodec } from "../../../src/engine/state/entry-codec.ts";
import {
  dueOfQueue,
  join,
  openQueue,
  placeOfKey,
  placeOfRecord,
  plainKeeping,
  recordIn,
  TOTALS_PLACE,
  type AtStep,
} from "../../../src/engine/transform/calls/key-queue.ts";
import { wrongQueued } from "../../../src/engine/transform/calls/queue-check.ts";
import { raw, things } from "../../support/plans.ts";
import { plainCodec, StoreBench } from "../../support/stores.ts";

const KEY = Buffer.from("key");
const order = {
  ...{ id: "a".repeat(32), part: "main", redrives: 1, redrivesMax: 3, firstTime: null, job: "j" },
  origin: { topic: "in", partition: 0, offset: 3n, timestamp: -1 },
};

const at = (n: number, isRedriven = false): AtStep => {
  const place = { key: KEY, offset: BigInt(n), timestamp: n };
  const redriven = { topic: "redrive", offset: 7n, order };
  const record = { ...raw(undefined, place), ...(isRedriven ? { redriven } : {}) };
  const context = { ...record, key: "key" };
  return { record: { raw: record, value: { n }, context, originMs: n }, value: { n } };
};

/** The value with one field of another form, for each that is not the user's own. */
function changesOf(value: Readonly<Record<string, unknown>>): Record<string, unknown>[] {
  const names = Object.keys(value).filter((name) => name !== "value" && name !== "keyValue");
  const others = [Symbol.for("none"), "\u0000".repeat(301), { a: 1 }];
  return names.flatMap((name) => others.map((other) => ({ ...value, [name]: other })));
}

const empty: StoreView = { get: () => null, add: () => undefined, set: () => undefined };

const isEntry = (error: unknown): boolean =>
  error instanceof MillraceError && error.code === "MILL_STATE_ENTRY";

test("queued records, redriven ones too, come back as they were; every field of another form is named", async () => {
  const rules = { dueOfUndated: dueOfQueue, wrongValue: wrongQueued };
  const codec = entryCodec(plainCodec, "s", rules);
  const bench = await StoreBench.open({ codec });
  const shelf = { view: bench.store, keeping: plainKeeping };
  const places = [placeOfRecord(KEY, 0), placeOfRecord(KEY, 1)];
  await bench.stores.load("s", byId([TOTALS_PLACE, placeOfKey(KEY), ...places]));
  openQueue(shelf, at(1), { tried: { times: 1, firstMs: 5 }, dueMs: 9 });
  join(shelf, at(2, true), { runMax: { records: 9, bytes: 1e6 } } as never);
  assert.equal(recordIn(shelf, KEY, 1).record.raw.redriven?.order.origin.offset, 3n);
  assert.throws(() => recordIn({ ...shelf, view: empty }, KEY, 1), isEntry);
  for (const place of [TOTALS_PLACE, placeOfKey(KEY), ...places]) {
    const entry = bench.store.get(place) ?? assert.fail("it is kept");
    const { value } = codec.decode(place.bytes, codec.encode(entry));
    assert.equal(wrongQueued(place.bytes, value), null);
    for (const changed of changesOf(value as Readonly<Record<string, unknown>>))
      assert.notEqual(wrongQueued(place.bytes, changed), null, Object.keys(changed).join());
    for (const other of [null, 7, "x", [], true])
      assert.notEqual(wrongQueued(place.bytes, other), null);
  }
  const queue = { from: 0, to: 2 ** 52, bytes: 1, times: 1, firstMs: 0, dueMs: 0 };
  assert.match(wrongQueued(placeOfKey(KEY).bytes, queue) ?? "", /numbers are those of no queue/);
});

const codecsOf = (): ReadonlyMap<string, EntryCodec> => {
  const input = things("in", 1);
  const out = topic("out", { key: string, value: json<number>(), partitions: 1, owner: "tests" });
  const flow = pipeline("flow", ({ from }) => {
    from(input)
      .distinct("once", { by: (t) => t.n, within: days(1) })
      .groupByKey()
      .count("seen")
      .to(out);
  });
  const stores = flow.plan().parts.flatMap((part) => part.stores);
  const options = { schemas: new Map(), writerId: null };
  return new Map(
    stores.map(({ name, changelog, ...rules }) => {
      return [name, entryCodec(compileCodec(changelog.value, options), name, rules)];
    }),
  );
};

test("counts are whole numbers, and distinct remembers a hash or that it has seen", () => {
  const good: Readonly<Record<string, readonly unknown[]>> = { seen: [0, 7], once: [true, "hash"] };
  const bad: Readonly<Record<string, readonly unknown[]>> = {
    seen: ["7", -1, 0.5, null, [1], { n: 1 }, 2 ** 53],
    once: [false, 1, null, [], { a: 1 }, "x".repeat(101)],
  };
  const codecs = codecsOf();
  for (const [store, codec] of codecs) {
    const plain = entryCodec(plainCodec, store);
    const read = (value: unknown): unknown => {
      // Null is no value of a store, but JSON may say it.
      const written = plain.encode({ value: value ?? 0, timestamp: 1, dueMs: null });
      const bytes =
        value === null ? Buffer.concat([written.subarray(0, 9), Buffer.from("null")]) : written;
      return codec.decode(KEY, bytes).value;
    };
    for (const value of good[store] ?? []) assert.deepEqual(read(value), value);
    for (const value of bad[store] ?? [])
      assert.throws(() => read(value), isEntry, JSON.stringify(value));
  }
  assert.deepEqual([...codecs.keys()].sort(), ["once", "seen"]);
});
