// A batch that can never be read stops its task behind everything in front of it, and no other; the command that the stop
// prints passes over it.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Pipeline } from "#engine";
import { dlqVerb } from "../../src/cli/dlq/dlq.ts";
import { offsetsVerb } from "../../src/cli/offsets.ts";
import { stateVerb } from "../../src/cli/state.ts";
import { BatchError } from "../../src/engine/core/errors.ts";
import { readRange } from "../../src/engine/core/read-range.ts";
import { memoryCopies } from "../../src/engine/state/memory-copy.ts";
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

test("where it can be none of ours it is passed over, once and by name", async () => {
  const fleet = new Fleet([copy]);
  await fleet.send(input.name, numbered(1, 2, 3, 4));
  for (const offset of [1n, 3n]) fleet.kafka.spoil({ ...one, offset }, "MILL_BATCH_FORMAT");
  const [seen, unread]: [bigint[], bigint[]] = [[], []];
  let next = 0n;
  const reading = async (): Promise<void> => {
    const range = { ...one, from: 0n, to: 4n };
    const onUnreadable = ({ where }: BatchError): void => void unread.push(where.offset ?? -1n);
    for await (const read of readRange(fleet.kafka.port(), range, { onUnreadable })) {
      seen.push(...read.records.map(({ offset }) => offset));
      next = read.nextOffset;
    }
  };
  await fleet.during(reading());
  assert.deepEqual([seen, unread, next], [[0n, 2n], [1n, 3n], 4n]);
});

test("one in a changelog stops the takeover of its task alone, with the command that makes the stores anew", async () => {
  const fleet = new Fleet([summed]);
  const member = await fleet.join();
  await fleet.send(input.name, numbered(1, 2, 3), 0);
  await fleet.send(input.name, numbered(4), 1);
  await fleet.drained();
  await fleet.during(member.worker.stop());
  const changelog = { topic: "summed-total-changelog", partition: 0 };
  fleet.kafka.spoil({ ...changelog, offset: 0n }, "MILL_BATCH_TOO_LARGE");
  fleet.copies = memoryCopies();
  const again = await fleet.join();
  await fleet.until("the task has stopped", () => isIn(again, 0, "stopped"));
  const task = taskOn(again, 0);
  assert.ok(task?.state === "stopped" && task.code === "MILL_BATCH_TOO_LARGE");
  assert.match(
    task.message,
    /summed-total-changelog-0, offsets 0 to 0: .*--to earliest --with-state$/,
  );
  assert.ok(isIn(again, 1, "running"));
  const rebuilt = await fleetCommand(fleet, stateVerb, ["state", "rebuild", "summed"]);
  assert.equal(rebuilt.code, 1);
  assert.match(rebuilt.err[0] ?? "", /^MILL_BATCH_TOO_LARGE .*--to earliest --with-state$/);
  await fleet.during(again.worker.stop());
  const [, printed = ""] = /npx millrace (offsets reset .*)$/.exec(task.message) ?? [];
  const result = await fleetCommand(fleet, offsetsVerb, [...printed.split(" "), "--yes"]);
  assert.equal(result.code, 0, result.err.join("\n"));
  await fleet.join();
  await fleet.drained();
  const sums = fleet.kafka.records("sums", { committed: true }).map(({ value }) => String(value));
  assert.equal(sums.filter((sum) => sum === "6").length, 2, sums.join());
});

test("one among dead letters is no letter: the others are shown and go back, and it is named", async () => {
  const fleet = new Fleet([copy]);
  const member = await fleet.join();
  await fleet.send(input.name, [Buffer.from("no json"), Buffer.from("nor this")]);
  await fleet.drained();
  await fleet.during(member.worker.stop());
  const topic = fleet.plans[0]?.deadLetters ?? "";
  const [letter] = fleet.kafka.records(topic, { committed: true });
  const { partition = 0, offset = 0n } = letter ?? {};
  fleet.kafka.spoil({ topic, partition, offset }, "MILL_BATCH_CORRUPT");
  const listed = await fleetCommand(fleet, dlqVerb, ["dlq", "list", "copy", "--letters", "--json"]);
  assert.deepEqual([listed.code, listed.out.length], [0, 1]);
  assert.match(listed.err.join(), /^MILL_BATCH_CORRUPT .*it has no letters, and is passed over$/);
  const stats = await fleetCommand(fleet, dlqVerb, ["dlq", "stats", "copy"]);
  assert.ok(
    stats.out.some((line) => /^unread +1 batches/.test(line)),
    stats.out.join("\n"),
  );
});
