import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { pipeline } from "#engine";
import { noteRecord } from "../../src/engine/notes/notes.ts";
import { stopKey, stopText } from "../../src/engine/notes/stop-notes.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";
import { things } from "../support/plans.ts";
import { jsonOf } from "../support/fleet-command.ts";
import {
  copy,
  input,
  isIn,
  noted,
  numbered,
  output,
  resume,
  rows,
  stopOn,
  stops,
  wrong,
} from "../support/stopping.ts";

beforeEach(() => void wrong.clear());

/** One worker, whose tasks on both partitions have stopped. */
async function bothStopped(): Promise<{ fleet: Fleet; member: FleetMember }> {
  wrong.add(3);
  // A frozen worker stays a member for the length of every test.
  const fleet = new Fleet([copy], { sessionTimeoutMs: 120_000 });
  const member = await fleet.join();
  for (const partition of [0, 1]) await fleet.send(input.name, numbered(3), partition);
  await fleet.until("both are noted", () => [0, 1].every((p) => stopOn(fleet, p) !== null));
  return { fleet, member };
}

const wishes = (fleet: Fleet): string[] =>
  [...noted(fleet).keys()].filter((key) => key.startsWith("resume/"));

const reason =
  'a rule of the pipeline does not hold, and it says halt: expect "fits". To look again without a restart: npx millrace resume copy';

test("a dry run shows what has stopped, since when and why, and asks nobody", async () => {
  const { fleet, member } = await bothStopped();
  wrong.clear();
  const { code, out } = await resume(fleet, "copy", "--dry-run");
  assert.equal(code, 0);
  assert.match(out[0] ?? "", /^PART +TOPIC +PARTITION +STOPPED SINCE +CODE +REASON$/);
  const since = new Date(stopOn(fleet, 0)?.atMs ?? 0).toISOString();
  const cells = out.slice(1).map((line) => line.split(/ {2,}/));
  assert.deepEqual(
    cells.map(([part, topic, partition]) => [part, topic, partition]),
    [
      ["main", "in", "0"],
      ["main", "in", "1"],
    ],
  );
  assert.deepEqual(cells[0]?.slice(3), [since, "MILL_RULE_HALT", reason]);
  await fleet.clock.advance(20_000);
  assert.ok(isIn(member, 0, "stopped") && isIn(member, 1, "stopped"));
  assert.deepEqual(wishes(fleet), []);
});

test("--json prints one object a stopped task, with what became of it", async () => {
  const { fleet, member } = await bothStopped();
  const shown = jsonOf<object>(await resume(fleet, "copy", "--dry-run", "--json"));
  assert.equal(shown.length, 2);
  assert.deepEqual(shown[0], {
    part: "main",
    topic: "in",
    partition: 0,
    since: new Date(stopOn(fleet, 0)?.atMs ?? 0).toISOString(),
    code: "MILL_RULE_HALT",
    message: reason,
    owner: member.owner,
  });
  const again = await resume(fleet, "copy", "--partition", "0", "--json");
  assert.equal(again.code, 1);
  assert.deepEqual(jsonOf<object>(again), [
    { ...shown[0], outcome: "stopped", again: { code: "MILL_RULE_HALT", message: reason } },
  ]);
  wrong.clear();
  const mended = await resume(fleet, "copy", "--json");
  assert.equal(mended.code, 0);
  assert.deepEqual(
    jsonOf<{ outcome: string; again: unknown }>(mended).map((one) => [one.outcome, one.again]),
    [
      ["running", null],
      ["running", null],
    ],
  );
});

test("where nothing has stopped it says so", async () => {
  const fleet = new Fleet([copy]);
  await fleet.join();
  await fleet.drained();
  for (const more of [[], ["--json"], ["--partition", "1"]]) {
    const { code, out, err } = await resume(fleet, "copy", ...more);
    assert.deepEqual([code, out, err], [0, [], ["Nothing has stopped."]]);
  }
});

test("what there is not is said with what there is", async () => {
  const { fleet } = await bothStopped();
  const cases: [string[], number, RegExp][] = [
    [["none"], 3, /^MILL_NOT_FOUND .*pipeline none; there are: copy$/],
    [["copy", "--part", "none"], 3, /part of copy none; there are: main$/],
    [["copy", "--topic", "none"], 3, /no such topic and partition; there are: in$/],
    [["copy", "--partition", "2"], 3, /no such topic and partition; there are: in$/],
    [["copy", "--partition", "x"], 2, /^MILL_USAGE .*--partition/],
  ];
  for (const [argv, code, message] of cases) {
    const result = await resume(fleet, ...argv);
    assert.equal(result.code, code, argv.join(" "));
    assert.match(result.err[0] ?? "", message);
  }
  assert.deepEqual(wishes(fleet), []);
});

test("without a worker it says that the next start looks again, and asks nobody", async () => {
  const { fleet, member } = await bothStopped();
  await fleet.during(member.worker.stop());
  const startedMs = fleet.clock.now();
  const { code, out } = await resume(fleet, "copy");
  assert.equal(code, 0);
  assert.deepEqual(out.slice(3), [
    "main in-0: no worker runs; the next start looks again anyway",
    "main in-1: no worker runs; the next start looks again anyway",
  ]);
  assert.ok(fleet.clock.now() - startedMs < 1_000);
  assert.deepEqual(wishes(fleet), []);
});

test("--no-wait asks and leaves; the worker looks all the same", async () => {
  const { fleet, member } = await bothStopped();
  wrong.clear();
  const { code, out } = await resume(fleet, "copy", "--no-wait");
  assert.deepEqual([code, out.slice(3)], [0, ["main in-0: asked", "main in-1: asked"]]);
  assert.ok(isIn(member, 0, "stopped"));
  await fleet.until("both run", () => isIn(member, 0, "running") && isIn(member, 1, "running"));
  assert.equal(stops(fleet), 2);
});

test("a worker that gives no answer is not waited for without end", async () => {
  const { fleet, member } = await bothStopped();
  fleet.kafka.freeze(member.port);
  const startedMs = fleet.clock.now();
  const { code, out } = await resume(fleet, "copy", "--partition", "1");
  assert.equal(code, 1);
  assert.match(out.at(-1) ?? "", /^main in-1: no answer within 15 s/);
  const tookMs = fleet.clock.now() - startedMs;
  assert.ok(tookMs >= 15_000 && tookMs < 20_000, String(tookMs));
});

const parted = pipeline("parted", ({ from }) => {
  from(input).upsertInto(rows);
  from(output).to(things("other", 2));
});

test("stops stand in the order of parts, topics and partitions; those of parts that are no more are left out", async () => {
  const fleet = new Fleet([parted]);
  const meta = fleet.plans[0]?.meta ?? "";
  const names = fleet.plans[0]?.parts.map(({ name }) => name) ?? [];
  assert.deepEqual(names, ["main", "rows"]);
  const stop = {
    kind: "stopped",
    code: "MILL_RULE_HALT",
    message: "m",
    owner: "w",
    atMs: 1,
  } as const;
  const at = [
    { part: "rows", topic: "in", partition: 0 },
    { part: "main", topic: "out", partition: 1 },
    { part: "gone", topic: "in", partition: 0 },
    { part: "main", topic: "out", partition: 0 },
    { part: "main", topic: "gone", partition: 0 },
  ];
  await fleet.sendRecords(at.map((each) => noteRecord(meta, stopKey(each), stopText(stop))));
  const shown = await resume(fleet, "parted", "--dry-run", "--json");
  assert.deepEqual(
    jsonOf<(typeof at)[number]>(shown).map(({ part, topic, partition }) => [
      part,
      topic,
      partition,
    ]),
    [
      ["main", "out", 0],
      ["main", "out", 1],
      ["rows", "in", 0],
    ],
  );
});
