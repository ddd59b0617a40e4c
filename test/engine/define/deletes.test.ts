// A plan that promises a delete to a table, which cannot carry it out yet, is refused, on any way from the filter to it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, json, pipeline, postgresTable, type Stream, type Table } from "#engine";
import { ConfigErrors } from "../../../src/engine/core/errors.ts";
import { things, type Thing } from "../../support/plans.ts";

const rows = (name = "rows") =>
  postgresTable<Thing>(name, {
    row: avro({
      type: "record",
      name: "Row",
      namespace: "t",
      fields: [
        { name: "id", type: "string" },
        { name: "n", type: "long" },
      ],
    }),
    key: ["id"],
  });
const out = things("out");
type Small = Table<string, Thing>;

/** 1 then 9 of one key: the filter lets the first through, and deletes with the second. */
function problemsOf(draw: (small: Small, stream: Stream<string, Thing>) => void): string[] {
  const flow = pipeline("flow", ({ from }) => {
    const stream = from(things("in"));
    const sums = stream
      .groupByKey()
      .sum("s", ({ n }) => n)
      .map("row", (n, { key }) => ({ id: key, n }));
    draw(
      sums.filter("small", ({ n }) => n < 5),
      stream,
    );
  });
  try {
    flow.plan();
  } catch (error) {
    assert.ok(error instanceof ConfigErrors, String(error));
    return error.problems.map((problem) => `${problem.code} ${problem.message}`);
  }
  return [];
}

const rest = (small: Small): Stream<string, Thing> => small.toStream();
const refused: [string, (small: Small, stream: Stream<string, Thing>) => void][] = [
  ["at once", (small) => small.upsertInto(rows())],
  ["behind a map", (small) => small.map("m", (v) => v).upsertInto(rows())],
  [
    "behind another filter",
    (small) =>
      small
        .filter("f", () => true)
        .map("m", (v) => v)
        .upsertInto(rows()),
  ],
  [
    "as a stream",
    (small) =>
      rest(small)
        .map("m", (v) => v)
        .upsertInto(rows()),
  ],
  [
    "behind a filter of the stream",
    (small) =>
      rest(small)
        .filter("f", () => true)
        .upsertInto(rows()),
  ],
  [
    "where another stream joins",
    (small, stream) => stream.merge("both", rest(small)).upsertInto(rows()),
  ],
  [
    "through a new key",
    (small) =>
      rest(small)
        .rekey("by-id", (v) => v.id)
        .upsertInto(rows()),
  ],
  [
    "from an arm",
    (small) =>
      rest(small)
        .branch("b", { few: ({ n }) => n < 2 })
        .few.upsertInto(rows()),
  ],
  [
    "beside a topic",
    (small) => {
      small.to(out);
      small.upsertInto(rows());
    },
  ],
];
for (const [what, draw] of refused)
  test(`a table behind a filter of a table is refused: ${what}`, () => {
    const [problem, ...others] = problemsOf(draw).filter((one) => !one.includes('"f"'));
    assert.deepEqual(others, []);
    assert.match(
      problem ?? "",
      /^MILL_BUILD_DELETES a table cannot delete rows yet: .*deletes\.test\.ts:\d+ {2}table-filter "small": rows of keys that do not pass would stay in "rows" \(.*deletes\.test\.ts:\d+\)\. Write to a topic, or leave the filter out/,
    );
  });

test("each table is named", () => {
  const problems = problemsOf((small) => {
    small.upsertInto(rows("one"));
    small.map("m", (v) => v).upsertInto(rows("two"));
  });
  assert.deepEqual(problems.map((problem) => /stay in "(\w+)"/.exec(problem)?.[1]).sort(), [
    "one",
    "two",
  ]);
});

const built: [string, (small: Small) => void][] = [
  ["a topic", (small) => small.to(out)],
  [
    "an aggregate of its own",
    (small) =>
      rest(small)
        .groupByKey()
        .reduce("r", (_, b) => b)
        .upsertInto(rows()),
  ],
  [
    "a step with state",
    (small) =>
      rest(small)
        .mapWithState("m", {
          state: json<number>(),
          map: (_: number | null, v) => ({ state: 1, emit: [v] }),
        })
        .upsertInto(rows()),
  ],
];
for (const [what, draw] of built)
  test(`what a filter of a table leads to may be ${what}`, () =>
    assert.deepEqual(problemsOf(draw), []));

test("a filter of the stream promises no delete", () => {
  const flow = pipeline("flow", ({ from }) => {
    from(things("in"))
      .groupByKey()
      .reduce("r", (_, b) => b)
      .toStream()
      .filter("f", ({ n }) => n < 5)
      .upsertInto(rows());
  });
  assert.equal(flow.plan().parts.length, 2);
});
