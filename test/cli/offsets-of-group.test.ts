// `offsets reset --to group:NAME`: taking over from another program at the records that it has come to.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pipeline } from "#engine";
import { offsetsVerb } from "../../src/cli/offsets.ts";
import { Fleet } from "../support/fleet.ts";
import { fleetCommand } from "../support/fleet-command.ts";
import { things } from "../support/plans.ts";

const input = things("in", 2);
const output = things("out", 2);
const copy = pipeline("copy", ({ from }) => {
  from(input).to(output);
});

const reset = (fleet: Fleet, ...argv: string[]) =>
  fleetCommand(fleet, offsetsVerb, ["offsets", "reset", "copy", "--to", "group:loop", ...argv]);

/** Six records on two partitions; the group `loop` has committed these next offsets. */
async function handedOver(...committed: readonly bigint[]): Promise<Fleet> {
  const fleet = new Fleet([copy]);
  for (const partition of [0, 1])
    await fleet.send(
      input.name,
      [1, 2, 3].map((n) => ({ id: "k", n })),
      partition,
    );
  const admin = fleet.kafka.port().admin();
  const progress = committed.map((nextOffset, partition) => ({
    topic: input.name,
    partition,
    nextOffset,
    metadata: "",
  }));
  await fleet.during(admin.commitOffsets("loop", progress));
  return fleet;
}

test("a pipeline begins at the very records that another group has come to", async () => {
  const fleet = await handedOver(2n, 1n);
  assert.equal((await reset(fleet, "--yes")).code, 0);
  const { worker } = await fleet.join();
  await fleet.drained();
  await fleet.during(worker.stop());
  assert.deepEqual(
    fleet
      .values(output)
      .map(({ n }) => n)
      .sort(),
    [2, 3, 3],
  );
});

test("a partition of which the group says nothing is named, and nothing is changed", async () => {
  const { code, err } = await reset(await handedOver(1n), "--yes");
  assert.equal(code, 3);
  assert.match(
    err[0] ?? "",
    /MILL_NOT_FOUND .*what group loop has committed for in-1; say of these where they begin/,
  );
});

test("a group that nobody knows is not found", async () => {
  const { code, err } = await reset(await handedOver(), "--yes");
  assert.equal(code, 3);
  assert.match(err[0] ?? "", /what group loop has committed for in-0, in-1;/);
});

test("while the other program runs, its place is not taken", async () => {
  const fleet = await handedOver(1n, 1n);
  const consumer = fleet.kafka.port().consumer({
    group: "loop",
    topics: [input.name],
    identity: "loop",
    maxBytes: 1_000,
    sessionTimeoutMs: 10_000,
    heartbeatIntervalMs: 1_000,
    rebalanceTimeoutMs: 10_000,
  });
  let isAssigned = false;
  await fleet.during(
    consumer.start({
      onAssigned: () => {
        isAssigned = true;
        return Promise.resolve();
      },
      onRevoked: () => Promise.resolve(),
      onBatch: () => undefined,
      onOutOfRange: () => undefined,
      onUnreadable: () => undefined,
      onRefused: () => undefined,
      onFatal: (error) => {
        throw error;
      },
    }),
  );
  await fleet.until("the other program has joined", () => isAssigned);
  const { code, err } = await reset(fleet, "--yes");
  assert.equal(code, 5);
  assert.match(err[0] ?? "", /^waiting up to 15 s for members to leave: group loop has /);
  assert.match(err[1] ?? "", /MILL_OFFSETS_ACTIVE .*loop/);
});
