// Records of one time in an `order` (O3): what comes first is a function of the contents of the source partitions, also behind a
// join, whose results are made of two records, and behind steps that make several records of one.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  json,
  pipeline,
  seconds,
  string,
  topic,
  type JoinOptions,
  type Pipeline,
  type Stream,
} from "#engine";
import { advance, crash, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { partitionOf } from "../../src/engine/core/record.ts";

interface Step {
  readonly at: number;
  readonly is: string;
}
const BEGIN = Date.UTC(2025, 5, 1);
const declare = (name: string, partitions: number) =>
  topic(name, {
    ...{
      key: string,
      value: json<Step>(),
      partitions,
      owner: "tests",
      idleAfter: "never" as const,
    },
    timestamp: (one: Step) => one.at,
  });
const [lefts, rights] = [declare("lefts", 2), declare("rights", 2)];
const out = topic("words", { key: string, value: string, partitions: 1, owner: "tests" });

/** All that has come so far, in order. */
const spelled = (of: Stream<string, string>): void =>
  of
    .mapWithState("word", {
      ...{ state: string, order: { grace: seconds(5) } },
      map: (word, is) => ({ state: `${word ?? ""} ${is}`, emit: [`${word ?? ""} ${is}`] }),
    })
    .to(out);

const spans: JoinOptions = { before: seconds(2), after: seconds(2), grace: seconds(5) };
const both = (l: Step | null, r: Step | null): string => `${l?.is ?? "-"}${r?.is ?? "-"}`;

const last = (topicOf: typeof lefts, partition: number): SimulatedStep =>
  send(topicOf, "end", { at: BEGIN + 900_000, is: "x" }, { partition });
const ends = [last(lefts, 0), last(lefts, 1), last(rights, 0), last(rights, 1)];
/** Two of each topic that is read. */
type Partitions = readonly (readonly Row[])[];

type Row = readonly [second: number, is: string];

/** The last word under each of the schedules, which take the same partitions in another order. */
async function words(flow: Pipeline, partitions: Partitions, schedules: readonly number[][]) {
  const found: string[] = [];
  for (const schedule of schedules)
    for (const between of [[], [crash, advance(seconds(3)), rebalance]]) {
      const queues = partitions.map((rows) => [...rows]);
      const steps = schedule.flatMap((partition, at): SimulatedStep[] => {
        const [second, is] = queues[partition]?.shift() as Row;
        const value = { at: BEGIN + second * 1_000, is };
        const own = partition < 2 ? lefts : rights;
        return [send(own, is, value, { partition: partition % 2 }), ...(at === 2 ? between : [])];
      });
      const { records } = await simulate(flow, [
        ...steps,
        ...ends.slice(0, partitions.length),
        advance(seconds(30)),
      ]);
      const all = records(out).map(({ value }) => value ?? "");
      found.push(all.filter((word) => !word.includes("x")).at(-1) ?? "");
    }
  return [...new Set(found)];
}

const joined = (how: "join" | "outerJoin"): Pipeline =>
  pipeline("joined", ({ from }) => {
    const byFirst = (one: Step): string => one.is.slice(1);
    const left = from(lefts).rekey("left", byFirst, { partitions: 2 });
    const right = from(rights).rekey("right", byFirst, { partitions: 2 });
    const pairs =
      how === "join"
        ? left.join("both", right, both, spans)
        : left.outerJoin("both", right, both, spans);
    spelled(pairs.rekey("all", () => "all", { partitions: 1 }));
  });

/** Interleavings of two records of each partition. */
const SCHEDULES = [
  [0, 0, 1, 1, 2, 2, 3, 3],
  [0, 2, 2, 0, 3, 1, 1, 3],
  [3, 1, 0, 2, 1, 3, 2, 0],
];

test("O3: pairs of one time come in one order, whichever record of each was the second", async () => {
  const partitions: Row[][] = [
    [
      [5, "ak"],
      [5, "bm"],
    ],
    [
      [5, "cn"],
      [5, "dk"],
    ],
    [
      [5, "Ak"],
      [5, "Bn"],
    ],
    [
      [5, "Cm"],
      [5, "Dk"],
    ],
  ];
  const found = await words(joined("join"), partitions, SCHEDULES);
  assert.equal(found.length, 1, found.join(" | "));
  const pairs = found[0]?.trim().split(" ").toSorted();
  assert.deepEqual(pairs, ["akAk", "akDk", "bmCm", "cnBn", "dkAk", "dkDk"]);
});

test("O3: records of one time that have found no partner come in one order", async () => {
  const partitions: Row[][] = [
    [
      [5, "ak"],
      [5, "bk"],
    ],
    [
      [5, "ck"],
      [5, "dk"],
    ],
    [
      [50, "Ak"],
      [50, "Bk"],
    ],
    [
      [50, "Ck"],
      [50, "Dk"],
    ],
  ];
  const found = await words(joined("outerJoin"), partitions, SCHEDULES);
  assert.equal(found.length, 1, found.join(" | "));
  const alone = found[0]?.trim().split(" ") ?? [];
  assert.deepEqual(alone.slice(0, 4).toSorted(), ["ak-", "bk-", "ck-", "dk-"]);
  assert.deepEqual(alone.slice(4).toSorted(), ["-Ak", "-Bk", "-Ck", "-Dk"]);
});

test("O3: results of one record come in the order in which it was made into them, by whatever way", async () => {
  // Of two partitions the second result goes through the first, which is worked first.
  const names = Array.from({ length: 20 }, (_, i) => `n${String(i)}`);
  const byPartition = Map.groupBy(names, (name) => partitionOf(Buffer.from(name), 2, 0));
  const [first, second] = [byPartition.get(1)?.[0] ?? "", byPartition.get(0)?.[0] ?? ""];
  const flow = pipeline("copies", ({ from }) => {
    const copies = from(lefts)
      .flatMap("twice", (one) =>
        [first, second].map((name) => ({ ...one, is: `${one.is}${name}` })),
      )
      .rekey("apart", (one) => one.is.slice(1), { partitions: 2 })
      .rekey("all", () => "all", { partitions: 1 })
      .map("name", (one) => one.is);
    spelled(copies);
  });
  const partitions: Row[][] = [[[5, "a"]], [[5, "b"]]];
  const found = await words(flow, partitions, [
    [0, 1],
    [1, 0],
  ]);
  const expected = ["a", "b"].flatMap((of) => [`${of}${first}`, `${of}${second}`]);
  assert.deepEqual(found, [` ${expected.join(" ")}`]);
});
