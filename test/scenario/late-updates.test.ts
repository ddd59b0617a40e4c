// A late event changes the state of its key, so the row must say so: what a step with state tells is never older than the
// row that stands there, on any way to the table.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  avro,
  json,
  pipeline,
  postgresTable,
  seconds,
  string,
  topic,
  type PostgresTable,
  type Stream,
} from "#engine";
import { advance, crash, send, simulate, type SimulatedStep } from "#testing";

interface Event {
  readonly id: string;
  readonly kind?: "end" | "twice";
}
interface Row {
  readonly id: string;
  readonly n: number;
}
const events = (name: string) =>
  topic(name, { key: string, value: json<Event>(), partitions: 2, owner: "tests" });
const [input, other] = [events("in"), events("other")];
const fields = [
  { name: "id", type: "string" },
  { name: "n", type: "long" },
];
const row = avro<Row>({ type: "record", name: "Row", namespace: "t", fields });
/** Without `version`: event time decides. */
const counts: PostgresTable<Row> = postgresTable<Row>("counts", { row, key: ["id"] });

const counting = (s: Stream<string, Event>): Stream<string, Row> =>
  s.mapWithState("n", {
    state: json<number>(),
    map: (n: number | null, { id, kind }) => {
      const next = (n ?? 0) + 1;
      const rows = kind === "twice" ? [{ id, n: -1 }] : [];
      return { state: kind === "end" ? null : next, emit: [...rows, { id, n: next }] };
    },
  });

const at = (clock: string): number => Date.parse(`2026-01-05T${clock}:00Z`);
const event = (clock: string, value: Partial<Event> = {}, from = input): SimulatedStep =>
  send(from, "a", { id: "a", ...value }, { at: at(clock) });

interface Way {
  readonly what: string;
  draw(s: Stream<string, Event>, second: () => Stream<string, Event>): Stream<string, Row>;
}
const ways: readonly Way[] = [
  { what: "directly", draw: (s) => counting(s) },
  {
    what: "through map and filter",
    draw: (s) =>
      counting(s)
        .map("m", (r) => r)
        .filter("f", () => true),
  },
  {
    what: "through a repartition that many partitions feed",
    draw: (s) => counting(s.rekey("by-id", ({ id }) => id)),
  },
  { what: "of two streams that meet", draw: (s, second) => counting(s.merge("both", second())) },
  {
    what: "through a call",
    draw: (s) =>
      counting(s).mapAsync("call", (r) => Promise.resolve(r), {
        concurrency: 2,
        timeout: seconds(1),
      }),
  },
  {
    what: "through a second step with state",
    draw: (s) =>
      counting(s).mapWithState("last", {
        state: json<Row>(),
        map: (_: Row | null, r) => ({ state: r, emit: [r] }),
      }),
  },
  {
    what: "as a table's changes",
    draw: (s) =>
      s
        .groupByKey()
        .count("n")
        .map("row", (n, { key }) => ({ id: key, n }))
        .toStream(),
  },
  {
    what: "told at the checkpoint",
    draw: (s) =>
      s
        .groupByKey()
        .count("n", { emit: "checkpoint" })
        .map("row", (n, { key }) => ({ id: key, n }))
        .toStream(),
  },
];

for (const { what, draw } of ways)
  test(`late events count in the row: ${what}`, async () => {
    const flow = pipeline("flow", ({ from }) =>
      draw(from(input), () => from(other)).upsertInto(counts),
    );
    const run = async (steps: readonly SimulatedStep[]) => {
      const result = await simulate(flow, [...steps, advance(seconds(5))]);
      const { consumed, emitted } = result.ledger("counts");
      assert.equal(emitted, consumed);
      return result.rows(counts);
    };
    const second = what.includes("two streams") ? other : input;
    const all = [event("10:00"), event("10:05", {}, second), event("09:00")];
    assert.deepEqual(await run(all), [{ id: "a", n: 3 }]);
    const apart = all.flatMap((step) => [step, advance(seconds(2)), crash]);
    assert.deepEqual(await run(apart), [{ id: "a", n: 3 }]);
  });

test("the same way through a topic of one's own", async () => {
  const rows = topic("counts", { key: string, value: row, partitions: 2, owner: "tests" });
  const flow = pipeline("flow", ({ from }) => {
    counting(from(input)).to(rows);
    from(rows).upsertInto(counts);
  });
  const steps = [event("10:00"), event("10:05"), event("09:00")];
  const result = await simulate(flow, steps);
  assert.deepEqual(result.rows(counts), [{ id: "a", n: 3 }]);
  const times = result.records(rows).map(({ timestamp }) => timestamp);
  assert.deepEqual(times, [at("10:00"), at("10:05"), at("10:05")]);
});

test("a key whose state was deleted begins anew in the row, however late its next event is", async () => {
  const flow = pipeline("flow", ({ from }) => counting(from(input)).upsertInto(counts));
  const steps = [event("10:00"), event("10:05", { kind: "end" }), advance(seconds(2)), crash];
  const one = await simulate(flow, [...steps, event("09:00")]);
  assert.deepEqual(one.rows(counts), [{ id: "a", n: 1 }]);
  const two = await simulate(flow, [...steps, event("09:00"), advance(seconds(2)), event("09:01")]);
  assert.deepEqual(two.rows(counts), [{ id: "a", n: 2 }]);
});

test("of two results with one time the later stays", async () => {
  const flow = pipeline("flow", ({ from }) => counting(from(input)).upsertInto(counts));
  const twice = event("10:00", { kind: "twice" });
  const { rows } = await simulate(flow, [twice, twice, event("10:00")]);
  assert.deepEqual(rows(counts), [{ id: "a", n: 3 }]);
});
