import assert from "node:assert/strict";
import { test } from "node:test";
import { json, nullable, pipeline, postgresTable, string, topic, avro } from "#engine";
import { ConfigErrors } from "../../../src/engine/core/errors.ts";
import type { Plan } from "../../../src/engine/core/plan.ts";
import { things } from "../../support/plans.ts";

const table = (name: string) =>
  postgresTable<{ id: string; n: number }>(name, {
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

const parts = (plan: Plan): Record<string, string[]> =>
  Object.fromEntries(
    plan.parts.map((part) => [part.name, part.nodes.map((n) => `${n.operation.kind}:${n.name}`)]),
  );

const problemsOf = (build: () => unknown): string[] => {
  try {
    build();
  } catch (error) {
    assert.ok(error instanceof ConfigErrors, String(error));
    return error.problems.map((problem) => `${problem.code} ${problem.message}`);
  }
  return [];
};

test("importing a pipeline runs nothing; its builder runs once, when a plan is first asked for", () => {
  let runs = 0;
  const flow = pipeline("lazy", ({ from }) => {
    runs++;
    from(things("in")).to(things("out"));
  });
  assert.equal(runs, 0);
  assert.equal(flow.plan(), flow.plan());
  assert.equal(runs, 1);
});

test("a stream of steps to a topic is one part called main", () => {
  const plan = pipeline("simple", ({ from }) => {
    from(things("in"))
      .map("double", (t) => ({ ...t, n: t.n * 2 }))
      .to(things("out"));
  }).plan();
  assert.deepEqual(parts(plan), { main: ["source:in", "map:double", "to:out"] });
  assert.equal(plan.parts[0]?.group, "simple.main");
  assert.equal(plan.deadLetters, "simple-dead-letters");
});

test("steps that only a table uses run inside the table's part", () => {
  const plan = pipeline("direct", ({ from }) => {
    from(things("in"))
      .filter("positive", (t) => t.n > 0)
      .upsertInto(table("rows"));
  }).plan();
  assert.deepEqual(parts(plan), { rows: ["source:in", "filter:positive", "upsert:rows"] });
  assert.equal(plan.parts[0]?.kind, "sink");
});

test("a stream that others use too reaches its table through an internal topic", () => {
  const plan = pipeline("shared", ({ from }) => {
    const clean = from(things("in")).filter("positive", (t) => t.n > 0);
    clean.to(things("out"));
    clean.upsertInto(table("rows"));
  }).plan("staging-");
  assert.deepEqual(parts(plan), {
    main: ["source:in", "filter:positive", "to:out", "forward:rows"],
    rows: ["source:staging-shared-rows-sink", "upsert:rows"],
  });
  assert.deepEqual(
    plan.parts.map((part) => part.group),
    ["staging-shared.main", "staging-shared.rows"],
  );
});

test("rekey ends one part and begins the next, through a repartition topic without time limit", () => {
  const plan = pipeline("rekeyed", ({ from }) => {
    from(things("in"))
      .rekey("by-n", (t) => (t.n > 0 ? String(t.n) : null), { partitions: 3 })
      .map("same", (t) => t)
      .to(things("out", 3));
  }).plan();
  assert.deepEqual(parts(plan), {
    main: ["source:in", "repartition:by-n"],
    "by-n": ["source:rekeyed-by-n-repartition", "map:same", "to:out"],
  });
  const internal = plan.topics.all.find((one) => one.internal === "repartition");
  assert.deepEqual([internal?.partitions, internal?.config["retention.ms"]], [3, "-1"]);
  assert.equal(plan.parts[1]?.partitions, 3);
});

test("rekey before a table goes on to the table's own topic, which is not purged", () => {
  const plan = pipeline("to-table", ({ from }) => {
    from(things("in"))
      .rekey("by-n", (t) => String(t.n))
      .upsertInto(table("rows"));
  }).plan();
  assert.deepEqual(Object.keys(parts(plan)), ["main", "by-n", "rows"]);
});

test("what meets a rekeyed stream belongs to its part, and not to the one that reads the rest", () => {
  const plan = pipeline("meeting", ({ from }) => {
    from(things("in"))
      .rekey("by-n", (t) => String(t.n))
      .merge("both", from(things("other")))
      .to(things("out"));
  }).plan();
  assert.deepEqual(parts(plan), {
    main: ["source:in", "repartition:by-n"],
    "by-n": ["source:meeting-by-n-repartition", "source:other", "merge:both", "to:out"],
  });
});

test("topics that meet with other partition counts are named, those between parts too", () => {
  const meeting = (counts: { to?: number; other: number }, again = false): string[] =>
    problemsOf(() =>
      pipeline("meeting", ({ from }) => {
        const { to: partitions, other } = counts;
        const how = partitions === undefined ? {} : { partitions };
        const rekeyed = from(things("in", 4)).rekey("by-n", (t) => String(t.n), how);
        const second = from(things("other", other));
        const met = again ? second.rekey("too", (t) => String(t.n)) : second;
        rekeyed
          .filter("some", () => true)
          .merge("both", met)
          .to(things("out"));
      }).plan("eu."),
    );
  const found = ([problem = "none"]: string[]): string =>
    /received (.*)\. Rekey/.exec(problem)?.[1] ?? problem;
  const topic = "eu.meeting-by-n-repartition";
  assert.equal(found(meeting({ to: 3, other: 2 })), `${topic} 3 and other 2`);
  assert.equal(found(meeting({ other: 2 })), `${topic} 4 and other 2`);
  assert.equal(
    found(meeting({ to: 8, other: 4 }, true)),
    `${topic} 8 and eu.meeting-too-repartition 4`,
  );
});

test("branch arms and merge stay in one part", () => {
  const plan = pipeline("branched", ({ from }) => {
    const { big, rest } = from(things("in")).branch("size", { big: (t) => t.n > 10 });
    big.merge("again", rest).to(things("out"));
  }).plan();
  assert.deepEqual(parts(plan).main, [
    "source:in",
    "branch:size",
    "arm:size.big",
    "arm:size.rest",
    "merge:again",
    "to:out",
  ]);
});

test("every problem is reported at once, each with the line that declared it", () => {
  const problems = problemsOf(() =>
    pipeline("Wrong Name", ({ from }) => {
      from(undefined as never).to(things("a") as never);
      const one = from(things("in", 2)).map("same", (t) => t);
      one.filter("same", () => true).to(things("in_2"));
      one.merge("two-counts", from(things("in.2", 3))).to(things("out"));
      const longKeys = topic("longs", {
        key: nullable(string),
        value: json(),
        partitions: 2,
        owner: "t",
      });
      from(longKeys).peek("nothing-follows", () => undefined);
    }).plan(),
  );
  const codes = problems.map((text) => text.split(" ")[0]);
  assert.deepEqual([...new Set(codes)].sort(), [
    "MILL_BUILD_NAME_INVALID",
    "MILL_BUILD_NAME_TAKEN",
    "MILL_BUILD_PARTITIONS_DIFFER",
    "MILL_BUILD_TOPIC_CLASH",
    "MILL_BUILD_UNKNOWN",
    "MILL_BUILD_UNUSED",
  ]);
  for (const text of problems.slice(2)) assert.match(text, /build\.test\.ts:\d+/);
});

test("a topic whose keys are written in another way is refused", () => {
  const bytesKeyed = topic("b", {
    key: json<string>(),
    value: json<object>(),
    partitions: 2,
    owner: "t",
  });
  const [problem] = problemsOf(() =>
    pipeline("keys", ({ from }) => {
      from(things("in")).to(bytesKeyed as never);
    }).plan(),
  );
  assert.match(problem ?? "", /^MILL_BUILD_KEY_ENCODING .*written as string and as json/);
});

test("a pipeline that feeds its own source is refused", () => {
  const [problem] = problemsOf(() =>
    pipeline("loop", ({ from }) => {
      from(things("a")).to(things("b"));
      from(things("b")).to(things("a"));
    }).plan(),
  );
  assert.match(problem ?? "", /^MILL_BUILD_LOOP/);
});

test("a builder that throws is one clear problem", () => {
  const [problem] = problemsOf(() =>
    pipeline("thrower", () => {
      throw new Error("boom");
    }).plan(),
  );
  assert.match(problem ?? "", /^MILL_BUILD_FAILED .*boom/);
});

test("the version changes with a callback's code and not with the namespace", () => {
  const version = (fn: (t: { n: number; id: string }) => boolean, namespace = "") =>
    pipeline("v", ({ from }) => from(things("in")).filter("f", fn).to(things("out"))).plan(
      namespace,
    ).version;
  const positive = (t: { n: number }): boolean => t.n > 0;
  assert.equal(version(positive), version(positive));
  assert.notEqual(
    version(positive),
    version((t) => t.n > 1),
  );
  assert.match(version(positive), /^[0-9a-f]{12}$/);
});

test("a plan is frozen", () => {
  const plan = pipeline("ice", ({ from }) => from(things("in")).to(things("out"))).plan();
  assert.ok(Object.isFrozen(plan) && Object.isFrozen(plan.parts[0]?.nodes[0]));
});

test("a step with state behind changes that are told at the checkpoint is refused, but for a rekey in between", () => {
  const heldBy = (name: string, isRekeyed: boolean): string[] =>
    problemsOf(() =>
      pipeline(name, ({ from }) => {
        const counts = from(things("in")).groupByKey().count("n", { emit: "checkpoint" });
        const stream = counts.map("same", (n) => n).toStream();
        const next = isRekeyed ? stream.groupBy("again", String) : stream.groupByKey();
        next.sum("sum", (n) => n).to(things("sums") as never);
      }).plan(),
    );
  assert.match(heldBy("held", false).join(), /MILL_BUILD_OPTION .*aggregate "sum": "n" tells/);
  assert.deepEqual(heldBy("rekeyed", true), []);
});
