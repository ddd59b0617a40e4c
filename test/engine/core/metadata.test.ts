import assert from "node:assert/strict";
import { test } from "node:test";
import { ChannelTimes, NO_TIME, SourceTime } from "../../../src/engine/core/event-time.ts";
import {
  addLedger,
  emptyLedger,
  imbalanceOf,
  type LedgerCounts,
} from "../../../src/engine/core/ledger.ts";
import {
  decodeMetadata,
  encodeMetadata,
  wrongMetadata,
} from "../../../src/engine/core/task-inputs.ts";

test("owner and ledger come back as they went", () => {
  const ledger = { ...emptyLedger(), consumed: 3, emitted: 2, "dead-lettered": { rule: 1 } };
  assert.deepEqual(decodeMetadata(encodeMetadata({ owner: "w-1", ledger })), {
    owner: "w-1",
    time: {},
    ledger,
  });
});

test("the end of a loading comes back as it went, beside a ledger that is summed too; 0.1.0 had none", () => {
  const many = Array.from({ length: 200 }, (_, i) => [`operator-with-a-long-name-${String(i)}`, 1]);
  const whole = { ...emptyLedger(), consumed: 200, filtered: Object.fromEntries(many) };
  const loadTo = 9_007_199_254_740_993n;
  for (const ledger of [emptyLedger(), whole])
    assert.equal(decodeMetadata(encodeMetadata({ owner: "w", ledger, loadTo }))?.loadTo, loadTo);
  const stored = '{"v":1,"owner":"w-1","ledger":{"consumed":6,"emitted":6}}';
  assert.equal(decodeMetadata(stored)?.loadTo, undefined);
});

test("a ledger of too many operators is summed to fit Kafka's limit, and still balances", () => {
  const filtered = Object.fromEntries(
    Array.from({ length: 200 }, (_, i) => [`an-operator-with-a-long-name-${String(i)}`, 1]),
  );
  const text = encodeMetadata({
    owner: "w",
    ledger: { ...emptyLedger(), consumed: 200, filtered },
  });
  assert.ok(Buffer.byteLength(text) <= 4096);
  const ledger = decodeMetadata(text)?.ledger;
  assert.deepEqual(ledger?.filtered, { "*": 200 });
  assert.equal(imbalanceOf(ledger), 0);
});

test("a ledger of 0.1.0 has no superseded and no tombstone, and balances as it did", () => {
  const stored =
    '{"v":1,"owner":"w-1","ledger":{"consumed":6,"emitted":2,"late":0,"deduplicated":1,"null-key":1,"dead-lettered":{"rule":1},"filtered":{"paid":1}}}';
  const ledger = decodeMetadata(stored)?.ledger;
  assert.deepEqual([ledger?.superseded, ledger?.tombstone, ledger?.consumed], [0, 0, 6]);
  assert.equal(imbalanceOf(ledger as LedgerCounts), 0);
  const one = { ...emptyLedger(), consumed: 1, superseded: 1 };
  assert.equal(addLedger(ledger as LedgerCounts, one).superseded, 1);
});

test("0.1.0 has stored the time of the task with each input, and a number for late", () => {
  const stored = '{"v":1,"owner":"w-1","time":1795161600000,"ledger":{"consumed":0,"late":0}}';
  const metadata = decodeMetadata(stored);
  assert.deepEqual(metadata?.time, { time: 1_795_161_600_000 });
  assert.deepEqual(metadata.ledger.late, {});
  // Its repartition topics had no channels: none of them was heard of.
  assert.equal(new ChannelTimes(2, metadata.time).watermark, NO_TIME);
  assert.equal(new SourceTime(metadata.time).time, 1_795_161_600_000);
});

test("metadata of others is not ours", () => {
  for (const text of ["", "abc", "{", "{}", '{"v":2,"owner":"x"}', "null"])
    assert.equal(decodeMetadata(text), null, text);
});

test("a ledger whose counts could not go on is none of ours", () => {
  const huge = Number.MAX_SAFE_INTEGER;
  const ledgers = [
    ...[
      { consumed: huge },
      { late: { grace: huge } },
      { filtered: { a: huge } },
      { emitted: 1e15, consumed: 1 },
    ],
    { filtered: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [String(i), 1e14])) },
  ];
  const stored = (ledger: object): string => JSON.stringify({ v: 1, owner: "w", ledger });
  for (const ledger of ledgers)
    assert.notEqual(wrongMetadata(stored(ledger)), null, JSON.stringify(ledger));
  const most = { consumed: 5e14, filtered: { a: 5e14 } };
  assert.equal(wrongMetadata(stored(most)), null);
  const counted = addLedger(decodeMetadata(stored(most))?.ledger as LedgerCounts, {
    ...emptyLedger(),
    ...{ consumed: 1_000, filtered: { a: 1_000 } },
  });
  assert.equal(imbalanceOf(counted), 0);
});
