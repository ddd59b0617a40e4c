// Somebody else commits offsets of a pipeline's group, or writes its progress row: what cannot be read stops the task with its
// place and the command that leads on; its neighbour goes on, and no sum is spoilt.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { json, pipeline, seconds, string, topic, tumbling, type Pipeline } from "#engine";
import { ledgerVerb } from "../../src/cli/ledger.ts";
import { offsetsVerb } from "../../src/cli/offsets.ts";
import { decodeMetadata, wrongMetadata } from "../../src/engine/core/task-inputs.ts";
import type { TaskHealth } from "../../src/engine/observe/health.ts";
import { fleetCommand } from "../support/fleet-command.ts";
import { Fleet } from "../support/fleet.ts";
import { input, isIn, numbered, rows, sink, summed, taskOn, wrong } from "../support/stopping.ts";

beforeEach(() => void wrong.clear());

const ledger = (text: string): string => `{"v":1,"owner":"w","ledger":${text}}`;
/** Metadata of nobody, of a later release, and such that would spoil sums, times or loops. */
const garbage: readonly string[] = [
  ...["{garbage", "abc", "null", "[]", "{}", '{"v":2,"owner":"w","ledger":{}}', '{"v":1}'],
  ...[ledger("null"), ledger("7"), ledger("[]"), ledger('{"consumed":"7"}')],
  ...[ledger('{"consumed":1e308}'), ledger('{"consumed":-1}'), ledger('{"emitted":0.5}')],
  ...[ledger('{"filtered":null}'), ledger('{"filtered":{"a":"1"}}'), ledger('{"filtered":[1]}')],
  ...[ledger('{"consumed":{"valueOf":1,"toString":2}}'), ledger('{"__proto__":{"consumed":1}}')],
  '{"v":1,"owner":"w","time":8640000000000001,"ledger":{}}',
  '{"v":1,"owner":"w","time":"1","ledger":{}}',
  '{"v":1,"owner":"w","load":"x","ledger":{}}',
  '{"v":1,"owner":"w","load":99999999999999999999,"ledger":{}}',
  `{"v":1,"owner":${"[".repeat(1_000)}1${"]".repeat(1_000)},"ledger":{}}`,
];

test("metadata that Millrace does not write is known for that, and none of it ends in an error", () => {
  for (const text of garbage) {
    assert.notEqual(wrongMetadata(text), null, text.slice(0, 80));
    assert.equal(decodeMetadata(text), null, text.slice(0, 80));
  }
  assert.equal(wrongMetadata(""), null);
});

async function damaged(metadata: string, flow: Pipeline = summed): Promise<Fleet> {
  const fleet = new Fleet([flow]);
  const member = await fleet.join();
  for (const partition of [0, 1]) await fleet.send(input.name, numbered(1, 2), partition);
  await fleet.drained();
  await fleet.during(member.worker.stop());
  const admin = fleet.kafka.port().admin();
  const at = [{ topic: input.name, partition: 0 }];
  const group = `${flow.plan().pipeline}.main`;
  const [found] = await fleet.during(admin.committed(group, at, { stable: true }));
  assert.ok(found !== undefined && found.nextOffset !== null);
  const progress = { ...found, nextOffset: found.nextOffset, metadata };
  await fleet.during(admin.commitOffsets(group, [progress]));
  return fleet;
}

const stopped = (task: TaskHealth | undefined): string =>
  task?.state === "stopped" ? `${task.code} ${task.message}` : String(task?.state);

const reset = (fleet: Fleet, message: string) => {
  const [command = ""] = /npx millrace (offsets reset .*)$/.exec(message)?.slice(1) ?? [];
  return fleetCommand(fleet, offsetsVerb, [...command.split(" "), "--yes"]);
};

test("a task whose metadata is garbage stops, its neighbour goes on, and the command of its message leads on", async () => {
  const fleet = await damaged(ledger('{"consumed":"7"}'));
  const member = await fleet.join();
  for (const partition of [0, 1]) await fleet.send(input.name, numbered(4), partition);
  await fleet.until("it stops", () => isIn(member, 0, "stopped"));
  const message = stopped(taskOn(member, 0));
  assert.match(
    message,
    /^MILL_PROGRESS_INVALID .*: group summed\.main, in-0 at 2: ledger\.consumed is no whole number .*npx millrace offsets reset summed --part main --topic in --partition 0 --to offset:2$/,
  );
  await fleet.until("its neighbour goes on", () => sumsOf(fleet).includes("7"));
  await fleet.clock.advance(2_000);
  assert.deepEqual(sumsOf(fleet), ["1", "1", "3", "3", "7"]);
  assert.equal((await fleetCommand(fleet, ledgerVerb, ["ledger", "check", "summed"])).code, 1);
  await fleet.during(member.worker.stop());
  const done = await reset(fleet, message);
  assert.equal(done.code, 0, done.err.join("\n"));
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(sumsOf(fleet), ["1", "1", "3", "3", "7", "7"]);
});

const sumsOf = (fleet: Fleet): string[] =>
  fleet.kafka
    .records("sums", { committed: true })
    .map(({ value }) => String(value))
    .sort();

test("metadata that an operator's tool has left out counts as before: nothing is known, and the task goes on", async () => {
  const fleet = await damaged("");
  await fleet.join();
  await fleet.send(input.name, numbered(4), 0);
  await fleet.drained();
  assert.deepEqual(sumsOf(fleet), ["1", "1", "3", "3", "7"]);
});

const counted = (isBetween: boolean): Pipeline =>
  pipeline("counted", ({ from }) => {
    const stream = from(input);
    const grouped = isBetween ? stream.groupBy("by-id", ({ id }) => id) : stream.groupByKey();
    grouped
      .windowedBy(tumbling({ size: seconds(10), grace: seconds(0) }))
      .count("by-tens", { emit: "close" })
      .toStream("row", (n) => n)
      .to(topic("counts", { key: string, value: json<number>(), partitions: 2, owner: "tests" }));
  });

for (const isBetween of [false, true])
  test(`K1: an offset without times is refused where windows close ${isBetween ? "behind the part" : "in it"}, and the command of its message leads on`, async () => {
    const fleet = await damaged("", counted(isBetween));
    const member = await fleet.join();
    await fleet.until("it stops", () => isIn(member, 0, "stopped"));
    assert.ok(isIn(member, 1, "running"));
    const message = stopped(taskOn(member, 0));
    assert.match(message, /^MILL_PROGRESS_INVALID .*in-0 at 2: .*committed without the times/);
    await fleet.during(member.worker.stop());
    const done = await reset(fleet, message);
    assert.equal(done.code, 0, done.err.join("\n"));
    const last = await fleet.join();
    await fleet.until("it goes on", () => isIn(last, 0, "running"));
  });

test("a progress row whose ledger cannot be read stops its task, and the command of its message leads on", async () => {
  const fleet = new Fleet([sink]);
  const first = await fleet.join();
  for (const partition of [0, 1]) await fleet.send(input.name, numbered(1), partition);
  await fleet.drained();
  await fleet.during(first.worker.stop());
  const task = { pipeline: "sink", part: "rows", topic: input.name, partition: 0 };
  fleet.tables.move(task, { ledger: null });
  const member = await fleet.join();
  await fleet.until("it stops", () => isIn(member, 0, "stopped"));
  const message = stopped(taskOn(member, 0));
  assert.match(
    message,
    /^MILL_PROGRESS_INVALID .*the progress row of in-0 at 1: its ledger is none\. .*offsets reset sink --part rows --topic in --partition 0 --to offset:1$/,
  );
  assert.ok(isIn(member, 1, "running"));
  await fleet.during(member.worker.stop());
  const done = await reset(fleet, message);
  assert.equal(done.code, 0, done.err.join("\n"));
  const last = await fleet.join();
  await fleet.send(input.name, [{ id: "other", n: 2 }], 0);
  await fleet.drained();
  assert.ok(isIn(last, 0, "running"));
  assert.equal(fleet.tables.rows(rows).length, 2);
});
