// The breaker: how many dead letters among the last records of a task halt its pipeline, exactly where, and until when.
import assert from "node:assert/strict";
import { test } from "node:test";
import { percent, pipeline, records } from "#engine";
import { Fleet, type FleetMember } from "../support/fleet.ts";
import { jsonOf } from "../support/fleet-command.ts";
import { gateOf, shut } from "../support/gating.ts";
import {
  source,
  target,
  totals,
  table,
  rule,
  exact,
  flows,
  falling,
  series,
  bads,
  goods,
  consumedOf,
  halted,
  resume,
  type Case,
  checkHalt,
} from "../support/halting.ts";

const cases: readonly Case[] = [
  { what: "25 among 500", records: series(500, (at) => at % 20 === 0), upTo: null },
  { what: "26 among 500", records: series(500, (at) => at % 20 === 0 || at === 499), upTo: 499 },
  { what: "the first 25 of all", records: bads(25), upTo: null },
  { what: "the first 26 of all", records: bads(26), upTo: 25 },
  {
    what: "25, and one 500 records after the first of them",
    records: series(501, (at) => at <= 25 || at === 501),
    upTo: null,
  },
  {
    what: "25, and one 499 records after the first of them",
    records: series(500, (at) => at <= 25 || at === 500),
    upTo: 499,
  },
  {
    what: "5 % for ever, evenly",
    records: series(3_000, (at) => at % 20 === 7),
    upTo: null,
  },
];

for (const [name, use] of [
  ["line", flows.line()],
  ["falling", falling()],
  ["sink", flows.sink()],
] as const)
  for (const { what, records: given, upTo } of cases)
    test(`${name}: ${what}: ${upTo === null ? "it goes on" : `halts behind ${String(upTo)}`}`, () =>
      checkHalt(use, given, upTo));

test("state knows nothing of the record that halts, nor of those behind it", async () => {
  const fleet = new Fleet([
    falling({ haltWhen: { deadLetters: { above: percent(0), per: records(10) } } }),
  ]);
  await fleet.join();
  const ns = [1, 2, -100, 4];
  await fleet.send(
    source.name,
    ns.map((n) => ({ id: "k", n })),
  );
  await halted(fleet);
  assert.deepEqual(fleet.values(totals), [1, 3]);
  const changes = fleet.kafka.records("falling-total-changelog", { committed: true });
  assert.equal(new Set(changes.map(({ value }) => String(value))).size, changes.length);
  assert.match(String(changes.at(-1)?.value), /3/);
  assert.equal(await consumedOf(fleet), 2);
});

test("of a sink's batch, what stands in front of the refused row that is too many is written, and nothing else", async () => {
  const fleet = new Fleet([flows.sink()]);
  let refusals = 0;
  fleet.tables.refuseRows((row) => {
    if (Number(row["n"]) % 10 !== 0) return null;
    refusals++;
    return { code: "23514", message: "no tens" };
  });
  await fleet.join();
  // 300 rows, of which 30 are refused, and 3 letters of a rule among them: the 26th is the 23rd refused row, at 230.
  await fleet.send(
    source.name,
    series(300, (at) => at === 5 || at === 55 || at === 105),
  );
  await halted(fleet);
  assert.ok(refusals > 23);
  assert.equal(await consumedOf(fleet), 229);
  assert.deepEqual(await fleet.ledger("kept"), {
    consumed: 229,
    "dead-lettered": 25,
    emitted: 204,
  });
  const rows = fleet.tables.rows(table).map((row) => Number(row["n"]));
  assert.deepEqual(rows.length, 204);
  assert.ok(Math.max(...rows) === 229);
  assert.equal(fleet.letters().length, 25);
});

test("a row that was hidden under one behind the halt is judged by itself", async () => {
  const haltWhen = { deadLetters: { above: percent(10), per: records(10) } };
  const fleet = new Fleet([flows.sink({ haltWhen })]);
  fleet.tables.refuseRows(({ n }) => (Number(n) >= 10 ? { code: "23514", message: "big" } : null));
  await fleet.join();
  // The second lies under the last until the fourth halts; without the last it is a letter itself, so the third halts.
  await fleet.send(source.name, [
    { id: "a", n: 1 },
    { id: "x", n: 20 },
    { id: "y", n: 30 },
    { id: "z", n: 40 },
    { id: "x", n: 5 },
  ]);
  await halted(fleet);
  assert.deepEqual(await fleet.ledger("kept"), { consumed: 2, "dead-lettered": 1, emitted: 1 });
  assert.deepEqual(
    fleet.tables.rows(table).map(({ n }) => n),
    [1],
  );
  assert.deepEqual(
    fleet.letters().map(({ offset }) => offset),
    ["1"],
  );
});

test("letters that only the checkpoint tells of halt the pipeline at the next record, and are no loop", async () => {
  const told = pipeline("told", exact, ({ from }) => {
    from(source)
      .groupBy("by-id", (t) => t.id)
      .sum("total", (t) => t.n, { emit: "checkpoint" })
      .toStream()
      .expect("good", (total) => total > 0, rule)
      .to(totals);
  });
  const fleet = new Fleet([told]);
  await fleet.join();
  // In one checkpoint: none of them is known to be a letter before it.
  await fleet.send(source.name, bads(60));
  await fleet.drained();
  assert.deepEqual(await fleet.ledger("by-id"), { consumed: 60, "dead-lettered": 60 });
  await fleet.send(source.name, [{ id: "next", n: 1 }]);
  await halted(fleet);
  assert.deepEqual(await fleet.ledger("by-id"), { consumed: 60, "dead-lettered": 60 });
  assert.equal((await resume(fleet)).code, 0);
  await fleet.drained();
  assert.deepEqual(fleet.values(totals), [1]);
  assert.equal(fleet.letters().length, 60);
});

test("halted stays halted over restarts and rebalances, in every worker, until it is resumed", async () => {
  const fleet = new Fleet([flows.line()]);
  const members: FleetMember[] = [await fleet.join(), await fleet.join()];
  await fleet.clock.advance(5_000);
  await fleet.send(source.name, goods(3), 1);
  await fleet.drained();
  await fleet.send(source.name, bads(30));
  await halted(fleet);
  const note = await gateOf(fleet);
  assert.deepEqual(
    [note?.state, note?.by, note?.code],
    ["halted", "breaker", "MILL_PIPELINE_HALTED"],
  );
  assert.match(
    note?.message ?? "",
    /main source-0 at offset 25: more than 25 among the last 500 records$/,
  );
  assert.ok(members.some(({ owner }) => owner === note?.owner));
  assert.equal(
    fleet.meter.counter("millrace_breaker_halts_total", { pipeline: "line", part: "main" }),
    1,
  );
  // The other worker's partition stands still too.
  await fleet.send(source.name, goods(3), 1);
  fleet.kafka.rebalance("line.main");
  await fleet.clock.advance(20_000);
  for (const member of members.splice(0)) await fleet.during(member.worker.stop());
  members.push(await fleet.join());
  await fleet.clock.advance(20_000);
  assert.equal(await consumedOf(fleet), 28);
  // It begins to count anew: the 5 that are left are no 26.
  const { code, out } = await resume(fleet);
  assert.equal(code, 0);
  assert.match(
    out[0] ?? "",
    /^line is halted since .*MILL_PIPELINE_HALTED .*\. To go on: npx millrace resume line$/,
  );
  assert.deepEqual(out.slice(1), ["line goes on"]);
  await fleet.drained();
  assert.equal(await consumedOf(fleet), 36);
  assert.equal(fleet.letters().length, 30);
  await fleet.send(source.name, bads(21));
  await halted(fleet);
  assert.equal(await consumedOf(fleet), 36 + 20);
});

test("what another task has staged is committed when the pipeline halts, and each record counts once", async () => {
  const fleet = new Fleet([flows.line()]);
  await fleet.join();
  await fleet.send(source.name, goods(100), 1);
  await fleet.send(source.name, [...goods(40), ...bads(40)]);
  await halted(fleet);
  await resume(fleet, "--no-wait");
  await fleet.drained();
  assert.equal(await consumedOf(fleet), 180);
  assert.equal(fleet.values(target).length, 140);
  assert.equal(fleet.letters().length, 40);
});

for (const [how, make] of [
  ["never", () => new Fleet([flows.line({ haltWhen: "never" })])],
  ["off for a run", () => new Fleet([flows.line()], { breaker: false })],
] as const)
  test(`${how}: it goes on whatever comes`, async () => {
    const fleet = make();
    await fleet.join();
    await fleet.send(source.name, bads(600));
    await fleet.drained();
    assert.equal(await gateOf(fleet), null);
    assert.equal(await consumedOf(fleet), 600);
  });

test("off for a run, what is halted stays halted", async () => {
  const on = new Fleet([flows.line()], { breaker: false });
  await shut(on, "halted");
  await on.join();
  await on.send(source.name, goods(1));
  await on.clock.advance(10_000);
  assert.equal(await consumedOf(on), 0);
});

test("a share and a window of one's own", async () => {
  const haltWhen = { deadLetters: { above: percent(29), per: records(100) } };
  const fleet = new Fleet([flows.line({ haltWhen })]);
  await fleet.join();
  await fleet.send(source.name, bads(29));
  await fleet.drained();
  assert.equal(await gateOf(fleet), null);
  await fleet.send(source.name, bads(1));
  await halted(fleet);
  assert.equal(await consumedOf(fleet), 29);
});

test("the note cannot be written for a while: the task stands still meanwhile, and the note follows", async () => {
  const fleet = new Fleet([flows.line()]);
  const member = await fleet.join();
  await fleet.drained();
  let failed = 0;
  fleet.watcher = ({ worker, request }) => {
    if (worker !== member.life || request !== "produce" || failed >= 5) return;
    failed++;
    throw new Error("no rights");
  };
  await fleet.send(source.name, bads(30));
  await fleet.until("it was tried", () => failed === 5);
  assert.equal(await gateOf(fleet), null);
  await halted(fleet);
  assert.equal(await consumedOf(fleet), 25);
});

test("resume shows what halted it without opening it, refuses a part of it, and what another command holds", async () => {
  const fleet = new Fleet([flows.line()]);
  await fleet.join();
  await fleet.send(source.name, bads(26));
  await halted(fleet);
  const shown = await resume(fleet, "--dry-run", "--json");
  const [one] = jsonOf<Record<string, unknown>>(shown);
  assert.deepEqual(
    [one?.["pipeline"], one?.["state"], one?.["by"], one?.["code"], one?.["outcome"]],
    ["line", "halted", "breaker", "MILL_PIPELINE_HALTED", null],
  );
  assert.equal((await resume(fleet, "--part", "main")).code, 2);
  assert.equal((await gateOf(fleet))?.state, "halted");
  const json = await resume(fleet, "--json");
  assert.equal(jsonOf<{ outcome: string }>(json)[0]?.outcome, "running");
  await shut(fleet, "closed");
  const refused = await resume(fleet);
  assert.equal(refused.code, 5);
  assert.match(refused.err.join(), /MILL_GATE_HELD .*held by promote of run 7/);
  assert.equal((await resume(fleet, "--force", "--no-wait")).code, 0);
  assert.equal(await gateOf(fleet), null);
});
