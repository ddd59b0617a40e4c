// The breaker as it is where a pipeline says nothing: what halts it, and how an operator allows more for once.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fleet } from "../support/fleet.ts";
import { gateOf } from "../support/gating.ts";
import {
  source,
  flows,
  falling,
  series,
  bads,
  goods,
  halted,
  resume,
  type Case,
  checkHalt,
} from "../support/halting.ts";

/** The default, of 5,000 records. */
const usual: readonly Case[] = [
  { what: "26 of one household within 500", records: series(500, (at) => at > 474), upTo: null },
  { what: "250 among 5,000", records: series(5_000, (at) => at % 20 === 0), upTo: null },
  {
    what: "251 among 5,000",
    records: series(5_000, (at) => at % 20 === 0 || at === 4_999),
    upTo: 4_999,
  },
  { what: "the first 251 of all", records: bads(251), upTo: 250 },
  {
    what: "250, and one 5,000 records after the first of them",
    records: series(5_001, (at) => at <= 250 || at === 5_001),
    upTo: null,
  },
];

for (const [name, use] of [
  ["line", flows.line({})],
  ["falling", falling({})],
  ["sink", flows.sink({})],
] as const)
  for (const { what, records: given, upTo } of usual)
    test(`${name}, by default: ${what}: ${upTo === null ? "it goes on" : `halts behind ${String(upTo)}`}`, () =>
      checkHalt(use, given, upTo));

test("a slow task is judged by ten minutes of its clock: more than 5 %, and 20 letters at least", async () => {
  const fleet = new Fleet([flows.line({})]);
  await fleet.join();
  const minute = async (goodOnes: number, badOnes: number): Promise<void> => {
    await fleet.send(source.name, [...goods(goodOnes), ...bads(badOnes)]);
    await fleet.clock.advance(60_000);
  };
  for (let i = 0; i < 20; i++) await minute(0, 1);
  assert.equal(
    await gateOf(fleet),
    null,
    "ten letters in ten minutes are few, be they all there is",
  );
  await fleet.clock.advance(600_000);
  for (let i = 0; i < 20; i++) await minute(57, 3);
  assert.equal(await gateOf(fleet), null, "5 %");
  await fleet.clock.advance(600_000);
  for (let i = 0; i < 10; i++) await minute(40, 3);
  const gate = await gateOf(fleet);
  assert.match(
    gate?.message ?? "",
    /main source-0 at offset \d+: \d+ of \d+ records within 10 minutes/,
  );
});

test("resume can allow more for once, in every worker; the next resume ends it", async () => {
  const fleet = new Fleet([flows.line()]);
  await fleet.join();
  await fleet.send(source.name, bads(26));
  await halted(fleet);
  const { code, err } = await resume(fleet, "--halt-above", "20%");
  assert.equal(code, 0);
  assert.match(err.join("\n"), /more than 20% dead letters halt it again/);
  await fleet.send(source.name, bads(74));
  await fleet.drained();
  fleet.kafka.rebalance("line.main");
  await fleet.join();
  await fleet.send(source.name, bads(101));
  await halted(fleet);
  assert.match((await gateOf(fleet))?.message ?? "", /more than 100 among the last 500 records/);
  await resume(fleet);
  await fleet.send(source.name, bads(40));
  await halted(fleet);
  assert.match((await gateOf(fleet))?.message ?? "", /more than 25 among the last 500 records/);
});

test("a worker can allow more while it runs, and never less than the pipeline says", async () => {
  for (const [haltAbove, letters] of [
    [0.2, 100],
    [0.01, 25],
  ] as const) {
    const fleet = new Fleet([flows.line()], { haltAbove });
    await fleet.join();
    await fleet.send(source.name, bads(letters));
    await fleet.drained();
    assert.equal(await gateOf(fleet), null);
    await fleet.send(source.name, bads(1));
    await halted(fleet);
  }
});
