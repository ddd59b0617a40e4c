// Joins of two streams through the whole engine: their pairs, what is emitted alone and when, what is late.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  json,
  nullable,
  pipeline,
  seconds,
  string,
  topic,
  tumbling,
  type JoinOptions,
  type Pipeline,
} from "#engine";
import { crash, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";

interface Fed {
  readonly at: number;
  readonly id: string;
  readonly shop?: string;
}
const BEGIN = Date.UTC(2025, 5, 1);
const own = { partitions: 1, owner: "tests" };
const fed = (name: string, partitions = 1) =>
  topic(name, {
    ...{ key: string, value: json<Fed>(), ...own, partitions },
    timestamp: (value) => value.at,
  });
const orders = fed("orders");
const payments = fed("payments");
const rows = topic("rows", { key: string, value: json<string>(), ...own });
const lates = topic("lates", { key: string, value: json<Fed>(), ...own });

const since = (ms: number): number => (ms - BEGIN) / 1_000;
const pairOf = (left: Fed | null, right: Fed | null): string =>
  `${left?.id ?? "-"}&${right?.id ?? "-"}`;
const span = (before: number, after: number, grace: number): JoinOptions => ({
  ...{ before: seconds(before), after: seconds(after), grace: seconds(grace) },
});
type Kind = "join" | "leftJoin" | "outerJoin";

const joining = (kind: Kind, options: JoinOptions, keepsLate = false): Pipeline =>
  pipeline("joining", ({ from }) => {
    const pairs = from(orders)[kind]("pairs", from(payments), pairOf, options);
    pairs.to(rows);
    if (!keepsLate) return;
    pairs.lateLeft.to(lates);
    pairs.lateRight.merge("both", from(fed("none"))).to(lates);
  });

const on =
  (to: ReturnType<typeof fed>) =>
  (second: number, id = String(second), key = "k"): SimulatedStep =>
    send(to, key, { at: BEGIN + second * 1_000, id: `${to === payments ? "p" : "o"}${id}` });
const order = on(orders);
const payment = on(payments);
/** Both sides are so far. */
const until = (second: number): SimulatedStep[] => [
  order(second, "", "end"),
  payment(second, "", "end"),
];

const shown = ({ value, timestamp }: { value: string | null; timestamp: number }): string =>
  `${value ?? ""} at ${String(since(timestamp))}`;
const rowsOf = async (flow: Pipeline, steps: readonly SimulatedStep[]): Promise<string[]> => {
  const { records } = await simulate(flow, steps);
  return records(rows)
    .filter(({ key }) => key !== "end")
    .map(shown);
};

test("a pair is emitted when its second record comes, with the newer time of the two, whichever came first", async () => {
  const flow = joining("join", span(2, 5, 10));
  assert.deepEqual(await rowsOf(flow, [order(10), payment(12)]), ["o10&p12 at 12"]);
  assert.deepEqual(await rowsOf(flow, [payment(12), order(10)]), ["o10&p12 at 12"]);
  const { ledger } = await simulate(flow, [payment(12), order(10), order(99)]);
  assert.deepEqual(ledger("main"), { consumed: 3, emitted: 3 });
});

for (const [second, isPair] of [
  [7.999, false],
  [8, true],
  [8.001, true],
  [14.999, true],
  [15, true],
  [15.001, false],
] as const)
  test(`with 2 s before and 5 s after, a payment at ${String(second)} s is ${isPair ? "a" : "no"} partner of an order at 10 s`, async () => {
    const expected = isPair ? [`o10&p${String(second)} at ${String(Math.max(10, second))}`] : [];
    const flow = joining("join", span(2, 5, 10));
    assert.deepEqual(await rowsOf(flow, [order(10), payment(second)]), expected);
    assert.deepEqual(await rowsOf(flow, [payment(second), order(10)]), expected);
  });

test("every record of a key and time is a record of its own, and every pair comes once", async () => {
  const steps = [order(3, "a"), order(3, "b"), crash, payment(3, "a"), rebalance, payment(3, "b")];
  const pairs = await rowsOf(joining("outerJoin", span(1, 1, 0)), [...steps, ...until(99)]);
  assert.deepEqual(pairs.sort(), ["oa&pa at 3", "oa&pb at 3", "ob&pa at 3", "ob&pb at 3"]);
});

test("records of other keys are no partners", async () => {
  const steps = [order(3, "a", "k"), payment(3, "a", "kk"), ...until(99)];
  assert.deepEqual(await rowsOf(joining("leftJoin", span(1, 1, 0)), steps), ["oa&- at 3"]);
});

// The left record waits for partners up to 5 s after it, the right one for those up to 2 s after it; 1 s of grace.
for (const [kind, second, alone] of [
  ["join", 99, []],
  ["leftJoin", 15.999, []],
  ["leftJoin", 16, []],
  ["leftJoin", 16.001, ["o10&- at 10"]],
  ["outerJoin", 12.999, []],
  ["outerJoin", 13, []],
  ["outerJoin", 13.001, ["-&p10 at 10"]],
  ["outerJoin", 16, ["-&p10 at 10"]],
  ["outerJoin", 16.001, ["-&p10 at 10", "o10&- at 10"]],
] as const)
  test(`${kind}: when both sides are at ${String(second)} s, records of 10 s without a partner give ${alone.join(", ") || "nothing"}`, async () => {
    const steps = [order(10, "10", "a"), payment(10, "10", "b"), ...until(second)];
    assert.deepEqual(await rowsOf(joining(kind, span(2, 5, 1)), steps), alone);
  });

test("W is the least of both sides: one alone moves nothing", async () => {
  const flow = joining("outerJoin", span(2, 5, 1));
  assert.deepEqual(
    await rowsOf(flow, [order(10), payment(10, "x", "x"), order(99, "", "end")]),
    [],
  );
});

for (const side of ["order", "payment"] as const)
  for (const [now, isTaken] of [
    [13.999, true],
    [14, true],
    [14.001, false],
  ] as const)
    test(`O2: a late ${side} of 10 s is ${isTaken ? "taken" : "late"} when its source is at ${String(now)} s, with 4 s of grace`, async () => {
      const [mine, other] = side === "order" ? [order, payment] : [payment, order];
      const steps = [other(10), mine(now, "", "end"), mine(10)];
      const { records, ledger } = await simulate(joining("outerJoin", span(2, 5, 4), true), steps);
      const pairs = records(rows).map(shown);
      assert.deepEqual(pairs, isTaken ? ["o10&p10 at 10"] : []);
      // What is late goes on as a record of its own stream.
      assert.deepEqual(ledger("main"), { consumed: 3, emitted: 3 });
      assert.deepEqual(
        records(lates).map(({ value }) => value?.id),
        isTaken ? [] : [side === "order" ? "o10" : "p10"],
      );
    });

test("a late record that nobody takes is late in the ledger, and no pair", async () => {
  const steps = [order(20), payment(20, "", "end"), order(10), payment(10)];
  const { records, ledger } = await simulate(joining("outerJoin", span(2, 5, 4)), steps);
  assert.deepEqual(records(rows), []);
  assert.deepEqual(ledger("main"), { consumed: 4, emitted: 2, late: 2 });
});

test("example 2 of the rules: a left join, and a window behind it", async () => {
  const flow = pipeline("example", ({ from }) => {
    const pairs = from(orders).leftJoin("pairs", from(payments), pairOf, span(0, 5, 1));
    pairs.to(rows);
    pairs.lateLeft.to(lates);
    pairs
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(10), grace: seconds(0) }))
      .aggregate("times", {
        value: json<readonly number[]>(),
        init: () => [],
        add: (times, _, { timestamp }) => [...times, since(timestamp)].sort((a, b) => a - b),
        emit: "close",
      })
      .toStream("row", (times, { start }) => `[${String(since(Number(start)))}) ${times.join()}`)
      .to(rows);
  });
  const fedOrders = [order(2), order(4), order(20), order(18)];
  const fedPayments = [payment(6), payment(12), payment(30)];
  const keyed = { o2: "a", o4: "b", o20: "a", o18: "b", p6: "a", p12: "b", p30: "c" };
  const answers = new Set<string>();
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed);
    const left = [
      [2, 4, 20, 18].map((second) => order(second, undefined, keyed[`o${String(second)}` as "o2"])),
      [6, 12, 30].map((second) => payment(second, undefined, keyed[`p${String(second)}` as "p6"])),
    ];
    const steps: SimulatedStep[] = [];
    while (left.some((list) => list.length > 0)) {
      const step = left[Math.floor(random.next() * 2)]?.shift();
      if (step !== undefined) steps.push(step);
      if (random.next() < 0.2) steps.push(random.next() < 0.5 ? crash : rebalance);
    }
    const { records, ledger } = await simulate(flow, steps);
    const texts = records(rows).map((row) => `${row.key} ${shown(row)}`);
    answers.add(texts.sort().join("\n"));
    assert.deepEqual(
      records(lates).map(({ value }) => value?.id),
      ["o18"],
    );
    assert.equal(ledger("main")["consumed"], fedOrders.length + fedPayments.length);
  }
  assert.deepEqual(
    [...answers],
    [["a [0) 6 at 9.999", "a o2&p6 at 6", "b [0) 4 at 9.999", "b o4&- at 4"].join("\n")],
  );
});

/** The times of the results in tumbling windows of 10 s behind a join. */
const windowing = (kind: Kind, options: JoinOptions, grace: number): Pipeline =>
  pipeline("windowing", ({ from }) => {
    from(orders)
      [kind]("pairs", from(payments), pairOf, options)
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(10), grace: seconds(grace) }))
      .count("results", { emit: "close" })
      .toStream(
        "row",
        (results, { start }) => `${String(since(Number(start)))}: ${String(results)}`,
      )
      .to(rows);
  });

for (const [kind, second] of [
  ["join", 10],
  ["leftJoin", 16],
  ["outerJoin", 18],
] as const)
  test(`W behind a ${kind}: a window of 10 s closes when both sides are at ${String(second)} s`, async () => {
    // 7 s before, 5 s after, 1 s of grace: what is emitted alone comes with its own time.
    const flow = windowing(kind, span(7, 5, 1), 0);
    const fedTo = (last: number): SimulatedStep[] => [
      ...[order(4), payment(4), order(5, "", "alone"), payment(5, "", "alone too")],
      ...[10, 10.001, last].flatMap((at) => (at <= last ? until(at) : [])),
    ];
    const closed = kind === "join" ? 1 : kind === "leftJoin" ? 2 : 3;
    assert.deepEqual(await rowsOf(flow, fedTo(second - 0.001)), []);
    const found = await rowsOf(flow, fedTo(second));
    assert.deepEqual(
      found,
      Array.from({ length: closed }, () => "0: 1 at 9.999"),
    );
  });

test("a pair is as late as its later record, whichever came first", async () => {
  const flow = windowing("join", span(5, 5, 5), 2);
  // The order of 8 s came when its source was at 12 s: too late for the window of 10 s and its grace.
  const late = [order(12, "", "end"), order(8)];
  for (const steps of [
    [...late, payment(9)],
    [payment(9), ...late],
  ])
    assert.deepEqual(await rowsOf(flow, [...steps, ...until(99)]), []);
  const inTime = [order(11.999, "", "end"), order(8), payment(9), ...until(99)];
  assert.deepEqual(await rowsOf(flow, inTime), ["0: 1 at 9.999"]);
});

test("KIP-962: a record without a key is joined with null at once where its side is outer, else it is counted", async () => {
  const keyless = (name: string) =>
    topic(name, {
      ...{ key: nullable(string), value: json<Fed>(), ...own },
      timestamp: (value) => value.at,
    });
  const [left, right] = [keyless("left"), keyless("right")];
  const steps = [
    send(left, null, { at: BEGIN + 1_000, id: "l" }),
    send(right, null, { at: BEGIN + 2_000, id: "r" }),
  ];
  const of = async (kind: Kind) => {
    const flow = pipeline("joining", ({ from }) => {
      from(left)
        [kind]("pairs", from(right), pairOf, span(1, 1, 0))
        .map("seen", (text) => text)
        .to(topic("seen", { key: nullable(string), value: json<string>(), ...own }));
    });
    const { records, ledger } = await simulate(flow, steps);
    const seen = topic("seen", { key: nullable(string), value: json<string>(), ...own });
    return [...records(seen).map(shown), JSON.stringify(ledger("main"))];
  };
  assert.deepEqual(await of("join"), ['{"consumed":2,"null-key":2}']);
  assert.deepEqual(await of("leftJoin"), ["l&- at 1", '{"consumed":2,"emitted":1,"null-key":1}']);
  assert.deepEqual(await of("outerJoin"), ["l&- at 1", "-&r at 2", '{"consumed":2,"emitted":2}']);
});

test("a tombstone and a null value are no record of a join: null always means that there was no partner", async () => {
  const flow = pipeline("joining", ({ from }) => {
    const maybe = from(payments).map("maybe", (value) => (value.id === "pnull" ? null : value));
    from(orders)
      .outerJoin("pairs", maybe, pairOf, span(5, 5, 0))
      .to(rows);
  });
  const steps = [order(1), send(orders, "k", null), payment(1, "null"), ...until(99)];
  const { records, ledger } = await simulate(flow, steps);
  assert.deepEqual(records(rows).map(shown), ["o1&- at 1", "o&p at 99"]);
  assert.deepEqual(ledger("main"), { consumed: 5, emitted: 3, filtered: 1, tombstone: 1 });
});

test("a stream joins itself: every two records in the span, and each with itself, once", async () => {
  const flow = pipeline("joining", ({ from }) => {
    const all = from(orders);
    all.join("pairs", all, pairOf, span(0, 5, 0)).to(rows);
  });
  const pairs = await rowsOf(flow, [order(1), order(4), order(8)]);
  assert.deepEqual(pairs.sort(), [
    ...["o1&o1 at 1", "o1&o4 at 4", "o4&o4 at 4", "o4&o8 at 8", "o8&o8 at 8"],
  ]);
});

/** Seeds of orders of steps: within a partition records keep their order. */
async function answersOf(
  flow: Pipeline,
  streams: readonly (readonly SimulatedStep[])[],
): Promise<readonly string[]> {
  const answers = new Set<string>();
  for (let seed = 1; seed <= 15; seed++) {
    const random = seededRandom(seed);
    const left = streams.map((steps) => [...steps]);
    const steps: SimulatedStep[] = [];
    while (left.some((list) => list.length > 0)) {
      const step = left[Math.floor(random.next() * left.length)]?.shift();
      if (step === undefined) continue;
      steps.push(step);
      if (random.next() < 0.2) steps.push(random.next() < 0.5 ? crash : rebalance);
    }
    const { records } = await simulate(flow, steps);
    answers.add(
      records(rows)
        .map(({ key, ...row }) => `${key} ${shown(row)}`)
        .sort()
        .join("; "),
    );
  }
  return [...answers];
}

const inShop = (to: ReturnType<typeof fed>, partition: number, second: number): SimulatedStep => {
  const id = `${to.name.slice(0, 1)}${String(second)}`;
  const shop = second > 90 ? "end" : "s";
  return send(to, id, { at: BEGIN + second * 1_000, id, shop }, { partition });
};

test("both sides behind new keys: the same pairs in every schedule, and what is late is late in each", async () => {
  const [wide, wider] = [fed("orders", 2), fed("payments", 2)];
  const flow = pipeline("shops", ({ from }) => {
    const byShop = { partitions: 1 };
    from(wide)
      .rekey("orders-by-shop", ({ shop = "" }) => shop, byShop)
      .outerJoin(
        "pairs",
        from(wider).rekey("payments-by-shop", ({ shop = "" }) => shop, byShop),
        pairOf,
        span(2, 5, 1),
      )
      .filter("no-end", (_, { key }) => key !== "end")
      .to(rows);
  });
  const streams = [
    [1, 20, 18, 95].map((second) => inShop(wide, 0, second)),
    [30, 99].map((second) => inShop(wide, 1, second)),
    [4, 23, 99].map((second) => inShop(wider, 0, second)),
    [40, 39.5, 97].map((second) => inShop(wider, 1, second)),
  ];
  // 18 s is late, since its partition was at 20 s. The slowest of the four is at 95 s.
  assert.deepEqual(await answersOf(flow, streams), [
    "s -&p39.5 at 39.5; s -&p40 at 40; s o1&p4 at 4; s o20&p23 at 23; s o30&- at 30",
  ]);
});

test("W2: a join with one's own repartition, a part that writes what it reads", async () => {
  const flow = pipeline("again", ({ from }) => {
    const all = from(fed("orders", 2));
    const again = all.rekey("by-shop", ({ shop = "" }) => shop);
    again.leftJoin("pairs", all, pairOf, span(1, 5, 1)).to(rows);
  });
  const source = fed("orders", 2);
  const sent = (partition: number, second: number): SimulatedStep => {
    const value = { id: `${String(partition)}.${String(second)}`, shop: "s" };
    // Keys lie where their hashes say.
    const key = partition === 0 ? "a" : "s";
    return send(source, key, { at: BEGIN + second * 1_000, ...value }, { partition });
  };
  const streams = [
    [1, 3, 50, 95].map((second) => sent(0, second)),
    [1, 3, 95].map((second) => sent(1, second)),
  ];
  const [only, ...others] = await answersOf(flow, streams);
  assert.deepEqual(others, []);
  assert.deepEqual(only?.split("; "), [
    ...["s 0.1&1.1 at 1", "s 0.1&1.3 at 3", "s 0.3&1.3 at 3", "s 0.50&- at 50"],
    ...["s 0.95&1.95 at 95", "s 1.1&1.1 at 1", "s 1.1&1.3 at 3", "s 1.3&1.3 at 3"],
    "s 1.95&1.95 at 95",
  ]);
});

test("more records of one key than a chunk takes are all found, over crashes, and all emitted alone", async () => {
  const many = Array.from({ length: 100 }, (_, i) => order((100 + i) / 100, String(i)));
  const steps = [...many.slice(0, 50), crash, ...many.slice(50), payment(1.5), rebalance];
  const found = await rowsOf(joining("leftJoin", span(1, 1, 0)), [...steps, ...until(99)]);
  assert.equal(found.length, 100);
  assert.equal(new Set(found).size, 100);
  const alone = await rowsOf(joining("leftJoin", span(1, 1, 0)), [
    ...[...many, crash, payment(1.5, "", "x"), ...until(99)],
  ]);
  assert.deepEqual(
    alone,
    many.map((_, i) => `o${String(i)}&- at ${String((100 + i) / 100)}`),
  );
});

test("a record alone that the joiner cannot take is a letter by itself, and its neighbours are emitted", async () => {
  const picky = pipeline("picky", ({ from }) => {
    const joiner = (left: Fed, right: Fed | null): string => {
      if (right === null && left.id === "ob") throw new Error("no");
      return pairOf(left, right);
    };
    from(orders)
      .leftJoin("pairs", from(payments), joiner, span(0, 5, 1))
      .to(rows);
  });
  const steps = [order(10, "a"), order(10, "b"), order(10, "c"), ...until(99)];
  const { records, deadLetters } = await simulate(picky, steps);
  assert.deepEqual(records(rows).map(shown), ["oa&- at 10", "oc&- at 10", "o&p at 99"]);
  assert.deepEqual(
    deadLetters.map((letter) => [letter.class, letter.step]),
    [["result", "pairs"]],
  );
});
