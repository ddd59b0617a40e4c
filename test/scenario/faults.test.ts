import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, pipeline, postgresTable, seconds, type PostgresTable } from "#engine";
import {
  advance,
  crash,
  pause,
  rebalance,
  send,
  sendBytes,
  simulate,
  type SimulatedStep,
} from "#testing";
import { things, type Thing } from "../support/plans.ts";

const input = things("in");
const output = things("out");
const rows: PostgresTable<Thing> = postgresTable<Thing>("rows", {
  row: avro({
    type: "record",
    name: "Row",
    namespace: "t",
    fields: [
      { name: "id", type: "string" },
      { name: "n", type: "int" },
    ],
  }),
  key: ["id"],
});

const flow = pipeline("flow", ({ from }) => {
  from(input)
    .expect("not-negative", (t) => t.n >= 0, { otherwise: "dead-letter" })
    .filter("not-zero", (t) => t.n !== 0)
    .to(output);
  from(output).upsertInto(rows);
});

const sends = (from: number, to: number): SimulatedStep[] =>
  Array.from({ length: to - from }, (_, i) => {
    const n = from + i;
    const value = { id: `k${String(n % 7)}`, n: n % 10 === 9 ? -1 : n % 5 === 0 ? 0 : n };
    return send(input, value.id, value);
  });

/** What the flow makes of `count` sends, by a second, naive program. */
function expected(count: number) {
  const values = sends(0, count).map((step) => (step as { value: Thing }).value);
  const good = values.filter(({ n }) => n > 0);
  return {
    out: good.map(({ n }) => n).sort((a, b) => a - b),
    rows: Object.fromEntries(good.map(({ id, n }) => [id, n])),
    letters: values.filter(({ n }) => n < 0).length,
    ledger: {
      consumed: count,
      "dead-lettered": values.filter(({ n }) => n < 0).length,
      emitted: good.length,
      filtered: values.filter(({ n }) => n === 0).length,
    },
  };
}

async function check(steps: readonly SimulatedStep[], count: number, seed = 1): Promise<void> {
  const result = await simulate(flow, steps, { seed });
  const want = expected(count);
  const records = result.records(output);
  assert.deepEqual(
    records.map(({ value }) => value?.n ?? NaN).sort((a, b) => a - b),
    want.out,
  );
  assert.deepEqual(Object.fromEntries(result.rows(rows).map(({ id, n }) => [id, n])), want.rows);
  assert.equal(result.deadLetters.length, want.letters);
  assert.deepEqual(result.ledger("main"), want.ledger);
  for (const key of new Set(records.map(({ key: k }) => k))) {
    const ns = records.filter((one) => one.key === key).map(({ value }) => value?.n ?? 0);
    assert.deepEqual(
      ns,
      [...ns].sort((a, b) => a - b),
      `order of ${key}`,
    );
  }
}

test("every record ends once, in order, when nothing goes wrong", () => check(sends(0, 100), 100));

test("crashes at any moment lose nothing and double nothing", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const steps = [...sends(0, 40), crash, ...sends(40, 80), crash, ...sends(80, 100)];
    await check(steps, 100, seed);
  }
});

test("a rebalance in the middle changes nothing", () =>
  check(
    [
      ...sends(0, 50),
      rebalance,
      ...sends(50, 70),
      advance(seconds(1)),
      rebalance,
      ...sends(70, 100),
    ],
    100,
  ));

test("a worker that stood still past its session goes on without doubling", () =>
  check([...sends(0, 50), pause(seconds(15)), ...sends(50, 100)], 100));

test("bytes that cannot be decoded are one dead letter, and their partition moves on", async () => {
  const bad = Buffer.from("{");
  const { deadLetters, ledger } = await simulate(flow, [
    sendBytes(input as never, Buffer.from("k"), bad),
    send(input, "k", { id: "k", n: 1 }),
  ]);
  assert.deepEqual(
    deadLetters.map((letter) => [letter.class, letter.code, letter.record.value?.toString()]),
    [["decode", "MILL_DECODE_JSON", "{"]],
  );
  assert.deepEqual(ledger("main"), { consumed: 2, emitted: 1, "dead-lettered": 1 });
});
