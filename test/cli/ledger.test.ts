import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, pipeline, postgresTable } from "#engine";
import { ledgerVerb } from "../../src/cli/ledger.ts";
import { decodeMetadata, encodeMetadata } from "../../src/engine/core/task-inputs.ts";
import { Fleet } from "../support/fleet.ts";
import { fleetCommand, jsonOf } from "../support/fleet-command.ts";
import { things, type Thing } from "../support/plans.ts";

const input = things("in", 2);
const output = things("out", 2);
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
const flow = pipeline("flow", ({ from }) => {
  from(input)
    .filter("even", ({ n }) => n % 2 === 0)
    .to(output);
  from(output).upsertInto(rows);
});

const thing = (n: number): Thing => ({ id: `t${String(n)}`, n });

async function ran(): Promise<Fleet> {
  const fleet = new Fleet([flow]);
  const { worker } = await fleet.join();
  await fleet.send(input.name, [1, 2, 3, 4].map(thing));
  await fleet.drained();
  await fleet.during(worker.stop());
  return fleet;
}

const check = (fleet: Fleet, ...argv: string[]) =>
  fleetCommand(fleet, ledgerVerb, ["ledger", "check", ...argv]);

test("ledgers that balance are exit 0, with what each part consumed and what became of it", async () => {
  const { code, out } = await check(await ran());
  assert.equal(code, 0);
  assert.match(out[0] ?? "", /^PIPELINE +PART +TASKS +CONSUMED +OUTCOMES +VERDICT$/);
  assert.match(out[1] ?? "", /^flow +main +2 +4 +emitted 2, filtered 2 +balanced$/);
  assert.match(out[2] ?? "", /^flow +rows +2 +2 +emitted 2 +balanced$/);
});

test("a pipeline that has not run has nothing to balance", async () => {
  const { code, out } = await check(new Fleet([flow]), "flow");
  assert.equal(code, 0);
  assert.match(out[1] ?? "", /^flow +main +0 +0 +none +has not run$/);
});

/** Puts something else into the progress of partition 0 of the stream part. */
async function tampered(change: (metadata: string) => string): Promise<Fleet> {
  const fleet = await ran();
  const admin = fleet.kafka.port().admin();
  const at = [{ topic: "in", partition: 0 }];
  const [found] = await fleet.during(admin.committed("flow.main", at, { stable: true }));
  assert.ok(found !== undefined && found.nextOffset !== null);
  const metadata = change(found.metadata);
  const progress = { ...found, nextOffset: found.nextOffset, metadata };
  await fleet.during(admin.commitOffsets("flow.main", [progress]));
  return fleet;
}

const withLedger = (change: (ledger: { consumed: number; emitted: number }) => void) =>
  tampered((metadata) => {
    const told = decodeMetadata(metadata) ?? assert.fail("it has a ledger");
    change(told.ledger);
    return encodeMetadata(told);
  });

test("a record without an outcome is exit 1", async () => {
  const fleet = await withLedger((ledger) => void ledger.consumed--);
  const { code, out } = await check(fleet, "flow");
  assert.equal(code, 1);
  assert.match(out[1] ?? "", / 1 records without one outcome$/);
  const [main] = jsonOf<{ imbalance: number; isBalanced: boolean }>(await check(fleet, "--json"));
  assert.deepEqual([main?.imbalance, main?.isBalanced], [1, false]);
});

test("more records than there are offsets are exit 1, although the sum is right", async () => {
  const fleet = await withLedger((ledger) => {
    ledger.consumed += 5;
    ledger.emitted += 5;
  });
  const { code, out } = await check(fleet, "flow");
  assert.equal(code, 1);
  assert.match(out[1] ?? "", / 1 tasks that consumed more than there was$/);
});

test("progress that another tool has set is no ledger that balances", async () => {
  const { code, out } = await check(await tampered(() => ""), "flow");
  assert.equal(code, 1);
  assert.match(out[1] ?? "", / 1 tasks whose progress has no ledger$/);
});

test("a pipeline that is not there is exit 3, with those that are", async () => {
  const { code, err } = await check(new Fleet([flow]), "flaw");
  assert.equal(code, 3);
  assert.match(err[0] ?? "", /MILL_NOT_FOUND .*flaw; there are: flow/);
});
