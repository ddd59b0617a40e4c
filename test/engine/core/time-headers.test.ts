// S3, M1: ages and markers on the way between parts.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  END_OF_TIME,
  NO_TIME,
  ChannelTimes,
  SourceTime,
} from "../../../src/engine/core/event-time.ts";
import { emptyLedger } from "../../../src/engine/core/ledger.ts";
import {
  decodeMetadata,
  encodeMetadata,
  storedTimeOf,
  timeFields,
  wrongMetadata,
} from "../../../src/engine/core/task-inputs.ts";
import {
  markerHeaders,
  marksIn,
  takenAge,
  withAge,
} from "../../../src/engine/core/time-headers.ts";
import type { Headers } from "../../../src/engine/core/record.ts";

const bytes = fc.uint8Array({ maxLength: 12 }).map((one) => Buffer.from(one));
const header = fc.tuple(
  fc.constantFrom("t", "w", "o", "trace", ""),
  fc.oneof(bytes, fc.constant(null)),
);
const headersOf: fc.Arbitrary<Headers> = fc.array(header, { maxLength: 4 });
const time = fc.integer({ min: -1e14, max: 8.64e15 });

test("S3: an age travels in a header, none where it is 0, and the record's own headers stay as they were", () => {
  fc.assert(
    fc.property(headersOf, fc.nat({ max: 8.64e15 }), (headers, ageMs) => {
      assert.deepEqual(takenAge(withAge(headers, ageMs)), { ageMs, headers });
    }),
  );
  assert.deepEqual(withAge([["trace", null]], 0), [["trace", null]]);
  assert.deepEqual(withAge([], 300), [["t", Buffer.of(0xac, 0x02)]]);
});

test("M1: a marker has the watermark of each task, and nothing else is one", () => {
  const marks = fc.array(
    fc.record(
      { channel: fc.nat(400), watermark: fc.oneof(time, fc.constant(END_OF_TIME)) },
      { noNullPrototype: true },
    ),
  );
  fc.assert(
    fc.property(marks, (all) => {
      const headers = markerHeaders(all);
      assert.deepEqual(marksIn({ key: null, value: null, headers }), all);
      assert.equal(marksIn({ key: Buffer.of(1), value: null, headers }), null);
      assert.equal(marksIn({ key: null, value: Buffer.of(1), headers }), null);
    }),
  );
  fc.assert(
    fc.property(headersOf, (headers) => {
      if (headers.length !== 1 || headers[0]?.[0] !== "w")
        assert.equal(marksIn({ key: null, value: null, headers }), null);
      else marksIn({ key: null, value: null, headers });
    }),
  );
});

test("K1: the times of an input are what they were after a way through its metadata", () => {
  const channel = fc.oneof(time, fc.constantFrom(NO_TIME, END_OF_TIME));
  const through = (stored: object): unknown =>
    storedTimeOf(JSON.parse(JSON.stringify(timeFields(stored))) as Record<string, unknown>);
  fc.assert(
    fc.property(fc.array(channel, { minLength: 1, maxLength: 12 }), (watermarks) => {
      const times = new ChannelTimes(watermarks.length);
      for (const [at, watermark] of watermarks.entries()) times.mark({ channel: at, watermark });
      const back = new ChannelTimes(watermarks.length, through(times.stored) as object);
      assert.deepEqual(back.stored, times.stored);
      assert.equal(back.watermark, Math.min(...watermarks));
    }),
  );
  fc.assert(
    fc.property(time, fc.option(channel), (read, asserted) => {
      const source = new SourceTime();
      source.read(read);
      if (asserted !== null) source.assertTime(asserted);
      const back = new SourceTime(through(source.stored) as object);
      assert.deepEqual([back.time, back.watermark], [source.time, source.watermark]);
    }),
  );
});

test("K1: times of many channels come back beside any ledger", () => {
  const now = Date.UTC(2100, 0, 1);
  const channels = Array.from({ length: 250 }, (_, at) => (at === 0 ? now : -at));
  const text = encodeMetadata({ owner: "w", ledger: emptyLedger(), time: { channels } });
  assert.deepEqual(decodeMetadata(text)?.time, { channels });
});

test("K1: what is no time is refused", () => {
  for (const fields of [
    { time: "1" },
    { time: NaN },
    { asserted: {} },
    { channels: 1 },
    { channels: [1] },
    { channels: "" },
    { channels: "AA" },
    { channels: "gA" },
    { channels: "%" },
  ])
    assert.equal(storedTimeOf(fields), undefined, JSON.stringify(fields));
});

test("W1: the watermark of an internal topic is that of its slowest channel, heard of or not", () => {
  const times = new ChannelTimes(2);
  times.mark({ channel: 0, watermark: 13 });
  assert.deepEqual([times.watermark, times.slowest], [NO_TIME, 1]);
  times.mark({ channel: 1, watermark: 24 });
  assert.deepEqual([times.watermark, times.slowest], [13, 0]);
  times.mark({ channel: 0, watermark: 7 });
  assert.equal(times.watermark, 13);
  times.mark({ channel: 9, watermark: 99 });
  assert.equal(times.watermark, 13);
});

test("M3: the reader keeps the greatest of each channel: a marker that comes again, late or in another order lowers nothing", () => {
  const marks = [
    { channel: 0, watermark: 13 },
    { channel: 1, watermark: 24 },
    { channel: 0, watermark: 7 },
    { channel: 1, watermark: 9 },
  ];
  for (let round = 0; round < marks.length; round++) {
    const times = new ChannelTimes(2);
    const order = [...marks.slice(round), ...marks.slice(0, round), ...marks];
    const seen = order.map((mark) => {
      times.mark(mark);
      return times.watermark;
    });
    assert.equal(seen.at(-1), 13);
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
      "it never falls",
    );
  }
});

test("S1: a source's time is the greatest that was read, whatever was asserted", () => {
  const source = new SourceTime();
  assert.deepEqual([source.time, source.watermark], [NO_TIME, NO_TIME]);
  for (const [read, is] of [
    [5, 5],
    [3, 5],
    [9, 9],
  ] as const) {
    source.read(read);
    assert.deepEqual([source.time, source.watermark], [is, is]);
  }
  source.assertTime(20);
  source.read(12);
  assert.deepEqual([source.time, source.watermark], [12, 20]);
});

test("a time beyond every date is none of ours: what a task commits of it could not be read again", () => {
  const beyond = 8.64e15 + 1;
  for (const watermark of [beyond, -beyond, Number.MAX_SAFE_INTEGER]) {
    const headers = markerHeaders([{ channel: 0, watermark }]);
    assert.deepEqual(marksIn({ key: null, value: null, headers }), []);
  }
  const aged = withAge([], beyond);
  assert.deepEqual(takenAge(aged), { ageMs: 0, headers: aged });
  for (const watermark of [8.64e15, -8.64e15, END_OF_TIME]) {
    const channels = new ChannelTimes(2);
    const headers = markerHeaders([{ channel: 0, watermark }]);
    for (const mark of marksIn({ key: null, value: null, headers }) ?? []) channels.mark(mark);
    const text = encodeMetadata({ owner: "w", ledger: emptyLedger(), time: channels.stored });
    assert.equal(wrongMetadata(text), null, String(watermark));
    assert.equal(decodeMetadata(text)?.time?.channels?.[0], watermark);
  }
});
