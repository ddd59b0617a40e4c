// Operators that share a store, and inputs that meet in one: worked in the order of the records, whatever the batch.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, string, topic } from "#engine";
import type { Operation, OperatorFacts, Part, PlanNode } from "../../../src/engine/core/plan.ts";
import type { StateEntry, TaskStores } from "../../../src/engine/core/state.ts";
import { groupsOf } from "../../../src/engine/define/plan/groups.ts";
import { CallBook } from "../../../src/engine/transform/calls/book.ts";
import { plainKeeping } from "../../../src/engine/transform/calls/key-queue.ts";
import {
  type MakeOperator,
  type Operator,
  ownKeys,
} from "../../../src/engine/transform/operator.ts";
import { runBatch } from "../../../src/engine/transform/pass.ts";
import { compile } from "../../../src/engine/transform/program.ts";
import { TestCalls } from "../../support/calls.ts";
import { raw } from "../../support/plans.ts";

const anyTopic = (name: string) =>
  topic(name, { key: string, value: json<never>(), partitions: 1, owner: "tests" });

/** Two streams that are written to a topic; a test puts operators between. */
const [drawn] = pipeline("rig", ({ from }) =>
  from(anyTopic("left"))
    .merge("both", from(anyTopic("right")))
    .to(anyTopic("out")),
).plan().parts as [Part];
const [left, right, both, out] = drawn.nodes as [PlanNode, PlanNode, PlanNode, PlanNode];

const storing = (
  id: number,
  store: string,
  inputs: readonly number[],
  work: MakeOperator,
): PlanNode => {
  const operation = { kind: "own", store: { name: store } } as Operation;
  const facts: OperatorFacts = { work };
  return { id, name: `own-${String(id)}`, operation, facts, inputs, site: "" };
};

/** What comes out, as texts, of records by topic and value. */
async function ran(nodes: readonly PlanNode[], records: readonly (readonly [string, string])[]) {
  const program = compile(
    { ...drawn, nodes, groups: groupsOf(nodes) },
    {
      onError: "dead-letter",
      onBroken: () => undefined,
      keyOf: (_node, key) => String(key),
      keepingOf: () => plainKeeping,
      emitterOf: () => (value, cursor) => {
        const text = Buffer.from(String(value));
        cursor.stage.outputs.push({ ...cursor.record.raw, topic: "out", value: text });
        return true;
      },
    },
  );
  const entries = new Map<string, StateEntry | null>();
  const loads: string[] = [];
  const stores: TaskStores = {
    view: (store) => ({
      add: () => undefined,
      get: ({ id }) => entries.get(`${store}/${id}`) ?? null,
      set: ({ id }, entry) => void entries.set(`${store}/${id}`, entry),
    }),
    load: (store, keys) => Promise.resolve(void loads.push(`${store}: ${[...keys.keys()].join()}`)),
    mark: () => 0,
    rollback: () => undefined,
    nextDueMs: () => Infinity,
    due: () => Promise.resolve([]),
    dueAgain: () => undefined,
    dueDone: () => undefined,
    dueSince: () => [],
  };
  const timed = records.map(([name, value], i) => {
    const record = { ...raw(undefined), topic: name, offset: BigInt(i), key: Buffer.from("k") };
    return {
      record: { raw: record, value, context: { ...record, key: "k" }, originMs: i },
      ...{ movesToMs: i, watermark: i },
    };
  });
  const { calls } = new TestCalls();
  const watermarkOf = (_at: number, watermark: number): number => watermark;
  const batch = { records: timed, stores, calls, book: new CallBook(), watermarkOf };
  const result = await runBatch(program, batch);
  return { texts: result.outputs.map(({ value }) => String(value)), loads };
}

test("a record sees what the other input had said before it, and nothing that came later", async () => {
  const join: MakeOperator = (_node, { at, next }): Operator => ({
    at,
    stores: ["s"],
    keys: ownKeys("s", false),
    work({ input, key, value }, views) {
      if (key === null) return;
      const view = views.view("s");
      if (input === 1) view.set(key, { value, timestamp: 0, dueMs: null });
      else next(`${String(value)} of ${String(view.get(key)?.value ?? "none")}`);
    },
  });
  const nodes = [left, right, storing(both.id, "s", both.inputs, join), out];
  const { texts, loads } = await ran(nodes, [
    ["left", "a"],
    ["right", "1"],
    ["left", "b"],
    ["left", "c"],
    ["right", "2"],
    ["left", "d"],
  ]);
  assert.deepEqual(texts, ["a of none", "b of 1", "c of 1", "d of 2"]);
  assert.deepEqual(loads, ["s: k"]);
});

test("two operators that share a store are one group, worked record by record", async () => {
  const adding: MakeOperator = ({ name }, { at, next }): Operator => ({
    at,
    stores: ["s"],
    keys: ownKeys("s", false),
    work({ key, value, origin }, views) {
      if (key === null) return;
      const view = views.view("s");
      const sum = `${String(view.get(key)?.value ?? "")}${String(value)}`;
      view.set(key, { value: sum, timestamp: 0, dueMs: null });
      next(`${name} ${sum} at ${String(origin.offset)}, ${String(origin.time)}`);
    },
  });
  const nodes = [
    ...[left, right, storing(20, "s", [left.id], adding), storing(21, "s", [right.id], adding)],
    { ...both, inputs: [20, 21] },
    out,
  ];
  assert.deepEqual(groupsOf(nodes), [[20, 21]]);
  const { texts } = await ran(nodes, [
    ["left", "a"],
    ["right", "b"],
    ["left", "c"],
  ]);
  assert.deepEqual(texts, ["own-20 a at 0, 0", "own-21 ab at 1, 1", "own-20 abc at 2, 2"]);
});

test("a group stands behind every group that feeds it; one that feeds itself is refused", () => {
  const none: MakeOperator = () => () => undefined;
  const nodes = [
    left,
    storing(20, "late", [left.id], none),
    storing(21, "early", [left.id], none),
    storing(22, "late", [21], none),
    storing(23, "last", [20], none),
  ];
  assert.deepEqual(groupsOf(nodes), [[21], [20, 22], [23]]);
  const ring = [left, storing(20, "one", [left.id], none), storing(21, "other", [20], none)];
  const again = [...ring, storing(22, "one", [21], none)];
  assert.throws(() => groupsOf(again), /feed each other/);
});
