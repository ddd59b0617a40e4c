// How far rows reach back, by the longest way from a source to their table.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  avro,
  calendar,
  days,
  hopping,
  hours,
  json,
  milliseconds,
  pipeline,
  postgresTable,
  seconds,
  session,
  sliding,
  string,
  topic,
  tumbling,
  type Pipeline,
  type Stream,
  type WindowOf,
} from "#engine";
import { RowReach } from "../../../src/engine/reprocess/verify/reach.ts";

interface Row {
  readonly id: string;
  readonly n: number;
}
const shape = { key: string, value: json<Row>(), partitions: 1, owner: "tests" };
const input = topic("in", shape);
const other = topic("other", shape);
const own = topic("own", shape);
const rows = postgresTable<Row>("rows", {
  row: avro({
    ...{ type: "record", name: "Row" },
    fields: [
      { name: "id", type: "string" },
      { name: "n", type: "int" },
    ],
  }),
  key: ["id"],
});

type Rows = Stream<string, Row>;
const flowOf = (made: (rows: Rows, others: () => Rows) => Rows): Pipeline =>
  pipeline("p", ({ from }) => void made(from(input), () => from(other)).upsertInto(rows));

const counted =
  (window: WindowOf, name = "n") =>
  (stream: Rows) =>
    stream
      .groupByKey()
      .windowedBy(window)
      .count(name, { emit: "close" })
      .toStream(`${name}-row`, (n, { key }) => ({ id: key, n }));

function reachOf(flow: Pipeline): number {
  const plan = flow.plan();
  const part = plan.parts.find(({ table }) => table !== null);
  return new RowReach(plan).of(part ?? assert.fail("no table"));
}

const grace = seconds(1);
const both = { before: seconds(2), after: seconds(5), grace };
for (const [what, flow, reachMs] of [
  ["a stream", flowOf((stream) => stream.map("same", (row) => row)), 0],
  ["a tumbling window", flowOf(counted(tumbling({ size: seconds(10), grace }))), 10_000],
  [
    "a hopping window",
    flowOf(counted(hopping({ size: seconds(10), advance: seconds(5), grace }))),
    10_000,
  ],
  ["a sliding window", flowOf(counted(sliding({ difference: seconds(7), grace }))), 7_000],
  [
    "a calendar day, which may have 25 hours",
    flowOf(counted(calendar({ unit: "day", timeZone: "Europe/Berlin", grace }))),
    hours(26).ms,
  ],
  ["a join", flowOf((stream, others) => stream.join("both", others(), (row) => row, both)), 5_000],
  [
    "a distinct",
    flowOf((stream) => stream.distinct("once", { by: ({ n }) => n, within: days(1) })),
    days(1).ms,
  ],
  ["a session", flowOf(counted(session({ gap: milliseconds(1), grace }))), Infinity],
  [
    "a sum",
    flowOf((stream) =>
      stream
        .groupByKey()
        .count("n")
        .toStream()
        .map("row", (n, { key }) => ({ id: key, n })),
    ),
    Infinity,
  ],
  [
    "windows behind windows, through a topic between parts and one of the pipeline's own",
    pipeline("p", ({ from }) => {
      const byId = from(input).groupBy("by-id", ({ id }) => id);
      byId
        .windowedBy(tumbling({ size: seconds(10), grace }))
        .count("n", { emit: "close" })
        .toStream("row", (n, { key }) => ({ id: key, n }))
        .to(own);
      counted(tumbling({ size: seconds(60), grace }), "sums")(from(own)).upsertInto(rows);
    }),
    70_000,
  ],
  [
    "the longer of two ways",
    flowOf((stream, others) =>
      stream.merge("all", counted(tumbling({ size: seconds(3), grace }))(others())),
    ),
    3_000,
  ],
] as const)
  test(`B2: rows of ${what} reach back ${reachMs === Infinity ? "without end" : `${String(reachMs)} ms`}`, () => {
    assert.equal(reachOf(flow), reachMs);
  });
