// A join of streams as it is declared: what it lacks, and how a plan shows it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, string, topic, type JoinOptions, type Pipeline } from "#engine";
import { planLines, planMermaid } from "../../../src/cli/plan-text.ts";
import { ConfigErrors } from "../../../src/engine/core/errors.ts";

interface Fed {
  readonly id: string;
}
const own = { partitions: 1, owner: "tests" };
const orders = topic("orders", { key: string, value: json<Fed>(), ...own });
const payments = topic("payments", { key: string, value: json<Fed>(), ...own });
const rows = topic("rows", { key: string, value: json<string>(), ...own });
const pairOf = (left: Fed | null, right: Fed | null): string =>
  `${left?.id ?? "-"}&${right?.id ?? "-"}`;
const span = (before: number, after: number, grace: number): JoinOptions => ({
  ...{ before: seconds(before), after: seconds(after), grace: seconds(grace) },
});

function problemsOf(flow: Pipeline): readonly string[] {
  try {
    flow.plan();
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigErrors);
    return error.problems.map(({ code, message }) => `${code} ${message}`);
  }
}

test("what a join lacks is said when the pipeline is built, each with its line", () => {
  const others = [
    topic("others", { key: string, value: json<Fed>(), partitions: 3, owner: "tests" }),
    topic("numbers", { key: json<number>(), value: json<Fed>(), ...own }),
  ] as const;
  const none = undefined as unknown as typeof pairOf;
  const problems = problemsOf(
    pipeline("wrong", ({ from }) => {
      const all = from(orders);
      all.join("spans", from(payments), pairOf, { before: seconds(1) } as never).to(rows);
      all.join("widths", from(others[0]), pairOf, span(1, 1, 1)).to(rows);
      all.join("keys", from(others[1]) as never, pairOf, span(1, 1, 1)).to(rows);
      all.leftJoin("nothing", undefined as never, pairOf, span(1, 1, 1)).to(rows);
      all.outerJoin("joiner", from(payments), none, span(1, 1, 1)).to(rows);
    }),
  );
  const line = String.raw`stream-join\.test\.ts:\d+  `;
  const expected = [
    `${line}leftJoin: expected a stream of this pipeline, received undefined`,
    `${line}join "widths": expected equal partition counts, received orders 1 and others 3`,
    `${line}join "keys": keys are written as string and as json`,
    `${line}join "spans": it needs after, a whole number of ms`,
    `${line}join "spans": it needs grace, a whole number of ms`,
    String.raw`${line}outer-join "joiner": it needs a joiner`,
  ];
  assert.equal(problems.length, expected.length, problems.join("\n"));
  for (const [i, text] of expected.entries()) assert.match(problems[i] ?? "", new RegExp(text));
});

test("a plan shows the spans of a join, and both of its sides", () => {
  const plan = pipeline("shown", ({ from }) => {
    from(orders)
      .leftJoin("pairs", from(payments), pairOf, span(0, 5, 1))
      .to(rows);
  }).plan();
  const text = planLines(plan).join("\n");
  assert.match(
    text,
    /pairs +left-join 0 ms before 5000 ms after 1000 ms grace shown-pairs-changelog +after orders and payments/,
  );
  const arrows = planMermaid(plan).filter((line) => line.endsWith("--> part0step2"));
  assert.equal(arrows.length, 2);
});
