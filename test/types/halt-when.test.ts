// What must not compile of haltWhen, and what is refused where types are not checked.
import assert from "node:assert/strict";
import { test } from "node:test";
import { percent, pipeline, records, type HaltWhen, type PipelineOptions } from "#engine";
import { ConfigErrors } from "../../src/engine/core/errors.ts";
import { things } from "../support/plans.ts";

const planOf = (options: PipelineOptions) =>
  pipeline("halting", options, ({ from }) => from(things("a")).to(things("b"))).plan();

test("a share and a count, or never: bare numbers do not compile", () => {
  const said: HaltWhen[] = [
    { deadLetters: { above: percent(5), per: records(500) } },
    "never",
    // @ts-expect-error a bare number is no share
    { deadLetters: { above: 5, per: records(500) } },
    // @ts-expect-error a bare number is no count
    { deadLetters: { above: percent(5), per: 500 } },
    // @ts-expect-error a count is no share
    { deadLetters: { above: records(5), per: records(500) } },
    // @ts-expect-error of how many?
    { deadLetters: { above: percent(5) } },
    // @ts-expect-error there is no such word
    "always",
  ];
  assert.equal(said.length, 7);
});

test("what is said is exact: more than 5 % of 500 are more than 25; said nothing, it is 5,000 or ten minutes", () => {
  const limit = { letters: 25, records: 500 };
  const slow = { ms: 600_000, share: 0.05, letters: 20 };
  assert.deepEqual(planOf({}).options.haltWhen, { letters: 250, records: 5_000, slow });
  const said = { deadLetters: { above: percent(5), per: records(500) } };
  assert.deepEqual(planOf({ haltWhen: said }).options.haltWhen, limit);
  assert.equal(planOf({ haltWhen: "never" }).options.haltWhen, "never");
  const share = { deadLetters: { above: percent(29), per: records(100) } };
  assert.deepEqual(planOf({ haltWhen: share }).options.haltWhen, { letters: 29, records: 100 });
});

for (const wrong of [
  { deadLetters: { above: percent(101), per: records(500) } },
  { deadLetters: { above: percent(-1), per: records(500) } },
  { deadLetters: { above: percent(NaN), per: records(500) } },
  { deadLetters: { above: percent(5), per: records(0) } },
  { deadLetters: { above: percent(5), per: records(1.5) } },
  { deadLetters: { above: percent(5), per: records(1e9) } },
  { deadLetters: { above: 5, per: 500 } },
  {},
  "always",
])
  test(`refused with what is expected: ${JSON.stringify(wrong)}`, () => {
    assert.throws(
      () => planOf({ haltWhen: wrong as never }),
      (error: unknown) => {
        assert.ok(error instanceof ConfigErrors);
        const [problem] = error.problems;
        assert.equal(problem?.code, "MILL_BUILD_OPTION");
        assert.match(problem.message, /pipeline "halting", haltWhen: expected \{ deadLetters/);
        return true;
      },
    );
  });
