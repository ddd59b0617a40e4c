// order through the whole engine: records, and the timers of their step, are worked in the order of their times, whatever the
// order in which they come.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  countWindow,
  days,
  json,
  pipeline,
  records as count,
  seconds,
  string,
  topic,
  tumbling,
  type Pipeline,
  type Stream,
} from "#engine";
import { advance, crash, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { ConfigErrors } from "../../src/engine/core/errors.ts";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";

interface Step {
  readonly at: number;
  readonly is: string;
}
const BEGIN = Date.UTC(2025, 5, 1);
const steps = topic("steps", {
  ...{ key: string, value: json<Step>(), partitions: 1, owner: "tests" },
  timestamp: (one) => one.at,
});
const out = topic("words", { key: string, value: string, partitions: 1, owner: "tests" });
const step = (second: number, is = String(second), key = "k"): SimulatedStep =>
  send(steps, key, { at: BEGIN + second * 1_000, is });
const since = (ms: number): number => (ms - BEGIN) / 1_000;
const order = { grace: seconds(5) };

/** All that a key has said, in order; a timer 3 s behind each record. */
const spelling = (of: Stream<string, Step>): Stream<string, string> =>
  of.process("word", {
    state: { word: string },
    timers: { pause: "event-time" },
    order,
    onRecord(one, { record, state, timers }) {
      const word = `${state.word.get() ?? ""}${one.is}`;
      state.word.set(word);
      timers.pause.at(record.timestamp + 3_000);
      return [word];
    },
    onTimer: { pause: ({ due }) => [`pause ${String(since(due))}`] },
  });
const words = pipeline("words", ({ from }) => {
  spelling(from(steps)).to(out);
});
const said = async (flow: Pipeline, of: readonly SimulatedStep[]) => {
  const { records, ledger } = await simulate(flow, of);
  const rows = records(out).map(({ key, value, timestamp }) => [key, value, since(timestamp)]);
  return { rows, ledger: ledger("main") };
};

for (const [second, isOut] of [
  [14.999, false],
  [15, false],
  [15.001, true],
] as const)
  test(`O3: a record of 10 s with a grace of 5 s is ${isOut ? "worked" : "kept"} at ${String(second)} s`, async () => {
    for (const between of [[], [crash], [rebalance]]) {
      const { rows, ledger } = await said(words, [
        step(10, "a"),
        ...between,
        step(second, "x", "x"),
      ]);
      assert.deepEqual(rows, isOut ? [["k", "a", 10]] : []);
      assert.deepEqual(ledger, { consumed: 2, emitted: 2 });
    }
  });

for (const [second, isTaken] of [
  [14.999, true],
  [15, true],
  [15.001, false],
] as const)
  test(`O3: a record of 10 s is ${isTaken ? "taken" : "late"} when its source is at ${String(second)} s`, async () => {
    const of = [step(second, "x", "x"), step(10, "a"), step(60, "y", "y")];
    const { rows, ledger } = await said(words, of);
    assert.equal(rows[0]?.[1], isTaken ? "a" : "x");
    assert.equal(ledger["late"], isTaken ? undefined : 1);
  });

test("records are worked by their times, their timers among them, at one time first", async () => {
  const sorted = [
    ["k", "a", 1],
    ["k", "pause 4", 4],
    ["k", "ab", 4],
    ["k", "abc", 5],
    ["k", "pause 8", 8],
  ];
  const of = [step(4, "b"), step(1, "a"), step(5, "c"), step(90, "x", "x")];
  for (const between of [crash, rebalance, step(5, "-", "z")]) {
    const { rows } = await said(words, [...of.slice(0, 2), between, ...of.slice(2)]);
    assert.deepEqual(
      rows.filter(([key]) => key === "k"),
      sorted,
    );
  }
});

test("records of one time keep the order of their offsets", async () => {
  const { rows } = await said(words, [
    step(2, "b"),
    step(1, "a"),
    step(2, "c"),
    step(90, "x", "x"),
  ]);
  assert.deepEqual(rows.at(2), ["k", "abc", 2]);
});

test("what a record sets among many that are due fires in its place, also behind a record that sets nothing", async () => {
  const calls = pipeline("calls", ({ from }) => {
    from(steps)
      .process("call", {
        ...{ timers: { back: "event-time" }, order },
        onRecord(one, { record, timers }) {
          if (one.is === "a") timers.back.at(record.timestamp + 3_000);
          return [one.is];
        },
        onTimer: { back: ({ due }) => [`back ${String(since(due))}`] },
      })
      .to(out);
  });
  // Time ends without a record, so all of them are due together.
  const of = [step(1, "a"), step(2, "b"), step(3, "c"), step(5, "d")];
  const { records } = await simulate(calls, of, { end: "close" });
  assert.deepEqual(
    records(out).map(({ value }) => value),
    ["a", "b", "c", "back 4", "d"],
  );
});

test("any order within the grace gives the same rows", async () => {
  const random = seededRandom(7);
  const of = Array.from({ length: 14 }, (_, i) => i);
  const last = [step(90, "x", "x")];
  const expected = (await said(words, [...of.map((i) => step(i / 3)), ...last])).rows;
  for (let turn = 0; turn < 6; turn++) {
    const shuffled = [...of].sort((a, b) => a - b + (random.next() - 0.5) * 14);
    const { rows, ledger } = await said(words, [
      ...shuffled.flatMap((i) => (i === turn * 2 ? [step(i / 3), crash] : [step(i / 3)])),
      ...last,
    ]);
    assert.equal(ledger["late"], undefined);
    assert.deepEqual(rows, expected);
  }
});

const ordered: readonly [string, Pipeline, readonly unknown[]][] = [
  [
    "mapWithState",
    pipeline("mapping", ({ from }) => {
      from(steps)
        .mapWithState("word", {
          ...{ state: string, order },
          map: (word, one) => ({
            state: `${word ?? ""}${one.is}`,
            emit: [`${word ?? ""}${one.is}`],
          }),
        })
        .to(out);
    }),
    ["a", "ab", "abc"],
  ],
  [
    "aggregate",
    pipeline("adding", ({ from }) => {
      from(steps)
        .groupByKey()
        .aggregate("word", {
          ...{ value: string, order, init: () => "-" },
          add: (word, one) => `${word}${one.is}`,
        })
        .to(out);
    }),
    ["-a", "-ab", "-abc"],
  ],
  [
    "reduce",
    pipeline("reducing", ({ from }) => {
      from(steps)
        .map("word", (one) => one.is)
        .groupByKey()
        .reduce("words", (a, b) => a + b, { order })
        .to(out);
    }),
    ["a", "ab", "abc"],
  ],
  [
    "distinct",
    pipeline("first", ({ from }) => {
      from(steps)
        .distinct("first", { by: () => 1, within: days(1), order })
        .map("word", (one) => one.is)
        .to(out);
    }),
    ["a"],
  ],
  [
    "count windows",
    pipeline("counting", ({ from }) => {
      from(steps)
        .map("word", (one) => one.is)
        .groupByKey()
        .windowedBy(countWindow({ size: count(2), order }))
        .reduce("words", (a, b) => a + b, { emit: "close" })
        .toStream("row", (word) => word)
        .to(out);
    }),
    ["ab"],
  ],
];
for (const [name, flow, expected] of ordered)
  test(`${name} takes records in the order of their times`, async () => {
    for (const between of [[], [crash], [rebalance]]) {
      const of = [step(5, "c"), step(1, "a"), ...between, step(3, "b"), step(90, "x", "x")];
      const { rows } = await said(flow, of);
      assert.deepEqual(
        rows.filter(([key]) => key === "k").map(([, value]) => value),
        expected,
      );
    }
  });

test("what is late for a count window in order is in its stream of late records", async () => {
  const flow = pipeline("late", ({ from }) => {
    const windows = from(steps)
      .map("word", (one) => one.is)
      .groupByKey()
      .windowedBy(countWindow({ size: count(2), order }))
      .reduce("words", (a, b) => a + b, { emit: "close" });
    windows.late.to(out);
    windows.toStream("row", (word) => `window ${word}`).to(out);
  });
  const { rows, ledger } = await said(flow, [step(20, "x", "x"), step(1, "a"), step(90, "y", "y")]);
  assert.deepEqual(rows, [["k", "a", 1]]);
  assert.deepEqual(ledger, { consumed: 3, emitted: 3 });
});

/** Everything under one key, in order: from two partitions, by two ways, through two topics between parts. */
const shared = pipeline("shared", ({ from }) => {
  const all = from(twoWide).merge(
    "both",
    from(twoWide).flatMap("twice", (one) => [
      { ...one, is: `${one.is}1` },
      { ...one, is: `${one.is}2` },
    ]),
  );
  all
    .rekey("half", () => "half")
    .rekey("whole", () => "all")
    .mapWithState("word", {
      ...{ state: string, order },
      map: (word, one) => ({ state: `${word ?? ""} ${one.is}`, emit: [`${word ?? ""} ${one.is}`] }),
    })
    .to(out);
});
const twoWide = topic("steps", {
  ...{ key: string, value: json<Step>(), partitions: 2, owner: "tests" },
  timestamp: (one) => one.at,
});

test("O3: records of one time are in the order of their source partitions, whatever way and when they came", async () => {
  const at = (partition: number, second: number, is: string): SimulatedStep =>
    send(twoWide, is, { at: BEGIN + second * 1_000, is }, { partition });
  const p0 = [at(0, 1, "a"), at(0, 1, "b")];
  const p1 = [at(1, 1, "c"), at(1, 1, "d")];
  const ends = [at(0, 90, "x"), at(1, 90, "y")];
  const expected = "a a1 a2 b b1 b2 c c1 c2 d d1 d2";
  for (const of of [
    [...p0, ...p1],
    [...p1, crash, ...p0],
    [p1[0], rebalance, p0[0], crash, p1[1], p0[1]] as SimulatedStep[],
  ]) {
    const { records } = await simulate(shared, [...of, ...ends]);
    assert.equal(records(out).at(11)?.value?.trim(), expected);
  }
});

/** Words of keys, behind a topic between parts: one marker makes many of them due together. */
const together = pipeline("together", ({ from }) => {
  spelling(from(steps).rekey("again", (_, { key }) => key)).to(out);
});
const ofKey = async (key: string, of: readonly SimulatedStep[]) =>
  (await said(together, of)).rows.filter((row) => row[0] === key).map((row) => row[1]);

test("a timer that records put off before it fires does not fire when it was due first", async () => {
  // At 16 s the first record is worked, and sets a timer. The rest is due together.
  const of = [step(10, "a"), step(16, "x", "x"), advance(seconds(3)), step(12, "b"), step(14, "c")];
  const rows = await ofKey("k", [...of, step(90, "y", "y"), advance(seconds(3))]);
  assert.deepEqual(rows, ["a", "ab", "abc", "pause 17"]);
});

test("a timer that is set among records that are due together fires among them", async () => {
  const of = [step(10, "a"), step(11, "x", "l"), step(12, "y", "l"), step(14, "b")];
  const rows = await ofKey("k", [...of, step(90, "y", "y"), advance(seconds(3))]);
  assert.deepEqual(rows, ["a", "pause 13", "ab", "pause 17"]);
});

test("results of a window are as old in the same part as behind a topic: none is late for an order or a distinct", async () => {
  const span = tumbling({ size: seconds(10), grace: seconds(20) });
  const flow = pipeline("behind", ({ from }) => {
    const counts = from(steps)
      .groupByKey()
      .windowedBy(span)
      .count("counts", { emit: "close" })
      .toStream("row", String);
    const little = { grace: seconds(1) };
    counts
      .mapWithState("one-by-one", {
        ...{ state: string, order: little },
        map: (word, n) => ({ state: `${word ?? ""}${n}`, emit: [`${word ?? ""}${n}`] }),
      })
      .to(out);
    counts
      .distinct("first", { by: (n) => n, within: seconds(1) })
      .map("as-first", (n) => `first ${n}`)
      .to(out);
  });
  const { rows } = await said(flow, [step(1), step(2), step(11), step(90, "x", "x")]);
  assert.deepEqual(rows.map(([, value]) => value).sort(), ["2", "21", "first 1", "first 2"]);
});

test("an order without a grace is refused", () => {
  assert.throws(() => {
    pipeline("p", ({ from }) => {
      const grouped = from(steps).groupByKey();
      grouped
        .count("n", { order: {} as never })
        .toStream()
        .map("text", String)
        .to(out);
    }).plan();
  }, ConfigErrors);
});
