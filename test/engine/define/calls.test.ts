// Pipelines that call: where their steps run, which policy they have, and what is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  avro,
  hours,
  milliseconds,
  pipeline,
  postgresTable,
  resource,
  seconds,
  type PipelineOptions,
  type RetryOptions,
  type Stream,
} from "#engine";
import { ConfigErrors } from "../../../src/engine/core/errors.ts";
import type { CallOperation } from "../../../src/engine/transform/calls/call.ts";
import { things, type Thing } from "../../support/plans.ts";

const bounds = { concurrency: 2, timeout: seconds(1) };
const retry = (mode: RetryOptions["mode"], more: Partial<RetryOptions> = {}): RetryOptions => ({
  mode,
  attempts: 3,
  backoff: { first: milliseconds(100), max: seconds(10) },
  ...more,
});
const same = (thing: Thing): Promise<Thing> => Promise.resolve(thing);
const parking = { ...bounds, retry: retry("park-key") };

type Things = Stream<string, Thing>;
const flow = (draw: (stream: Things) => void, options: PipelineOptions = {}) =>
  pipeline("flow", options, ({ from }) => draw(from(things("in"))));

function problemsOf(draw: (stream: Things) => void): string[] {
  try {
    flow(draw).plan();
  } catch (error) {
    assert.ok(error instanceof ConfigErrors, String(error));
    return error.problems.map(({ code, message }) => `${code} ${message}`);
  }
  return [];
}

const callIn = (draw: (stream: Things) => void, options: PipelineOptions = {}) => {
  const nodes = flow(draw, options)
    .plan()
    .parts.flatMap((part) => part.nodes);
  return nodes.find(({ operation }) => operation.kind === "map-async")?.operation as CallOperation;
};

test("a step has its own policy, else the pipeline's, else none", () => {
  const to = things("out");
  const own = { ...bounds, retry: retry("block", { attempts: 7 }) };
  assert.equal(callIn((stream) => stream.mapAsync("ask", same, own).to(to)).retry?.attempts, 7);
  const ofPipeline = { retry: retry("park-key", { attempts: 5 }) };
  const given = callIn((stream) => stream.mapAsync("ask", same, bounds).to(to), ofPipeline);
  assert.deepEqual([given.retry?.attempts, given.retry?.mode], [5, "park-key"]);
  const both = callIn((stream) => stream.mapAsync("ask", same, own).to(to), ofPipeline);
  assert.deepEqual([both.retry?.attempts, "store" in both], [7, false]);
  assert.equal(callIn((stream) => stream.mapAsync("ask", same, bounds).to(to)).retry, null);
});

test("a step that parks keys has a store of its own, with a changelog", () => {
  const plan = flow((stream) => stream.mapAsync("ask", same, parking).to(things("out"))).plan();
  const [store] = plan.parts[0]?.stores ?? [];
  assert.equal(store?.name, "ask-parked");
  assert.equal(store.changelog.name, "flow-ask-parked-changelog");
  assert.ok(plan.topics.all.some(({ name }) => name === "flow-ask-parked-changelog"));
  const blocking = flow((stream) =>
    stream.mapAsync("ask", same, { ...bounds, retry: retry("block") }).to(things("out")),
  ).plan();
  assert.deepEqual(blocking.parts[0]?.stores, []);
});

test("calls never run in a table's part: their results reach it through a topic", () => {
  const row = avro<Thing>({
    type: "record",
    name: "Row",
    fields: [
      { name: "id", type: "string" },
      { name: "n", type: "int" },
    ],
  });
  const plan = flow((stream) =>
    stream.mapAsync("ask", same, bounds).upsertInto(postgresTable("t", { row, key: ["id"] })),
  ).plan();
  assert.deepEqual(
    plan.parts.map(({ name, kind, sources }) => [name, kind, sources[0]?.name]),
    [
      ["main", "stream", "in"],
      ["t", "sink", "flow-t-sink"],
    ],
  );
});

test("numbers that make no sense are refused, all of them at once", () => {
  const found = problemsOf((stream) =>
    stream
      .mapAsync("ask", same, {
        concurrency: 0.5,
        timeout: milliseconds(0),
        retry: retry("block", {
          attempts: 0,
          backoff: { first: seconds(2), max: seconds(1) },
          runMax: { records: 0 },
        }),
      })
      .to(things("out")),
  );
  assert.equal(found.length, 5);
  for (const problem of found)
    assert.match(problem, /^MILL_BUILD_OPTION .*map-async "ask": expected /);
});

test("a key is parked only where its record has left no trace before", () => {
  const out = things("out");
  const refused: [RegExp, (stream: Things) => void][] = [
    [
      /distinct "once" has changed state by then/,
      (s) =>
        s
          .distinct("once", { by: (t) => t.n, within: hours(1) })
          .mapAsync("ask", same, parking)
          .to(out),
    ],
    [
      /flat-map "all" makes several of one record/,
      (s) =>
        s
          .flatMap("all", (t) => [t])
          .mapAsync("ask", same, parking)
          .to(out),
    ],
    [
      /"in" leads elsewhere too/,
      (s) => {
        s.to(things("copy"));
        s.mapAsync("ask", same, parking).to(out);
      },
    ],
    [
      /"half" leads elsewhere too/,
      (s) => {
        const half = s.filter("half", (t) => t.n > 0);
        half.to(things("copy"));
        half.mapAsync("ask", same, parking).to(out);
      },
    ],
  ];
  for (const [expected, draw] of refused) assert.match(problemsOf(draw).join("\n"), expected);
  const twice = pipeline("twice", ({ from }) => {
    from(things("in")).to(things("copy"));
    from(things("in")).mapAsync("ask", same, parking).to(out);
  });
  assert.throws(
    () => twice.plan(),
    (error) => {
      assert.match((error as ConfigErrors).problems[0]?.message ?? "", /"in" leads elsewhere too/);
      return true;
    },
  );
  const fine: ((stream: Things) => void)[] = [
    (s) =>
      s
        .distinct("once", { by: (t) => t.n, within: hours(1) })
        .mapAsync("ask", same, bounds)
        .to(out),
    (s) =>
      s
        .distinct("once", { by: (t) => t.n, within: hours(1) })
        .rekey("by-id", (t) => t.id)
        .mapAsync("ask", same, parking)
        .to(out),
    (s) => {
      const { big, rest } = s.map("same", (t) => t).branch("size", { big: (t) => t.n > 9 });
      big.mapAsync("ask", same, parking).mapAsync("again", same, parking).to(out);
      rest.to(things("copy"));
    },
    // Behind it there may be state, and several ways.
    (s) => {
      const asked = s.mapAsync("ask", same, parking);
      asked
        .groupByKey()
        .count("count")
        .to(things("counts") as never);
      asked.to(out);
    },
  ];
  for (const draw of fine) assert.deepEqual(problemsOf(draw), []);
});

test("names that would meet, and what is no resource, are refused", () => {
  const one = resource("geo", { env: {}, open: () => 1 });
  const other = resource("geo", { env: {}, open: () => 2 });
  const twins = problemsOf((stream) =>
    stream
      .mapAsync("ask", same, { ...bounds, client: one })
      .mapAsync("tell", same, { ...bounds, client: other })
      .to(things("out")),
  );
  assert.match(
    twins.join(),
    /MILL_BUILD_NAME_TAKEN .*map-async "tell": another resource is called "geo"/,
  );
  const store = problemsOf((stream) =>
    stream.mapAsync("ask", same, parking).mapAsync("ask-parked", same, bounds).to(things("out")),
  );
  assert.match(store.join(), /MILL_BUILD_NAME_TAKEN .*map-async "ask": its store/);
  const none = problemsOf((stream) =>
    stream.mapAsync("ask", same, { ...bounds, client: {} as never }).to(things("out")),
  );
  assert.match(
    none.join(),
    /MILL_BUILD_UNKNOWN .*mapAsync: expected a resource\(…\), received object/,
  );
});

test("what is told at the checkpoint comes too late to be called for", () => {
  const late = problemsOf((stream) =>
    stream
      .groupByKey()
      .count("count", { emit: "checkpoint" })
      .toStream()
      .mapAsync("ask", (n) => Promise.resolve(n), bounds)
      .to(things("out") as never),
  );
  assert.match(late.join(), /"count" tells its changes at the checkpoint, too late/);
});

test("a plan's version knows its policies and its resource by name", () => {
  const version = (attempts: number, name = "geo"): string =>
    flow((stream) =>
      stream
        .mapAsync("ask", same, {
          ...bounds,
          client: resource(name, { env: {}, open: () => 1 }),
          retry: retry("block", { attempts }),
        })
        .to(things("out")),
    ).plan().version;
  assert.equal(version(3), version(3));
  assert.notEqual(version(3), version(4));
  assert.notEqual(version(3), version(3, "other"));
});
