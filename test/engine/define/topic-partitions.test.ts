// Topics that do not declare their partitions, in plans: the number is that of the setting, everywhere.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, string, topic, type Topic } from "#engine";
import { ConfigErrors } from "../../../src/engine/core/errors.ts";
import type { Plan } from "../../../src/engine/core/plan.ts";
import { things, type Thing } from "../../support/plans.ts";

const open = (name: string): Topic<string, Thing> =>
  topic(name, { key: string, value: json<Thing>(), owner: "tests" });

const widths = ({ topics }: Plan): Record<string, string> =>
  Object.fromEntries(
    topics.all.map(({ name, partitions, partitionsBy = "declaration" }) => [
      name,
      `${String(partitions)} by ${partitionsBy}`,
    ]),
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

const counting = pipeline("counting", ({ from }) => {
  from(open("in"))
    .groupByKey()
    .count("count")
    .toStream()
    .map("shown", (n) => ({ id: "", n }))
    .to(open("out"));
});

test("source, output and changelog have the number of the setting, 4 where it is not said", () => {
  const expected = (n: string) => ({
    in: `${n} by setting`,
    out: `${n} by setting`,
    "counting-count-changelog": `${n} by setting`,
  });
  assert.deepEqual(widths(counting.plan()), expected("4"));
  assert.deepEqual(widths(counting.plan("", 12)), expected("12"));
  const [part] = counting.plan("", 12).parts;
  assert.equal(part?.partitions, 12);
});

test("each setting has a plan of its own, made once", () => {
  assert.equal(counting.plan("", 12), counting.plan("", 12));
  assert.equal(counting.plan(), counting.plan("", 4));
  assert.notEqual(counting.plan("", 12).version, counting.plan().version);
});

test("a repartition follows the topic that feeds it, unless it says its own number", () => {
  const rekeyed = (name: string, partitions?: number) =>
    pipeline(name, ({ from }) => {
      from(open("in"))
        .rekey("by-n", ({ n }) => String(n), partitions === undefined ? {} : { partitions })
        .to(things("out", 3));
    }).plan("", 12);
  const width = (plan: Plan): string | undefined =>
    widths(plan)[`${plan.pipeline}-by-n-repartition`];
  assert.equal(width(rekeyed("follows")), "12 by setting");
  assert.equal(width(rekeyed("own", 5)), "5 by declaration");
  assert.equal(widths(rekeyed("follows"))["out"], "3 by declaration");
});

test("it is the same plan whoever says the number", () => {
  const copy = (input: Topic<string, Thing>) =>
    pipeline("copy", ({ from }) => {
      from(input).to(things("out"));
    });
  assert.equal(copy(things("in", 6)).plan().version, copy(open("in")).plan("", 6).version);
});

const met = pipeline("met", ({ from }) => {
  from(things("declared", 4))
    .merge("both", from(open("open")))
    .to(things("out"));
});

test("streams that meet are compared by the number that they get", () => {
  assert.deepEqual(
    problemsOf(() => met.plan()),
    [],
  );
  const [problem = "", ...more] = problemsOf(() => met.plan("", 6));
  assert.deepEqual(more, []);
  assert.match(problem, /^MILL_BUILD_PARTITIONS_DIFFER /);
  assert.match(problem, /received declared 4 and open 6 \(MILLRACE_TOPIC_PARTITIONS\)\. Rekey/);
});

test("one topic declared with a number and without it is a clash, unless the numbers are equal", () => {
  const twice = pipeline("twice", ({ from }) => {
    from(things("in", 4)).to(things("a"));
    from(open("in")).to(things("b"));
  });
  assert.deepEqual(
    problemsOf(() => twice.plan()),
    [],
  );
  assert.match(
    problemsOf(() => twice.plan("", 6)).join(),
    /MILL_BUILD_TOPIC_CLASH .*partition count/,
  );
});

test("no number that is none is taken, neither declared nor set", () => {
  for (const wrong of [0, -1, 1.5])
    for (const build of [
      () => counting.plan("", wrong),
      () => pipeline("p", ({ from }) => from(things("in", wrong)).to(things("out"))).plan(),
    ])
      assert.match(
        problemsOf(build).join(),
        /MILL_BUILD_OPTION .*partitions of 1 or more, received/,
      );
});
