// Every row of the table of operators in the rules of time, at the ms before its edge, at it, and behind it: what is late, what
// fires, the times of what comes, and how far time behind the operator stays back. docs/semantics.md lists the rows.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  calendar,
  hopping,
  json,
  milliseconds,
  pipeline,
  records as count,
  resource,
  seconds,
  session,
  sliding,
  string,
  topic,
  tumbling,
  type Stream,
} from "#engine";
import { advance, crash, double, rebalance, send, simulate, type SimulatedStep } from "#testing";

interface View {
  readonly at: number;
}
type Views = Stream<string, View>;
/** What an operator makes of the views. */
type Way = (views: Views, others: () => Views) => Stream<string, unknown>;

/** A midnight: every window of whole seconds begins there. */
const BEGIN = Date.UTC(2025, 5, 1);
const fed = (name: string) =>
  topic(name, {
    ...{ key: string, value: json<View>(), partitions: 1, owner: "tests" },
    timestamp: (view) => view.at,
  });
const [lefts, rights] = [fed("lefts"), fed("rights")];
const rows = topic("rows", { key: string, value: json<unknown>(), partitions: 1, owner: "tests" });
const closes = topic("closes", {
  key: string,
  value: json<number>(),
  partitions: 1,
  owner: "tests",
});

/** Seconds to the ms. */
const left = (second: number, key = "k"): SimulatedStep =>
  send(lefts, key, { at: BEGIN + Math.round(second * 1_000) });
const right = (second: number, key = "k"): SimulatedStep =>
  send(rights, key, { at: BEGIN + Math.round(second * 1_000) });
/** The time of both sources. */
const at = (second: number): SimulatedStep[] => [left(second, "x"), right(second, "x")];
const EDGES = [-0.001, 0, 0.001] as const;
const after = (edge: number, by: number): string => `${(edge + by).toFixed(3)} s`;

/** Rows of the operator, and behind it a window of 10 s without grace. */
function flowOf(way: Way) {
  return pipeline("row", ({ from }) => {
    let isUsed = false;
    const others = (): Views => {
      isUsed = true;
      return from(rights);
    };
    const made = way(from(lefts), others);
    made.to(rows);
    if (!isUsed)
      from(rights)
        .filter("unused", () => false)
        .to(rows);
    made
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(10), grace: seconds(0) }))
      .count("behind", { emit: "close" })
      .toStream("closed", (n) => n)
      .to(closes);
  });
}

async function play(way: Way, steps: readonly SimulatedStep[]) {
  const { records, ledger } = await simulate(flowOf(way), steps);
  const ofK = records(rows).filter(({ key }) => key === "k");
  const since = (ms: number): number => (ms - BEGIN) / 1_000;
  return {
    rows: ofK.map(({ timestamp }) => since(timestamp)),
    closed: records(closes)
      .filter(({ key }) => key === "k")
      .map(({ timestamp, value }) => [since(timestamp), value]),
    late: ledger("main")["late"] ?? 0,
  };
}

interface RowOfTable {
  readonly way: Way;
  /** Of a record of 9 s: the last time of its source at which it is on time; left out where none is late. */
  readonly onTime?: number;
  /** The last time at which its result has not come; left out where it comes at once. */
  readonly waits?: number;
  /** The time of its result. */
  readonly time: number;
  /** The last time at which a window of [0,10) behind it is open. */
  readonly open: number;
}

const size = { size: seconds(10), grace: seconds(2) };
const span = { before: seconds(3), after: seconds(4), grace: seconds(2) };
const order = { grace: seconds(2) };
/** The ms in front of an edge that is reached, not passed. */
const upTo = (second: number): number => Math.round(second * 1_000 - 1) / 1_000;

const table: Readonly<Record<string, RowOfTable>> = {
  stateless: { way: (views) => views.map("same", (one) => one), time: 9, open: upTo(10) },
  merge: { way: (views, others) => views.merge("both", others()), time: 9, open: upTo(10) },
  tumbling: {
    way: (views) =>
      views
        .groupByKey()
        .windowedBy(tumbling(size))
        .count("n", { emit: "close" })
        .toStream("row", (n) => n),
    ...{ onTime: upTo(12), waits: upTo(12), time: 9.999, open: upTo(12) },
  },
  hopping: {
    // The last window of 9 s is [8,12): it ends at 12.
    way: (views) =>
      views
        .groupByKey()
        .windowedBy(hopping({ size: seconds(4), advance: seconds(4), grace: seconds(2) }))
        .count("n", { emit: "close" })
        .toStream("row", (n) => n),
    ...{ onTime: upTo(14), waits: upTo(14), time: 11.999, open: upTo(22) },
  },
  calendar: {
    way: (views) =>
      views
        .groupByKey()
        .windowedBy(calendar({ unit: "hour", timeZone: "UTC", grace: seconds(2) }))
        .count("n", { emit: "close" })
        .toStream("row", (n) => n),
    ...{ onTime: upTo(3_602), waits: upTo(3_602), time: 3_599.999, open: upTo(3_602) },
  },
  sliding: {
    way: (views) =>
      views
        .groupByKey()
        .windowedBy(sliding({ difference: seconds(1), grace: seconds(2) }))
        .count("n", { emit: "close" })
        .toStream("row", (n) => n),
    ...{ waits: 11, time: 9, open: upTo(12) },
  },
  session: {
    way: (views) =>
      views
        .groupByKey()
        .windowedBy(session({ gap: seconds(3), grace: seconds(2) }))
        .count("n", { emit: "close" })
        .toStream("row", (n) => n),
    ...{ onTime: 11, waits: 14, time: 9, open: upTo(15) },
  },
  "stream join, left alone": {
    way: (views, others) => views.leftJoin("pairs", others(), (one) => one, span),
    ...{ onTime: 11, waits: 15, time: 9, open: upTo(16) },
  },
  "stream join, right alone": {
    way: (views, others) => others().outerJoin("pairs", views, (_one, other) => other, span),
    // The right side is that of the views: it waits for before and grace, and time behind for the larger of the spans.
    ...{ onTime: 11, waits: 14, time: 9, open: upTo(16) },
  },
  order: {
    way: (views) =>
      views.mapWithState("word", {
        state: string,
        order,
        map: (_, one) => ({ state: "", emit: [one] }),
      }),
    ...{ onTime: 11, waits: 11, time: 9, open: upTo(12) },
  },
  "timers in order": {
    way: (views) =>
      views.process("due", {
        ...{ timers: { due: "event-time" }, order },
        onRecord(_one, { record, timers }) {
          timers.due.at(record.timestamp + 500);
          return [];
        },
        onTimer: { due: () => [1] },
      }),
    ...{ onTime: 11, waits: 11.5, time: 9.5, open: upTo(12) },
  },
  "timers without order": {
    way: (views) =>
      views.process("due", {
        timers: { due: "event-time" },
        onRecord(_one, { record, timers }) {
          timers.due.at(record.timestamp + 500);
          return [];
        },
        onTimer: { due: () => [1] },
      }),
    ...{ waits: upTo(9.5), time: 9.5, open: upTo(10) },
  },
  suppress: {
    way: (views) =>
      views
        .groupByKey()
        .count("n")
        .suppress("quiet", { for: seconds(4), recordsMax: count(10), whenFull: "halt" })
        .toStream(),
    ...{ waits: upTo(13), time: 9, open: upTo(14) },
  },
  "table aggregate": {
    way: (views) => views.groupByKey().count("n").toStream(),
    ...{ time: 9, open: upTo(10) },
  },
  "windows on update": {
    way: (views) =>
      views
        .groupByKey()
        .windowedBy(tumbling(size))
        .count("n")
        .toStream("row", (n) => n),
    ...{ onTime: upTo(12), time: 9, open: upTo(10) },
  },
  distinct: {
    way: (views) => views.distinct("once", { by: (one) => one.at, within: seconds(2) }),
    ...{ onTime: 11, time: 9, open: upTo(10) },
  },
};

for (const [name, { way, onTime, waits, time, open }] of Object.entries(table)) {
  for (const by of EDGES) {
    if (onTime !== undefined)
      test(`table, ${name}: a record of 9 s is ${by > 0 ? "late" : "taken"} when its source is at ${after(onTime, by)}`, async () => {
        for (const between of [[], [crash]]) {
          const steps = [left(onTime + by, "x"), ...between, left(9), ...at(9_000)];
          const { rows, late } = await play(way, steps);
          assert.equal(late, by > 0 ? 1 : 0);
          assert.equal(rows.length, by > 0 ? 0 : 1);
        }
      });

    if (waits !== undefined)
      test(`table, ${name}: what belongs to 9 s ${by > 0 ? "has come" : "waits"} at ${after(waits, by)}`, async () => {
        for (const between of [[], [crash], [rebalance]]) {
          const { rows } = await play(way, [left(9), ...between, ...at(waits + by)]);
          assert.deepEqual(rows, by > 0 ? [time] : []);
        }
      });

    test(`table, ${name}: a window behind it ${by > 0 ? "has closed" : "is open"} at ${after(open, by)}`, async () => {
      const { closed } = await play(way, [left(9), crash, ...at(open + by)]);
      assert.equal(closed.length, by > 0 ? 1 : 0);
    });
  }
}

test("table, late streams: time behind them is that in front of their operator", async () => {
  for (const by of EDGES) {
    const flow = pipeline("late", ({ from }) => {
      const seconds1 = { size: seconds(1), grace: seconds(2) };
      const windows = from(lefts)
        .groupByKey()
        .windowedBy(tumbling(seconds1))
        .count("n", { emit: "close" });
      windows.toStream("row", (n) => n).to(rows);
      windows.late
        .groupByKey()
        .windowedBy(tumbling({ size: seconds(20), grace: seconds(0) }))
        .count("behind", { emit: "close" })
        .toStream("closed", (n) => n)
        .to(closes);
    });
    const { records } = await simulate(flow, [left(12, "x"), left(9), left(upTo(20) + by, "x")]);
    assert.equal(records(closes).length, by > 0 ? 1 : 0, after(upTo(20), by));
  }
});

test("table, sliding: late by window, for the one that ends with it and for the one behind it", async () => {
  const way = table["sliding"]?.way as Way;
  for (const by of EDGES) {
    const own = await play(way, [left(11 + by, "x"), left(9), ...at(9_000)]);
    assert.deepEqual([own.rows, own.late], [by > 0 ? [] : [9], 0], after(11, by));
    // [9.001,10.001] begins behind it, and would take what is later: it is open to 12 s for a record of 9 s.
    const last = await play(way, [left(12 + by, "x"), left(9), ...at(9_000)]);
    assert.deepEqual([last.rows, last.late], [[], by > 0 ? 1 : 0], after(12, by));
  }
});

test("table, stream join: a pair has the larger time of the two, at once", async () => {
  const way: Way = (views, others) => views.join("pairs", others(), () => 1, span);
  for (const steps of [
    [left(9), right(11)],
    [right(11), left(9)],
  ])
    assert.deepEqual((await play(way, steps)).rows, [11]);
  for (const by of EDGES) {
    const { closed } = await play(way, [left(9), right(9), crash, ...at(upTo(10) + by)]);
    assert.equal(closed.length, by > 0 ? 1 : 0, after(upTo(10), by));
  }
});

test("table, merge: time behind it is that of the slower input", async () => {
  const way = table["merge"]?.way as Way;
  for (const by of EDGES)
    for (const steps of [
      [left(99, "x"), right(upTo(10) + by, "x")],
      [right(99, "x"), left(upTo(10) + by, "x")],
    ]) {
      const { closed } = await play(way, [left(9), ...steps]);
      assert.equal(closed.length, by > 0 ? 1 : 0);
    }
});

test("table, timers in order: at equal times first, each with its due", async () => {
  const way: Way = (views) =>
    views.process("due", {
      ...{ timers: { due: "event-time" }, order },
      onRecord(one, { record, timers }) {
        timers.due.at(record.timestamp + 500);
        return [`record ${String(one.at - BEGIN)}`];
      },
      onTimer: { due: ({ due }) => [`timer ${String(due - BEGIN)}`] },
    });
  const { records } = await simulate(flowOf(way), [left(9.5), left(9), ...at(30)]);
  const all = records(rows).filter(({ key }) => key === "k");
  assert.deepEqual(
    all.map(({ value }) => value),
    ["record 9000", "timer 9500", "record 9500", "timer 10000"],
  );
});

test("table, table aggregate: a result is as new as the newest of its key, and as old as its source", async () => {
  const way = table["table aggregate"]?.way as Way;
  // Of 4 s and age 16: the result has 9 s, and its origin time is 20 s, so the window behind it takes it no more.
  const { rows, closed } = await play(way, [left(9), left(20, "x"), left(4), ...at(60)]);
  assert.deepEqual(rows, [9, 9]);
  assert.deepEqual(closed, [[9.999, 1]]);
});

interface Bank {
  pay(key: string): Promise<number>;
}
const bank = resource<Bank, Record<never, never>>("bank", {
  env: {},
  open: () => assert.fail("a test hands in its own"),
});

test("table, parked keys: time behind them does not go on while records wait, and then closes what is due", async () => {
  const way: Way = (views) =>
    views.mapAsync("pay", (_view, { client, record }) => client.pay(String(record.key)), {
      ...{ client: bank, concurrency: 1, timeout: milliseconds(100) },
      retry: {
        mode: "park-key",
        attempts: 1_000,
        backoff: { first: milliseconds(200), max: milliseconds(400) },
      },
    });
  const opening = double(bank, ({ clock }) => {
    const openMs = clock.now() + 20_000;
    return {
      async pay(key) {
        await clock.sleep(1);
        if (key === "k" && clock.now() < openMs) throw new Error("closed");
        return 1;
      },
    };
  });
  const waited = [left(9), left(60, "x"), right(99), advance(seconds(25))];
  const { records, ledger } = await simulate(flowOf(way), waited, { resources: [opening] });
  const taken = records(closes).filter(({ key }) => key === "k");
  assert.deepEqual(
    taken.map(({ value }) => value),
    [1],
  );
  assert.equal(ledger("main")["late"], undefined);
  for (const by of EDGES) {
    const edge = [left(9), left(upTo(10) + by, "x"), right(99), advance(seconds(25))];
    const done = await simulate(flowOf(way), edge, { resources: [opening] });
    const closed = done.records(closes).filter(({ key }) => key === "k");
    assert.equal(closed.length, by > 0 ? 1 : 0, after(upTo(10), by));
  }
});
