// A callback's result that its step cannot take is a letter of the step, never a sum of texts and never a record that
// is gone in silence. Other records of the batch go on.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  avro,
  days,
  decimal,
  json,
  long,
  pipeline,
  postgresTable,
  string,
  topic,
  type GroupedStream,
  type Stream,
  type Table,
} from "#engine";
import { send, simulate, type Simulated, type SimulateOptions } from "#testing";

interface Row {
  readonly n?: unknown;
  readonly at?: unknown;
}
const input = topic("in", { key: string, value: json<Row>(), partitions: 1, owner: "tests" });
const out = topic("out", { key: string, value: json<unknown>(), partitions: 1, owner: "tests" });

const flowOf = (draw: (rows: Stream<string, Row>) => { to(target: never): void }) =>
  pipeline("flow", ({ from }) => draw(from(input)).to(out as never));

/** Each value as a record of one key, by a flow that turns what JSON has no word for into itself. */
const run = (
  flow: ReturnType<typeof flowOf>,
  values: readonly unknown[],
  options: SimulateOptions = {},
): Promise<Simulated> =>
  simulate(
    flow,
    values.map((n) => send(input, "k", { n })),
    { breaker: "off", ...options },
  );
const told = ({ records }: Simulated): unknown[] => records(out).map(({ value }) => value);
const letters = ({ deadLetters }: Simulated): unknown[] =>
  deadLetters.map(({ class: kind, step, code }) => [kind, step, code]);
const reasons = ({ deadLetters }: Simulated): (string | undefined)[] =>
  deadLetters.map(({ record }) =>
    String(record.headers.find(([name]) => name === "dlq.message")?.[1]),
  );
const RESULT = ["transform", "s", "MILL_TRANSFORM_RESULT"];

/** Values that JSON has no word for. */
const special: Readonly<Record<string, unknown>> = {
  NaN: NaN,
  Infinity: Infinity,
  undefined: undefined,
  decimal: decimal("1.5"),
  bigint: 7n,
};
const of = ({ n }: Row): never => (typeof n === "string" && n in special ? special[n] : n) as never;
type Draw = (grouped: GroupedStream<string, Row>) => Table<string, unknown>;
const folding = (draw: Draw) => flowOf((rows) => draw(rows.groupByKey()));

test("a sum whose first value is a text is a letter, and the sum begins with the next", async () => {
  const result = await run(
    folding((g) => g.sum("s", of)),
    ["5", 3, "x", 4],
  );
  assert.deepEqual(told(result), [3, 7]);
  assert.deepEqual(letters(result), [RESULT, RESULT]);
  assert.match(reasons(result)[0] ?? "", /aggregate "s": .*received a text$/);
});

const wrong = [true, null, { a: 1 }, [1], "NaN", "Infinity", "undefined"];
const folds: [string, Draw, readonly unknown[]][] = [
  ["sum", (g) => g.sum("s", of), ["5", ...wrong]],
  ["avg", (g) => g.avg("s", of), ["5", "bigint", ...wrong]],
  ["min", (g) => g.min("s", of), wrong],
  ["max", (g) => g.max("s", of), wrong],
];
for (const [name, draw, values] of folds) {
  test(`${name} takes none of the others either, as the first of a key and as a later one`, async () => {
    const first = await run(folding(draw), [...values, 4]);
    assert.deepEqual(told(first), [4]);
    assert.deepEqual(
      letters(first),
      values.map(() => RESULT),
    );
    const later = await run(folding(draw), [4, ...values, "decimal"]);
    assert.deepEqual(told(later), [4]);
    // A Decimal and a number do not mix.
    assert.deepEqual(
      letters(later),
      [...values, "decimal"].map(() => RESULT),
    );
  });
}

test("a sum beyond the numbers is a letter and leaves the sum", async () => {
  const result = await run(
    folding((g) => g.sum("s", of)),
    [1e308, 1e308, -1e308],
  );
  assert.deepEqual(told(result), [1e308, 0]);
  assert.deepEqual(letters(result), [RESULT]);
});

test("what is counted may be anything", async () => {
  const result = await run(
    folding((g) => g.count("s")),
    ["5", ...wrong],
  );
  assert.deepEqual(told(result), [1, 2, 3, 4, 5, 6, 7, 8]);
});

const keyFns: [string, ReturnType<typeof flowOf>][] = [
  ["rekey", flowOf((rows) => rows.rekey("s", ({ n }) => n as string | null))],
  ["groupBy", flowOf((rows) => rows.groupBy("s", ({ n }) => n as string | null).count("count"))],
];
for (const [name, flow] of keyFns) {
  test(`a key of ${name} that is undefined is a letter, and null alone drops`, async () => {
    const records = [{ n: "a" }, {}, { n: null }, { n: "" }];
    const result = await simulate(
      flow,
      records.map((value) => send(input, "k", value)),
    );
    assert.deepEqual(letters(result), [RESULT]);
    assert.match(reasons(result)[0] ?? "", /its key is undefined; null drops a record/);
    const counts = { consumed: 4, emitted: 2, "null-key": 1, "dead-lettered": 1 };
    assert.deepEqual(result.ledger("main"), counts);
    // An empty text is a key like any other.
    assert.deepEqual(
      result.records(out).map(({ key }) => key),
      ["a", ""],
    );
  });
}

test("a key that its schema cannot write is a letter: NaN, a fraction, a text", async () => {
  const numbers = topic("out", { key: long, value: json<Row>(), partitions: 1, owner: "tests" });
  const flow = pipeline("flow", ({ from }) =>
    from(input)
      .rekey("s", of as never, { key: long })
      .to(numbers),
  );
  const result = await run(flow as never, ["NaN", 1.5, "x", 7]);
  assert.deepEqual(
    result.records(numbers).map(({ key }) => key),
    [7],
  );
  assert.deepEqual(
    letters(result),
    ["NaN", 1.5, "x"].map(() => ["schema", "s", "MILL_ENCODE_VALUE"]),
  );
});

test("a part of distinct that is undefined is a letter, and null is a part like any other", async () => {
  const by = ({ n, at }: Row): never => [n, at] as never;
  const flow = flowOf((rows) => rows.distinct("s", { by, within: days(1) }));
  const records = [{ n: 1 }, { n: 1, at: null }, { n: 1, at: null }];
  const result = await simulate(
    flow,
    records.map((value) => send(input, "k", value)),
  );
  assert.deepEqual(letters(result), [RESULT]);
  assert.equal(result.ledger("main")["deduplicated"], 1);
});

test("a row that is no object is a letter of the table", async () => {
  const fields = [{ name: "n", type: "long" }];
  const row = avro<{ n: number }>({ type: "record", name: "Row", namespace: "t", fields });
  const table = postgresTable("rows", { row, key: ["n"] });
  const flow = pipeline("flow", ({ from }) => {
    from(input)
      .map("row", ({ n }) => n as { n: number })
      .upsertInto(table);
  });
  const result = await run(flow as never, [null, 5, { n: 1 }]);
  assert.deepEqual(
    letters(result),
    [1, 2].map(() => ["transform", "rows", "MILL_TRANSFORM_RESULT"]),
  );
  assert.deepEqual(result.rows(table), [{ n: 1 }]);
});

test("with onError halt the pipeline stops there, and says why", async () => {
  const flow = pipeline("flow", { onError: "halt" }, ({ from }) => {
    from(input).groupByKey().sum("s", of).to(out);
  });
  const { log, ledger } = await run(flow as never, [4, "5"], { stops: "expected" });
  assert.match(log.messages("error").join("\n"), /aggregate "s": .*received a text/);
  assert.deepEqual(ledger("main"), { consumed: 1, emitted: 1 });
});

test("a callback that answers later is a letter of its step, and what fails later ends no process", async () => {
  const later = (): never => Promise.reject(new Error("secret")) as never;
  const steps: readonly ((rows: Stream<string, Row>) => { to(target: never): void })[] = [
    (rows) => rows.peek("s", later),
    (rows) => rows.map("s", later),
    (rows) => rows.filter("s", later),
    (rows) => rows.flatMap("s", later),
    (rows) => rows.flatMap("s", () => [later()]),
    (rows) => rows.expect("s", later, { otherwise: "log" }),
    (rows) => rows.branch("s", { one: later }).one,
    (rows) => rows.rekey<string>("s", later),
    (rows) => rows.distinct("s", { by: later, within: days(1) }),
    (rows) => rows.distinct("s", { by: () => [later()], within: days(1) }),
    (rows) => rows.mapWithState("s", { state: json<Row>(), map: later }),
    (rows) => rows.groupByKey().sum("s", later),
    (rows) => rows.groupByKey().max("s", later),
    (rows) => rows.groupByKey().aggregate("s", { value: json<Row>(), init: later, add: later }),
    (rows) => rows.groupByKey().aggregate("s", { value: json(), init: () => 0, add: later }),
  ];
  // The test runner itself fails for a rejection that nobody waits for.
  for (const step of steps) {
    const result = await run(flowOf(step), [1, 2]);
    assert.deepEqual(told(result), []);
    assert.deepEqual(letters(result), [RESULT, RESULT], String(step));
    assert.match(reasons(result)[0] ?? "", /"s": it returned a promise, which only mapAsync/);
  }
});
