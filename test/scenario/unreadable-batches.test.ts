// A batch that can never be read stops its task behind everything in front of it, and no other; the command that the stop
// prints passes over it.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Pipeline } from "#engine";
import { offsetsVerb } from "../../src/cli/offsets.ts";
import { BatchError } from "../../src/engine/core/errors.ts";
import { readRange } from "../../src/engine/core/read-range.ts";
import { fleetCommand } from "../support/fleet-command.ts";
import { Fleet } from "../support/fleet.ts";
import {
  copy,
  input,
  isIn,
  numbered,
  rows,
  sink,
  stopOn,
  summed,
  taskOn,
  wrong,
} from "../support/stopping.ts";

const [one] = [{ topic: input.name, partition: 0 }];

beforeEach(() => void wrong.clear());

const partOf = (use: Pipeline): string => (use === sink ? rows.name : "main");

for (const use of [copy, summed, sink]) {
  test(`${use.name}: everything in front of it is committed, the neighbour goes on, the printed command passes over it`, async () => {
    const fleet = new Fleet([use]);
    await fleet.send(input.name, numbered(1, 2, 3, 4, 5));
    fleet.kafka.spoil({ ...one, offset: 2n }, "MILL_BATCH_TOO_LARGE");
    const member = await fleet.join();
    await fleet.until("the task has stopped", () => isIn(member, 0, "stopped"));
    const task = taskOn(member, 0);
    assert.ok(task?.state === "stopped" && task.code === "MILL_BATCH_TOO_LARGE", task?.state);
    assert.match(task.message, /in-0, offsets 2 to 2: /);

    await fleet.send(input.name, numbered(6, 7), 1);
    const consumed = async (): Promise<number> =>
      (await fleet.ledger(partOf(use)))["consumed"] ?? 0;
    await fleet.clock.advance(60_000);
    assert.equal(await consumed(), 4, "two in front of it, two of the neighbour, nothing behind");
    assert.equal(stopOn(fleet, 0)?.code, "MILL_BATCH_TOO_LARGE");

    await fleet.during(member.worker.stop());
    const [, printed = ""] = /then: npx millrace (offsets reset .*)$/.exec(task.message) ?? [];
    assert.match(printed, /--topic in --partition 0 --to offset:3$/);
    const result = await fleetCommand(fleet, offsetsVerb, [...printed.split(" "), "--yes"]);
    assert.equal(result.code, 0, result.err.join("\n"));
    const again = await fleet.join();
    await fleet.drained();
    assert.ok(isIn(again, 0, "running"));
    // The ledger of what was moved begins at zero: 4 and 5 behind it, 6 and 7 of the neighbour.
    assert.equal(await consumed(), 4);
  });
}

test("a batch that turns up under a running task stops it, and is looked at again after a restart", async () => {
  const fleet = new Fleet([copy]);
  const member = await fleet.join();
  await fleet.send(input.name, numbered(1, 2));
  await fleet.drained();
  fleet.kafka.freeze(member.port);
  await fleet.send(input.name, numbered(3, 4));
  fleet.kafka.spoil({ ...one, offset: 3n }, "MILL_BATCH_CORRUPT");
  fleet.kafka.thaw(member.port);
  await fleet.until("the task has stopped", () => isIn(member, 0, "stopped"));
  await fleet.during(member.worker.stop());
  const again = await fleet.join();
  await fleet.until("it stops again", () => isIn(again, 0, "stopped"));
  const task = taskOn(again, 0);
  assert.ok(task?.state === "stopped" && task.code === "MILL_BATCH_CORRUPT");
});

test("a reader without a group says so, after the records in front of it", async () => {
  const fleet = new Fleet([copy]);
  await fleet.send(input.name, numbered(1, 2, 3));
  fleet.kafka.spoil({ ...one, offset: 2n }, "MILL_BATCH_FORMAT");
  const seen: bigint[] = [];
  const reading = async (): Promise<void> => {
    for await (const { records } of readRange(fleet.kafka.port(), { ...one, from: 0n, to: 3n }))
      seen.push(...records.map(({ offset }) => offset));
  };
  await assert.rejects(
    fleet.during(reading()),
    (error: unknown) => error instanceof BatchError && error.code === "MILL_BATCH_FORMAT",
  );
  assert.deepEqual(seen, [0n, 1n]);
});
