import assert from "node:assert/strict";
import { test } from "node:test";
import { describeVerb } from "../../src/cli/describe.ts";
import type { PlanSettings } from "../../src/engine/core/plan-settings.ts";
import { plansOf } from "../../src/engine/define/plans.ts";
import { pipelines } from "../../src/pipelines/index.ts";
import { command } from "../support/command.ts";

const plans = (settings: PlanSettings) => plansOf(pipelines, settings);
const offline = (): never => assert.fail("it connects to nothing");
const run = (argv: string[], env = {}) =>
  command(describeVerb(offline, plans), ["describe", ...argv], env);

test("a pipeline's parts and operators are listed in the order that records flow", async () => {
  const { code, out } = await run(["retail"]);
  assert.equal(code, 0);
  assert.match(out[0] ?? "", /^retail {2}version [0-9a-f]{12}$/);
  const names = out.map((line) => line.trim().split("  ")[0]);
  assert.deepEqual(names.slice(3, 7), [
    "main",
    "retail.transactions",
    "quantity-positive",
    "retail.clean",
  ]);
  assert.ok(out.some((line) => /quantity-positive +expect dead-letter validity +after/.test(line)));
});

test("the JSON names groups under the namespace and holds no functions", async () => {
  const { out } = await run(["customer-orders", "--json"], { MILLRACE_NAMESPACE: "staging-" });
  const data = JSON.parse(out[0] ?? "") as { parts: { group: string; operators: object[] }[] };
  assert.equal(data.parts.length, 4);
  assert.ok(data.parts.every(({ group }) => group.startsWith("staging-")));
  assert.deepEqual(Object.keys(data.parts[0]?.operators[1] ?? {}), [
    "name",
    "kind",
    "inputs",
    "otherwise",
    "dimension",
    "class",
    "site",
  ]);
});

test("the drawing joins every topic, step and table", async () => {
  const { out } = await run(["retail", "--mermaid"]);
  assert.equal(out[0], "flowchart LR");
  const idOf = (name: string): string =>
    /^\s*(\w+)\[/.exec(out.find((line) => line.includes(`"${name}"`)) ?? "")?.[1] ?? name;
  for (const [from, to] of [
    ["retail.transactions", "quantity-positive"],
    ["quantity-positive", "retail.clean"],
    ["retail.clean", "retail_lines"],
  ] as const)
    assert.ok(out.includes(`  ${idOf(from)} --> ${idOf(to)}`), `${from} to ${to}`);
});

test("an unknown pipeline is named with those that there are", async () => {
  const { code, err } = await run(["retial"]);
  assert.equal(code, 3);
  assert.match(err.join("\n"), /pipeline retial; there are: customer-orders, .*retail/);
});
