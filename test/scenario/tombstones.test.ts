// Tombstones: each is counted under its own word wherever it ends, reaches `onTombstone` and no other callback, and what
// it deletes keeps its time.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  avro,
  days,
  json,
  nullable,
  pipeline,
  postgresTable,
  seconds,
  string,
  topic,
  type Pipeline,
  type PostgresTable,
  type Stream,
} from "#engine";
import { advance, crash, send, simulate, type SimulatedStep } from "#testing";

interface Order {
  readonly id: string;
  readonly n: number;
  readonly at?: number;
}
const input = topic("in", {
  key: nullable(string),
  value: json<Order>(),
  partitions: 1,
  owner: "tests",
});
const out = topic("out", {
  key: nullable(string),
  value: json<unknown>(),
  partitions: 1,
  owner: "tests",
});
const row = avro<Order>({
  type: "record",
  name: "Row",
  namespace: "t",
  fields: [
    { name: "id", type: "string" },
    { name: "n", type: "long" },
  ],
});
const orders: PostgresTable<Order> = postgresTable<Order>("orders", { row, key: ["id"] });
type Orders = Stream<string | null, Order>;

const order = (id: string, n = 1): SimulatedStep => send(input, id, { id, n });
const gone = (id: string | null): SimulatedStep => send(input, id, null);
const flowOf = (draw: (orders: Orders) => void): Pipeline =>
  pipeline("flow", ({ from }) => draw(from(input)));

test("a deleted key keeps its row: it is counted, and said once a task", async () => {
  const flow = flowOf((s) => s.upsertInto(orders));
  const steps = [order("a"), gone("a"), gone("b"), gone(null)];
  const { rows, ledger, log, deadLetters } = await simulate(flow, steps);
  assert.deepEqual(rows(orders), [{ id: "a", n: 1 }]);
  assert.deepEqual(ledger("orders"), { consumed: 4, emitted: 1, tombstone: 3 });
  assert.equal(log.messages("warn").filter((line) => line.includes("keeps its row")).length, 1);
  assert.deepEqual(deadLetters, []);
});

test("so it is of an aggregate that ends", async () => {
  const add = (sum: number, { n }: Order): number | null => (n === 0 ? null : sum + n);
  const flow = flowOf((s) =>
    s
      .groupByKey()
      .aggregate("sum", { value: json<number>(), init: () => 0, add })
      .map("row", (n, { key }) => ({ id: key ?? "", n }))
      .upsertInto(orders),
  );
  const { rows, ledger } = await simulate(flow, [order("a", 3), order("a", 0)]);
  assert.deepEqual(rows(orders), [{ id: "a", n: 3 }]);
  assert.deepEqual(ledger("main"), { consumed: 2, emitted: 2 });
  assert.deepEqual(ledger("orders"), { consumed: 2, emitted: 1, tombstone: 1 });
});

const drops: [string, (s: Orders) => void][] = [
  ["rekey", (s) => s.rekey("r", ({ id }) => id).to(out as never)],
  [
    "groupBy",
    (s) =>
      s
        .groupBy("r", ({ id }) => id)
        .count("n")
        .to(out as never),
  ],
  [
    "an aggregate",
    (s) =>
      s
        .groupByKey()
        .count("n")
        .to(out as never),
  ],
  [
    "mapWithState without onTombstone",
    (s) =>
      s
        .mapWithState("m", {
          state: json<number>(),
          map: (_: number | null, v) => ({ state: 1, emit: [v] }),
        })
        .to(out as never),
  ],
  [
    "a branch whose arms lead nowhere",
    (s) =>
      s
        .branch("b", { few: ({ n }) => n < 0 })
        .few.filter("f", () => false)
        .rekey("r", ({ id }) => id)
        .to(out as never),
  ],
];
for (const [what, draw] of drops)
  test(`${what} drops a tombstone under its own word, with a key and without`, async () => {
    const { ledger, records } = await simulate(flowOf(draw), [gone("a"), gone(null)]);
    assert.deepEqual(ledger("main"), { consumed: 2, tombstone: 2 });
    assert.deepEqual(records(out), []);
  });

test("one that is written anywhere is emitted", async () => {
  const flow = flowOf((s) => {
    s.to(out as never);
    s.groupByKey()
      .count("n")
      .to(topic("n", { key: nullable(string), value: json<number>(), partitions: 1, owner: "t" }));
    s.distinct("d", { by: ({ n }) => n, within: days(1) }).upsertInto(orders);
  });
  const { ledger } = await simulate(flow, [gone("a"), gone(null)]);
  assert.deepEqual(ledger("main"), { consumed: 2, emitted: 2 });
  assert.deepEqual(ledger("orders"), { consumed: 2, tombstone: 2 });
});

/** Counts the orders of a key; its end is told, with how many there were. */
const counting = (s: Orders): Stream<string | null, Order> =>
  s.mapWithState("n", {
    state: json<number>(),
    map: (n: number | null, { id }) => ({ state: (n ?? 0) + 1, emit: [{ id, n: (n ?? 0) + 1 }] }),
    onTombstone: (n, { key }) => ({
      state: null,
      emit: n === null ? [] : [{ id: key ?? "", n: -n }],
    }),
  });

test("a tombstone reaches onTombstone with the state of its key, and deletes it", async () => {
  const flow = flowOf((s) => counting(s).to(out as never));
  const steps = [order("a"), order("a"), gone("a"), gone("a"), gone(null), order("a"), gone("b")];
  const { records, ledger } = await simulate(
    flow,
    steps.flatMap((step) => [step, crash]),
  );
  assert.deepEqual(
    records(out).map(({ value }) => (value as Order).n),
    [1, 2, -2, 1],
  );
  // A second one finds no state; one without a key belongs to none.
  assert.deepEqual(ledger("main"), { consumed: 7, emitted: 4, "null-key": 1, tombstone: 2 });
});

test("what is told of a tombstone is as new as its key, and what comes late is too", async () => {
  const at = (clock: string): number => Date.parse(`2026-01-05T${clock}:00Z`);
  const flow = flowOf((s) => counting(s).upsertInto(orders));
  const order = (clock: string): SimulatedStep =>
    send(input, "a", { id: "a", n: 1 }, { at: at(clock) });
  const end = send(input, "a", null, { at: at("10:05") });
  const { rows, ledger } = await simulate(flow, [
    order("10:00"),
    end,
    advance(seconds(2)),
    order("09:00"),
  ]);
  assert.deepEqual(rows(orders), [{ id: "a", n: 1 }]);
  assert.deepEqual(ledger("orders"), { consumed: 3, emitted: 3 });
});

test("where the value tells the time a tombstone has none: its key keeps the time that it has", async () => {
  const timed = topic("in", {
    key: nullable(string),
    value: json<Order>(),
    partitions: 1,
    owner: "tests",
    timestamp: ({ at }) => at ?? 0,
  });
  const flow = pipeline("flow", ({ from }) => counting(from(timed)).to(out as never));
  const [first, later] = [1_000_000_000_000, 1_000_000_060_000];
  const send_ = (id: string, at: number): SimulatedStep =>
    send(timed, id, { id, n: 1, at }, { at });
  const steps = [
    send_("a", first),
    send_("b", later),
    send(timed, "a", null),
    send_("a", first + 1),
  ];
  const { records } = await simulate(flow, steps);
  const times = records(out)
    .filter(({ key }) => key === "a")
    .map(({ timestamp }) => timestamp);
  assert.deepEqual(times, [first, first, first + 1]);
});

test("a callback for tombstones that throws, or tells undefined, is a letter of its step", async () => {
  const flow = flowOf((s) =>
    s
      .mapWithState("n", {
        state: json<number>(),
        map: () => ({ state: 1, emit: [] }),
        onTombstone: (n) => {
          if (n === null) throw new RangeError("no");
          return { state: undefined as never, emit: [] };
        },
      })
      .to(out as never),
  );
  const { deadLetters, ledger } = await simulate(flow, [order("a"), gone("a"), gone("b")], {
    breaker: "off",
  });
  assert.deepEqual(
    deadLetters.map(({ step, code }) => [step, code]),
    [
      ["n", "MILL_TRANSFORM_RESULT"],
      ["n", "MILL_TRANSFORM_THREW"],
    ],
  );
  assert.deepEqual(ledger("main"), { consumed: 3, emitted: 1, "dead-lettered": 2 });
});
