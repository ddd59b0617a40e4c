import assert from "node:assert/strict";
import { test } from "node:test";
import { CacheBudget } from "../../../src/engine/state/task-stores.ts";

test("stores share the bound evenly, and what a closed one leaves", () => {
  const budget = new CacheBudget(100);
  const one = budget.share({});
  one.add(80);
  assert.equal(one.isOver, false);
  const two = budget.share({});
  assert.equal(one.isOver, true);
  two.add(50);
  assert.equal(two.isOver, false);
  two.close();
  assert.equal(one.isOver, false);
  one.add(-30);
  one.add(51);
  assert.equal(one.isOver, true);
});

test("a store that is closed twice gives its share back once", () => {
  const budget = new CacheBudget(100);
  const [one, two] = [budget.share({}), budget.share({})];
  two.close();
  two.close();
  one.add(101);
  assert.equal(one.isOver, true);
  one.add(-1);
  assert.equal(one.isOver, false);
});
