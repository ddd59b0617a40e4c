// Records that may have no key, on their way to a compacted topic.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, nullable, pipeline, string, topic, type Pipeline, type Stream } from "#engine";
import type { Scope } from "../../../src/engine/define/pipeline.ts";
import { ConfigErrors } from "../../../src/engine/core/errors.ts";
import { things, type Thing } from "../../support/plans.ts";

const shape = { key: nullable(string), value: json<Thing>(), partitions: 1, owner: "tests" };
const maybe = topic("maybe", shape);
const compacted = topic("compacted", { ...shape, compacted: true });
const both = topic("both", { ...shape, config: { "cleanup.policy": "compact,delete" } });
const plain = topic("plain", shape);

function problemsOf(build: () => Pipeline): string[] {
  try {
    build().plan();
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigErrors, String(error));
    return error.problems.map(({ code, message }) => `${code} ${message}`);
  }
}
const drawn = (draw: (scope: Scope) => void) => problemsOf(() => pipeline("p", draw));

test("nothing between could leave them out: building says so, and how to mend it", () => {
  for (const target of [compacted, both])
    for (const problems of [
      drawn(({ from }) => from(maybe).to(target)),
      drawn(({ from }) =>
        from(maybe)
          .map("same", (v) => v)
          .to(target),
      ),
      drawn(({ from }) => {
        const other = from(things("in", 1)) as unknown as Stream<string | null, Thing>;
        other
          .merge("both", from(maybe))
          .peek("see", () => undefined)
          .to(target);
      }),
    ]) {
      assert.equal(problems.length, 1);
      assert.match(problems[0] ?? "", /^MILL_BUILD_KEY_NULL .*is compacted.*record\.key !== null/);
    }
});

test("a step that may leave them out, a key that is never null and a plain topic build", () => {
  const problems = [
    ...drawn(({ from }) => from(maybe).to(plain)),
    ...drawn(({ from }) => from(things("in", 1)).to(compacted as never)),
    ...drawn(({ from }) =>
      from(maybe)
        .filter("keyed", (_, { key }) => key !== null)
        .to(compacted),
    ),
    ...drawn(({ from }) =>
      from(maybe)
        .groupByKey()
        .reduce("newest", (_, next) => next)
        .to(compacted as never),
    ),
  ];
  assert.deepEqual(problems, []);
});
