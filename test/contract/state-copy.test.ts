// The suite of copies on those in memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryCopies } from "../../src/engine/state/memory-copy.ts";
import { dueIndexContract } from "./due-index.ts";
import { aStore, begin, look, stateCopyContract } from "./state-copy.ts";

const fixture = async () => {
  const copies = memoryCopies();
  return { copies: () => copies, close: () => Promise.resolve() };
};

stateCopyContract("in memory", fixture);
dueIndexContract("in memory", fixture);

test("a copy in memory outlives the task that used it", async () => {
  const copies = memoryCopies();
  const store = aStore();
  await begin(copies.copy(store), 7, { a: "1" });
  assert.deepEqual(await look(copies.copy({ ...store }), "a"), [7n, "1"]);
});
