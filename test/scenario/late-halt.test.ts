// A task that halts when it has lost its partition already: what it learns late is no business of the task that has it now.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { pipeline } from "#engine";
import { MillraceError } from "../../src/engine/core/errors.ts";
import { Fleet } from "../support/fleet.ts";
import { input, isIn, numbered, sink, summed, sums, wrong } from "../support/stopping.ts";
import { TroubledCopies } from "../support/troubled-copies.ts";

beforeEach(() => void wrong.clear());

test("a task that learns late that it has halted does not stop its successor on the same worker", async () => {
  wrong.add(3);
  const fleet = new Fleet([sink]);
  const { promise, resolve } = Promise.withResolvers<void>();
  let replies = 0;
  fleet.wrapStore = (store) => ({
    ...store,
    commit: async (commit) => {
      const result = await store.commit(commit);
      if (++replies === 1) await promise;
      return result;
    },
  });
  const member = await fleet.join();
  await fleet.send(input.name, numbered(1, 2, 3));
  await fleet.until("the reply is on its way", () => replies === 1);
  fleet.kafka.rebalance("sink.rows");
  wrong.clear();
  await fleet.until("the successor has taken over", () => isIn(member, 0, "running"));
  await fleet.drained();
  resolve();
  await fleet.clock.advance(1_000);
  await fleet.send(input.name, numbered(4));
  await fleet.drained();
  assert.deepEqual(await fleet.ledger("rows"), { consumed: 4, emitted: 4 });
});

test("a task that ends late in a read of its state does not stop its successor", async () => {
  const fleet = new Fleet([summed]);
  const copies = new TroubledCopies();
  fleet.copies = copies;
  const member = await fleet.join();
  const send = (key: string, n: number): Promise<void> => {
    const at = { topic: input.name, partition: 0, headers: [], timestamp: fleet.clock.now() };
    const value = Buffer.from(JSON.stringify({ id: key, n }));
    return fleet.sendRecords([{ ...at, key: Buffer.from(key), value }]);
  };
  await send("a", 1);
  await fleet.drained();
  const applying = Promise.withResolvers<void>();
  const reading = Promise.withResolvers<void>();
  const calls: string[] = [];
  copies.onCall = (call, { partition }) => {
    if (partition !== 0 || calls.includes(call)) return;
    calls.push(call);
    if (call === "read") return reading.promise;
    if (call === "apply") return applying.promise;
  };
  // The copy cannot take what was decided, while keys of a later batch are read.
  await send("a", 2);
  await fleet.until("the copy is told", () => calls.includes("apply"));
  await send("b", 3);
  await fleet.until("keys are read", () => calls.includes("read"));
  applying.reject(new MillraceError("MILL_STATE_TYPE", "spoiled"));
  await fleet.clock.advance(1_000);
  fleet.kafka.rebalance("summed.main");
  await fleet.drained();
  reading.resolve();
  await fleet.clock.advance(1_000);
  assert.ok(isIn(member, 0, "running"));
  await send("a", 4);
  await fleet.drained();
  assert.deepEqual(fleet.values(sums), [1, 3, 3, 7]);
});

test("what a checkpoint could not tell halts its task, and nothing of that stage is committed later", async () => {
  const told = pipeline("told", { state: "memory" }, ({ from }) => {
    from(input)
      .groupByKey()
      .sum("total", (t) => t.n, { emit: "checkpoint" })
      .toStream()
      .expect("fits", (total) => total !== 3, { otherwise: "halt" })
      .to(sums);
  });
  const fleet = new Fleet([told]);
  const member = await fleet.join();
  await fleet.send(input.name, numbered(3));
  await fleet.until("the task has stopped", () => isIn(member, 0, "stopped"));
  await fleet.clock.advance(5_000);
  assert.deepEqual(await fleet.ledger("main"), {});
  assert.deepEqual(fleet.values(sums), []);
});
