// Rules of time that no other test has by name, each with its smallest example (docs/semantics.md).
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  minutes,
  json,
  pipeline,
  seconds,
  session,
  string,
  topic,
  tumbling,
  type Stream,
} from "#engine";
import { advance, crash, send, simulate, type SimulatedStep } from "#testing";
import { marksIn } from "../../src/engine/core/time-headers.ts";
import { Fleet } from "../support/fleet.ts";

interface View {
  /** Seconds; null: no time. */
  readonly second: number | null;
  readonly is?: "dropped" | "bad";
}
const BEGIN = Date.UTC(2025, 5, 1);
const since = (ms: number): number => (ms - BEGIN) / 1_000;
const own = { partitions: 1, owner: "tests" };
const fed = (name: string, partitions = 1) =>
  topic(name, {
    ...{ key: string, value: json<View>(), ...own, partitions },
    timestamp: ({ second }) => (second === null ? null : BEGIN + second * 1_000),
  });
const views = fed("views");
const rows = topic("rows", { key: string, value: json<unknown>(), ...own });
const view = (second: number | null, key = "k", is?: View["is"]): SimulatedStep =>
  send(views, key, { second, ...(is === undefined ? {} : { is }) });

/** Windows of 10 s without grace, behind steps that drop some records and fail at others. */
const counting = pipeline("counting", { haltWhen: "never" }, ({ from }) => {
  from(views)
    .map("read", (one) => {
      if (one.is === "bad") throw new Error("bad");
      return one;
    })
    .filter("wanted", (one) => one.is !== "dropped")
    .groupByKey()
    .windowedBy(tumbling({ size: seconds(10), grace: seconds(0) }))
    .count("by-tens", { emit: "close" })
    .toStream("row", (n, { start }) => `${String(since(Number(start)))}: ${String(n)}`)
    .to(rows);
});

for (const [what, step, isMoved] of [
  ["is filtered", view(10, "x", "dropped"), true],
  ["is a dead letter of its step", view(10, "x", "bad"), true],
  ["is no JSON", null, false],
  ["has no time", view(null, "x"), false],
] as const)
  test(`S1: a record that ${what} ${isMoved ? "moves" : "does not move"} the time of its source`, async () => {
    const steps = [view(1), step ?? send(views, "x", "no object" as never)];
    const { records } = await simulate(counting, steps);
    assert.deepEqual(
      records(rows).map(({ value }) => value),
      isMoved ? ["0: 1"] : [],
    );
  });

test("S1: a record moves time before it is worked: one that ends a window is not in it", async () => {
  const { records, ledger } = await simulate(counting, [view(9.999), view(10), view(9), view(20)]);
  assert.deepEqual(
    records(rows).map(({ value }) => value),
    ["0: 1", "10: 1"],
  );
  assert.deepEqual(ledger("main"), { consumed: 4, emitted: 3, late: 1 });
});

test("S3: a record is late by its source, also for a task that has seen nothing of that", async () => {
  const apart = pipeline("apart", ({ from }) => {
    from(views)
      .groupBy("by-second", ({ second }) => String(second), { partitions: 4 })
      .windowedBy(tumbling({ size: seconds(1), grace: seconds(0) }))
      .count("n", { emit: "close" })
      .toStream("row", (n) => n)
      .to(topic("apart-rows", { key: string, value: json<unknown>(), ...own, partitions: 4 }));
  });
  const { ledger } = await simulate(apart, [view(3), view(1)]);
  assert.deepEqual(ledger("by-second"), { consumed: 2, emitted: 1, late: 1 });
});

test("order of records: within a partition offsets win over times, whatever their times are", async () => {
  const flow = pipeline("flow", ({ from }) => {
    from(views)
      .map("second", ({ second }) => second)
      .to(rows);
  });
  const seconds = [5, 3, 9, 1, 9, 0];
  const { records } = await simulate(flow, [...seconds.map((second) => view(second)), crash]);
  assert.deepEqual(
    records(rows).map(({ value }) => value),
    seconds,
  );
});

const stateless: Readonly<Record<string, (stream: Stream<string, View>) => Stream<string, View>>> =
  {
    map: (stream) => stream.map("step", (one) => ({ ...one })),
    flatMap: (stream) => stream.flatMap("step", (one) => [one, one]),
    filter: (stream) => stream.filter("step", () => true),
    peek: (stream) => stream.peek("step", () => undefined),
    branch: (stream) => stream.branch("step", { some: () => false }).rest,
    merge: (stream) =>
      stream
        .filter("a", () => true)
        .merge(
          "step",
          stream.filter("b", () => false),
        ),
    rekey: (stream) => stream.rekey("step", (_, { key }) => key ?? ""),
  };
for (const [name, way] of Object.entries(stateless))
  test(`output timestamps: ${name} keeps the time of its record, an older one's too`, async () => {
    const flow = pipeline("flow", ({ from }) => {
      way(from(views)).to(rows);
    });
    const { records } = await simulate(flow, [view(5), view(3)]);
    const times = records(rows).map(({ timestamp }) => since(timestamp));
    assert.deepEqual([...new Set(times)], [5, 3]);
  });

test("output timestamps: an aggregate has the largest time of its key, a session its end, a timer its due", async () => {
  const flow = pipeline("flow", ({ from }) => {
    const grouped = from(views).groupByKey();
    grouped
      .count("n")
      .toStream()
      .map("total", (n) => `count ${String(n)}`)
      .to(rows);
    grouped
      .windowedBy(session({ gap: seconds(2), grace: seconds(2) }))
      .count("visits", { emit: "close" })
      .toStream("visit", (n) => `session ${String(n)}`)
      .to(rows);
    from(views)
      .process("timer", {
        timers: { due: "event-time" },
        onRecord(_one, { record, timers }) {
          timers.due.at(record.timestamp + 4_000);
          return [];
        },
        onTimer: { due: () => ["timer"] },
      })
      .to(rows);
  });
  const { records } = await simulate(flow, [view(5), view(4), view(99, "x")]);
  assert.deepEqual(
    records(rows)
      .filter(({ key }) => key === "k")
      .map(({ value, timestamp }) => `${String(value)} at ${String(since(timestamp))}`)
      .sort(),
    ["count 1 at 5", "count 2 at 5", "session 2 at 5", "timer at 8"],
  );
});

/** A source of two partitions behind which windows close in another part. */
const wide = fed("views", 2);
const between = pipeline("between", { state: "memory" }, ({ from }) => {
  from(wide)
    .groupBy("all", () => "all")
    .windowedBy(tumbling({ size: seconds(10), grace: seconds(0) }))
    .count("by-tens", { emit: "close" })
    .toStream("row", (n) => n)
    .to(topic("rows", { key: string, value: json<unknown>(), ...own, partitions: 2 }));
});
const marksOf = (fleet: Fleet) =>
  fleet.kafka
    .records("between-all-repartition", { committed: true })
    .flatMap((record) => marksIn(record) ?? []);

test("K2: a new owner says the times of its sources anew, without any record", async () => {
  const fleet = new Fleet([between]);
  const first = await fleet.join();
  for (const partition of [0, 1]) await fleet.send("views", [{ second: 25 }], partition);
  await fleet.drained();
  await fleet.during(first.worker.stop());
  const said = marksOf(fleet);
  assert.ok(said.length > 0);
  await fleet.join();
  await fleet.until("it says its times", () => marksOf(fleet).length > said.length);
  const again = marksOf(fleet).slice(said.length);
  assert.deepEqual(
    [
      ...new Set(
        again.map(({ channel, watermark }) => `${String(channel)}: ${String(since(watermark))}`),
      ),
    ].sort(),
    ["0: 25", "1: 25"],
  );
});

test("no wall clock takes state away: what is older than the span by the clock alone is a repeat still", async () => {
  const flow = pipeline("flow", ({ from }) => {
    from(views)
      .distinct("once", { by: ({ second }) => second, within: seconds(60) })
      .to(rows);
  });
  const { ledger } = await simulate(flow, [view(1), advance(minutes(3)), crash, view(1), view(2)]);
  assert.deepEqual(ledger("main"), { consumed: 3, emitted: 2, deduplicated: 1 });
});

test("windows are kept until they close: a jump of time over size and grace loses no row", async () => {
  // Kafka Streams' default store has none of these (time.md: tumbling 60 s, grace 30 s, a record every 200 s).
  const flow = pipeline("flow", ({ from }) => {
    from(views)
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(60), grace: seconds(30) }))
      .count("n", { emit: "close" })
      .toStream("row", (n) => n)
      .to(rows);
  });
  const { records } = await simulate(flow, [view(0), view(200), view(400), view(100_000)]);
  assert.equal(records(rows).length, 3);
});
