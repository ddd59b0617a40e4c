// Keys and values that are null, at every operator with state: what is dropped, under which word it is counted, and what null
// means to a callback (docs/semantics.md).
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  calendar,
  countWindow,
  hopping,
  json,
  nullable,
  pipeline,
  records as count,
  seconds,
  session,
  sliding,
  string,
  topic,
  tumbling,
  type GroupedStream,
  type Stream,
  type WindowOf,
} from "#engine";
import { crash, send, simulate } from "#testing";

interface View {
  readonly at: number;
}
const BEGIN = Date.UTC(2025, 5, 1);
const own = { partitions: 1, owner: "tests" };
const views = topic("views", {
  ...{ key: nullable(string), value: json<View>(), ...own },
  timestamp: (one) => one.at,
});
const rows = topic("rows", { key: nullable(string), value: json<unknown>(), ...own });

type Key = string | null;
type Way = (stream: Stream<Key, View>) => Stream<Key, unknown>;
const windowed =
  (window: WindowOf): Way =>
  (stream) =>
    stream
      .groupByKey()
      .windowedBy(window)
      .count("step", { emit: "close" })
      .toStream("row", (n) => n);
const grouped =
  (fold: (of: GroupedStream<Key, View>) => { toStream(): Stream<Key, unknown> }): Way =>
  (stream) =>
    fold(stream.groupByKey()).toStream();
const grace = seconds(0);

const ways: Readonly<Record<string, Way>> = {
  count: grouped((of) => of.count("step")),
  sum: grouped((of) => of.sum("step", (one) => one.at)),
  "tumbling windows": windowed(tumbling({ size: seconds(10), grace })),
  "hopping windows": windowed(hopping({ size: seconds(10), advance: seconds(5), grace })),
  "calendar windows": windowed(calendar({ unit: "hour", timeZone: "UTC", grace })),
  "sliding windows": windowed(sliding({ difference: seconds(5), grace })),
  sessions: windowed(session({ gap: seconds(5), grace })),
  "count windows": windowed(countWindow({ size: count(1) })),
  mapWithState: (stream) =>
    stream.mapWithState("step", {
      state: json<number>(),
      map: (_, one) => ({ state: 1, emit: [one] }),
    }),
  process: (stream) =>
    stream.process("step", {
      state: { n: json<number>() },
      onRecord: (one) => [one],
    }),
};

for (const [name, way] of Object.entries(ways))
  test(`nulls: ${name} drops a record without a key, and a tombstone, each under its own word`, async () => {
    const flow = pipeline("flow", ({ from }) => {
      way(from(views)).to(rows);
    });
    const one = { at: BEGIN };
    const steps = [send(views, null, one), send(views, "k", null), crash, send(views, "k", one)];
    const { records, ledger, deadLetters } = await simulate(flow, steps, { end: "close" });
    const { consumed, emitted, tombstone, "null-key": unkeyed } = ledger("main");
    assert.deepEqual(
      { consumed, emitted, tombstone, unkeyed },
      {
        ...{ consumed: 3, emitted: 1, tombstone: 1, unkeyed: 1 },
      },
    );
    assert.deepEqual(deadLetters, []);
    assert.ok(records(rows).length > 0);
    assert.ok(records(rows).every(({ key }) => key === "k"));
  });

test("nulls: a null that the code has made is a value of an aggregate, and no tombstone", async () => {
  const flow = pipeline("flow", ({ from }) => {
    const made = from(views).map("none", () => null);
    made
      .groupByKey()
      .aggregate("nulls", {
        value: json<number>(),
        init: () => 0,
        add: (n, value) => n + (value === null ? 1 : 0),
      })
      .toStream()
      .to(rows);
    made
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(10), grace }))
      .count("by-tens", { emit: "close" })
      .toStream("row", (n) => n)
      .to(rows);
  });
  const steps = [send(views, "k", { at: BEGIN }), send(views, "k", { at: BEGIN + 1 })];
  const { records, ledger } = await simulate(flow, steps, { end: "close" });
  assert.deepEqual(
    records(rows).map(({ value }) => value),
    [1, 2, 2],
  );
  assert.deepEqual(ledger("main"), { consumed: 2, emitted: 2 });
});
