import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { avro, json, pipeline, postgresTable, string, topic, type Pipeline } from "#engine";
import { ledgerVerb } from "../../src/cli/ledger.ts";
import { offsetsVerb } from "../../src/cli/offsets.ts";
import { Fleet } from "../support/fleet.ts";
import { fleetCommand, jsonOf } from "../support/fleet-command.ts";
import { things, type Thing } from "../support/plans.ts";

const input = things("in", 1);
const output = things("out", 1);
const copy = pipeline("copy", ({ from }) => {
  from(input).to(output);
});
const rows = postgresTable<Thing>("rows", {
  row: avro<Thing>({
    type: "record",
    name: "Row",
    fields: [
      { name: "id", type: "string" },
      { name: "n", type: "int" },
    ],
  }),
  key: ["id"],
});
const sink = pipeline("sink", ({ from }) => {
  from(input).upsertInto(rows);
});
const sums = topic("sums", { key: string, value: json<number>(), partitions: 1, owner: "tests" });
const summed = pipeline("summed", ({ from }) => {
  from(input)
    .groupByKey()
    .sum("total", (t) => t.n)
    .to(sums);
});
const rekeyed = pipeline("rekeyed", ({ from }) => {
  from(input)
    .rekey("by-id", (t) => t.id, { key: string })
    .groupByKey()
    .sum("total", (t) => t.n)
    .to(sums);
});

const numbered = (...ns: readonly number[]): Thing[] => ns.map((n) => ({ id: "k", n }));

async function run(fleet: Fleet): Promise<void> {
  const { worker } = await fleet.join();
  await fleet.drained();
  await fleet.during(worker.stop());
}

/** Ran over these records, and stopped. */
async function ran(use: Pipeline, ...ns: readonly number[]): Promise<Fleet> {
  const fleet = new Fleet([use]);
  if (ns.length > 0) await fleet.send(input.name, numbered(...ns));
  await run(fleet);
  return fleet;
}

const offsets = (fleet: Fleet, ...argv: string[]) =>
  fleetCommand(fleet, offsetsVerb, ["offsets", ...argv]);
const out = (fleet: Fleet): number[] => fleet.values(output).map(({ n }) => n);

interface Shown {
  readonly part: string;
  readonly committed: number | null;
  readonly hint: number | null;
  readonly epoch: number | null;
  readonly owner: string | null;
  readonly lag: number;
}
const shown = async (fleet: Fleet): Promise<Shown> => {
  const [first] = jsonOf<Shown>(
    await offsets(fleet, "show", fleet.plans[0]?.pipeline ?? "", "--json"),
  );
  return first ?? assert.fail("a place is shown");
};

test("show tells progress, the ends of the log, lag and the owner", async () => {
  const fleet = await ran(copy, 1, 2, 3);
  await fleet.send(input.name, numbered(4));
  const { code, out: lines } = await offsets(fleet, "show", "copy");
  assert.equal(code, 0);
  assert.match(
    lines[0] ?? "",
    /^PART +TOPIC +PARTITION +COMMITTED +LOW +HIGH +LAG +HINT +EPOCH +STREAM TIME +OWNER$/,
  );
  assert.match(lines[1] ?? "", /^main +in +0 +3 +0 +4 +1 +- +- +- +millrace-w1$/);
});

test("of a table it shows the progress row beside the hint", async () => {
  const { part, committed, hint, epoch } = await shown(await ran(sink, 1, 2, 3));
  assert.deepEqual(
    { part, committed, hint, epoch },
    { part: "rows", committed: 3, hint: 3, epoch: 1 },
  );
});

test("a reset shows what it would do, does it only with --yes, and what follows is read from there", async () => {
  const fleet = await ran(copy, 1, 2, 3);
  const argv = ["reset", "copy", "--to", "offset:1"];
  for (const [more, code] of [
    [["--dry-run"], 0],
    [[], 2],
  ] as const) {
    const result = await offsets(fleet, ...argv, ...more);
    assert.equal(result.code, code);
    assert.match(result.out[1] ?? "", /^main +in +0 +3 +1$/);
    assert.equal((await shown(fleet)).committed, 3);
  }
  assert.equal((await offsets(fleet, ...argv, "--yes")).code, 0);
  await run(fleet);
  assert.deepEqual(out(fleet), [1, 2, 3, 2, 3]);
});

test("it says how many dead letters are over with it", async () => {
  const fleet = await ran(copy, 1, 2);
  await fleet.send(input.name, [Buffer.from("no json")]);
  await run(fleet);
  const argv = ["reset", "copy", "--to", "earliest"];
  for (const more of ["--dry-run", "--yes"]) {
    const { code, err } = await offsets(fleet, ...argv, more);
    assert.equal(code, 0);
    assert.match(err.join("\n"), /Open dead letters that are over then, .*: 1$/);
  }
  assert.doesNotMatch((await offsets(fleet, ...argv, "--dry-run")).err.join("\n"), /dead letters/);
});

test("the ledger of what was moved begins at zero, and balances from there", async () => {
  const fleet = await ran(copy, 1, 2, 3);
  await offsets(fleet, "reset", "copy", "--to", "offset:1", "--yes");
  assert.deepEqual(await fleet.ledger("main"), {});
  await run(fleet);
  assert.deepEqual(await fleet.ledger("main"), { consumed: 2, emitted: 2 });
  assert.equal((await fleetCommand(fleet, ledgerVerb, ["ledger", "check"])).code, 0);
});

test("while the group has members a reset is refused, and a dry run says so", async () => {
  for (const use of [copy, sink]) {
    const fleet = new Fleet([use]);
    await fleet.send(input.name, numbered(1, 2));
    await fleet.join();
    await fleet.drained();
    const argv = ["reset", use.name, "--to", "earliest"];
    const dry = await offsets(fleet, ...argv, "--dry-run");
    assert.deepEqual([dry.code, dry.err.length], [0, 1]);
    const { code, err } = await offsets(fleet, ...argv, "--yes");
    assert.equal(code, 5);
    const named = `group ${use.name}\\.\\w+ has \\S+ at \\S+`;
    assert.match(dry.err[0] ?? "", new RegExp(`^It would wait for members to leave: ${named}$`));
    assert.match(err[0] ?? "", new RegExp(`^waiting up to 15 s for members to leave: ${named}$`));
    assert.match(err[1] ?? "", new RegExp(`^MILL_OFFSETS_ACTIVE .*: ${named}$`));
    const atMs = fleet.clock.now();
    const hasty = await offsets(fleet, ...argv, "--yes", "--no-wait");
    assert.deepEqual([hasty.code, fleet.clock.now()], [5, atMs]);
    assert.match(hasty.err[0] ?? "", new RegExp(`^MILL_OFFSETS_ACTIVE .*: ${named}$`));
    assert.equal((await shown(fleet)).committed, 2);
  }
});

test("a reset waits for a member that goes, and is of the places where it has left its tasks", async () => {
  const fleet = new Fleet([copy]);
  await fleet.send(input.name, numbered(1, 2));
  const { worker } = await fleet.join();
  await fleet.drained();
  const producer = fleet.kafka.port().producer();
  const [value] = numbered(3).map((thing) => Buffer.from(JSON.stringify(thing)));
  const at = { topic: input.name, partition: 0, key: null, headers: [], timestamp: 0 };
  const leaving = fleet.clock
    .sleep(1_000)
    .then(() => producer.send([{ ...at, value: value ?? null }]))
    .then(() => fleet.clock.sleep(3_000))
    .then(() => worker.stop());
  const { code, out: lines } = await offsets(fleet, "reset", "copy", "--to", "shift:-1", "--yes");
  await leaving;
  assert.equal(code, 0);
  assert.match(lines[1] ?? "", /^main +in +0 +3 +2$/);
  assert.equal((await shown(fleet)).committed, 2);
});

test("who may not confirm does not wait", async () => {
  const fleet = new Fleet([copy]);
  await fleet.send(input.name, numbered(1, 2));
  await fleet.join();
  await fleet.drained();
  const atMs = fleet.clock.now();
  assert.equal((await offsets(fleet, "reset", "copy", "--to", "earliest")).code, 2);
  assert.equal(fleet.clock.now(), atMs);
});

test("a reset of a table moves the progress row under a raised epoch, and the hint with it", async () => {
  const fleet = await ran(sink, 1, 2, 3);
  assert.equal((await offsets(fleet, "reset", "sink", "--to", "earliest", "--yes")).code, 0);
  const { committed, hint, epoch, lag } = await shown(fleet);
  assert.deepEqual({ committed, hint, epoch, lag }, { committed: 0, hint: 0, epoch: 2, lag: 3 });
  await run(fleet);
  assert.equal((await fleet.ledger("rows"))["consumed"], 3);
});

test("places are earliest, latest, an offset, a time, a duration, a shift or a file", async () => {
  const fleet = await ran(copy, 1, 2);
  await fleet.clock.advance(3_600_000);
  const atMs = fleet.clock.now();
  await fleet.send(input.name, numbered(3, 4));
  await run(fleet);
  const file = join(mkdtempSync(join(tmpdir(), "millrace-offsets-")), "to.csv");
  writeFileSync(file, "topic,partition,offset\nin,0,1\n");
  const expected: [string, string][] = [
    ["earliest", "0"],
    ["latest", "4"],
    ["offset:3", "3"],
    [`time:${new Date(atMs).toISOString()}`, "2"],
    ["duration:PT30M", "2"],
    ["duration:P1D", "0"],
    ["shift:-3", "1"],
    ["shift:+0", "4"],
    [`file:${file}`, "1"],
  ];
  for (const [to, place] of expected) {
    const { out: lines } = await offsets(fleet, "reset", "copy", "--to", to, "--dry-run");
    assert.match(lines[1] ?? "", new RegExp(`^main +in +0 +4 +${place}$`), to);
  }
});

test("what cannot be a place is refused and changes nothing", async () => {
  const fleet = await ran(copy, 1, 2);
  const stray = join(mkdtempSync(join(tmpdir(), "millrace-offsets-")), "to.csv");
  writeFileSync(stray, "other,0,1\n");
  const wrong: [string, number, RegExp][] = [
    ["offset:3", 2, /MILL_OFFSETS_OUTSIDE .*in-0 at 3, it has 0 to 2/],
    ["shift:-3", 2, /MILL_OFFSETS_OUTSIDE .*in-0 at -1/],
    ["yesterday", 2, /MILL_USAGE .*expected earliest, latest, offset:N/],
    ["duration:1h", 2, /MILL_USAGE .*PT1H/],
    [`file:${stray}`, 2, /MILL_USAGE .*other-0/],
    ["file:/nowhere.csv", 3, /MILL_NOT_FOUND/],
  ];
  for (const [to, code, message] of wrong) {
    const result = await offsets(fleet, "reset", "copy", "--to", to, "--yes");
    assert.equal(result.code, code, to);
    assert.match(result.err[0] ?? "", message);
  }
  for (const argv of [
    ["--part", "none"],
    ["--topic", "none"],
    ["--partition", "7"],
  ])
    assert.equal((await offsets(fleet, "reset", "copy", "--to", "earliest", ...argv)).code, 3);
  assert.equal((await shown(fleet)).committed, 2);
});

const total = (fleet: Fleet): number | undefined => fleet.values(sums).at(-1);

for (const use of [summed, rekeyed])
  test(`${use.name}: going back over records that a store has counted is refused`, async () => {
    const fleet = await ran(use, 1, 2, 3);
    const { code, err } = await offsets(
      fleet,
      "reset",
      use.name,
      "--part",
      "main",
      "--to",
      "offset:1",
      "--yes",
    );
    assert.equal(code, 5);
    assert.match(err[0] ?? "", /MILL_OFFSETS_STATE .*in-0 from 3 back to 1, behind it: total$/);
    assert.equal((await shown(fleet)).committed, 3);
  });

for (const use of [summed, rekeyed])
  test(`${use.name}: --with-state empties the stores, and every record is counted once again`, async () => {
    const fleet = await ran(use, 1, 2, 3);
    const {
      code,
      out: lines,
      err,
    } = await offsets(fleet, "reset", use.name, "--to", "earliest", "--with-state", "--yes");
    assert.deepEqual([code, err], [0, []]);
    assert.equal(lines.at(-1), "stores emptied: total");
    await fleet.send(input.name, numbered(4));
    await run(fleet);
    assert.deepEqual(fleet.values(sums), [1, 3, 6, 1, 3, 6, 10]);
  });

test("going on past records that were not read is allowed, and the store lacks them", async () => {
  const fleet = await ran(summed, 1, 2);
  await fleet.send(input.name, numbered(100));
  assert.equal((await offsets(fleet, "reset", "summed", "--to", "latest", "--yes")).code, 0);
  await fleet.send(input.name, numbered(3));
  await run(fleet);
  assert.equal(total(fleet), 6);
});

test("--with-state is for a whole pipeline, from its beginning", async () => {
  const fleet = await ran(summed, 1);
  for (const argv of [
    ["--to", "latest"],
    ["--to", "earliest", "--part", "main"],
  ])
    assert.equal(
      (await offsets(fleet, "reset", "summed", "--with-state", "--yes", ...argv)).code,
      2,
    );
});

test("a reset with stores that dies half-way lets nobody read, and can be repeated", async () => {
  const fleet = await ran(summed, 1, 2, 3);
  const argv = ["reset", "summed", "--to", "earliest", "--with-state", "--yes"];
  const copies = fleet.copies.copy({ prefix: "summed", store: "total", partition: 0 });
  const broken = {
    ...fleet.copies,
    copy: () => ({ ...copies, remove: () => Promise.reject(new Error("away")) }),
  };
  Object.assign(fleet, { copies: broken });
  assert.equal((await offsets(fleet, ...argv)).code, 1);
  Object.assign(fleet, { copies: { ...broken, copy: () => copies } });
  const { worker } = await fleet.join();
  await fleet.clock.advance(5_000);
  assert.match(worker.whyPaused.join(), /an offsets reset has not ended; .* run it again/);
  await fleet.during(worker.stop());
  assert.equal((await offsets(fleet, ...argv)).code, 0);
  await run(fleet);
  assert.equal(total(fleet), 6);
});

/** The command that a stopped task names, as it is printed. */
async function commandOfStop(fleet: Fleet, code: string): Promise<string[]> {
  const { worker } = await fleet.join();
  await fleet.until("the task stops", () => worker.health()[0]?.state === "stopped");
  const [task] = worker.health();
  assert.ok(task?.state === "stopped");
  assert.equal(task.code, code);
  await fleet.during(worker.stop());
  const [, command] = /npx millrace offsets (.+)$/.exec(task.message) ?? [];
  return (command ?? assert.fail(task.message)).split(" ");
}

for (const use of [copy, sink, summed])
  test(`${use.name}: after a gap of retention, the command that the error names leads on`, async () => {
    const fleet = await ran(use, 1);
    await fleet.send(input.name, numbered(2, 3, 4));
    await fleet.deleteRecords(input.name, 3n);
    const argv = await commandOfStop(fleet, "MILL_SOURCE_OFFSET_GONE");
    assert.equal((await offsets(fleet, ...argv, "--yes")).code, 0);
    await run(fleet);
    assert.equal((await shown(fleet)).committed, 4);
  });

for (const use of [copy, summed])
  test(`${use.name}: after its progress was lost, the command that the error names leads on`, async () => {
    const fleet = await ran(use, 1, 2, 3);
    fleet.kafka.forgetProgress(`${use.name}.main`);
    const argv = await commandOfStop(fleet, "MILL_SOURCE_PROGRESS_LOST");
    assert.equal((await offsets(fleet, ...argv, "--yes")).code, 0);
    await run(fleet);
    assert.equal((await shown(fleet)).committed, 3);
    if (use === summed) assert.equal(total(fleet), 6);
  });

/** The topic is deleted and made anew, with more records than the old one had. */
async function recreate(fleet: Fleet): Promise<void> {
  const admin = fleet.kafka.port().admin();
  await fleet.during(admin.deleteTopics([input.name]));
  fleet.kafka.createTopic({ topic: input.name, partitions: 1 });
  await fleet.send(input.name, numbered(10, 20, 30, 40));
}

for (const use of [copy, sink, summed])
  test(`${use.name}: a topic that was made anew is not gone on with, until the command says where`, async () => {
    const fleet = await ran(use, 1, 2, 3);
    await recreate(fleet);
    const argv = await commandOfStop(fleet, "MILL_SOURCE_TOPIC_RECREATED");
    assert.equal((await offsets(fleet, ...argv, "--yes")).code, 0);
    await run(fleet);
    const [part] = fleet.plans[0]?.parts ?? [];
    assert.equal((await fleet.ledger(part?.name ?? ""))["consumed"], 4);
    // Nothing of the old topic lies in the new one: all of it counts.
    if (use === summed) assert.equal(total(fleet), 106);
  });
