import assert from "node:assert/strict";
import { test } from "node:test";
import { pipeline, type Pipeline } from "#engine";
import { ConfigErrors } from "../../../src/engine/core/errors.ts";
import { things } from "../../support/plans.ts";

const countries = things("countries");
const events = things("events");

const problemsOf = (of: Pipeline): string[] => {
  try {
    of.plan();
  } catch (error) {
    assert.ok(error instanceof ConfigErrors, String(error));
    return error.problems.map(({ code, message }) => `${code} ${message}`);
  }
  return [];
};

test("the part that reads a reference topic beside others knows it, however often the topic is read", () => {
  const plan = pipeline("joined", ({ from }) => {
    from(countries).to(things("copy"));
    from(countries, { loadFirst: true }).merge("both", from(events)).to(things("out"));
    from(countries).to(things("copy-2"));
  }).plan();
  const sources = plan.parts.flatMap((part) => part.sources);
  assert.deepEqual(
    sources.map(({ name, loadFirst = false }) => [name, loadFirst]),
    [
      ["countries", true],
      ["events", false],
    ],
  );
});

test("the option is a part of the plan's version, and left out it is what it was", () => {
  const version = (options?: { loadFirst: boolean }): string =>
    pipeline("joined", ({ from }) => {
      from(countries, options).merge("both", from(events)).to(things("out"));
    }).plan().version;
  assert.notEqual(version({ loadFirst: true }), version());
  assert.equal(version({ loadFirst: false }), version());
});

test("a reference topic beside which its part reads nothing is refused: alone, or in front of a rekey", () => {
  const alone = pipeline("alone", ({ from }) => {
    from(countries, { loadFirst: true }).to(things("out"));
  });
  const rekeyed = pipeline("rekeyed", ({ from }) => {
    from(countries, { loadFirst: true })
      .rekey("by-n", ({ n }) => String(n))
      .merge(
        "both",
        from(events).rekey("by-id", ({ id }) => id),
      )
      .to(things("out"));
  });
  const both = pipeline("both", ({ from }) => {
    const first = from(countries, { loadFirst: true });
    first.merge("all", from(events, { loadFirst: true })).to(things("out"));
  });
  const says = /^MILL_BUILD_OPTION .*source "countries": loadFirst: no part reads it beside/;
  for (const one of [alone, rekeyed, both]) assert.match(problemsOf(one)[0] ?? "", says);
  assert.equal(problemsOf(both).length, 2);
});

test("a reference topic that the pipeline writes itself is refused", () => {
  const own = pipeline("own", ({ from }) => {
    from(things("in")).to(countries);
    from(countries, { loadFirst: true }).merge("both", from(events)).to(things("out"));
  });
  assert.match(problemsOf(own).join(), /loadFirst: the pipeline writes this topic itself/);
});

test("what is neither true nor false is refused", () => {
  const wrong = pipeline("wrong", ({ from }) => {
    from(countries, { loadFirst: "yes" as never })
      .merge("both", from(events))
      .to(things("out"));
  });
  assert.match(
    problemsOf(wrong).join(),
    /from: expected loadFirst: true or false, received string/,
  );
});
