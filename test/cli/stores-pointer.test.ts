// A pipeline that stands on the stores of a run: its workers read and write those, and every command follows.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, string, topic, type Topic } from "#engine";
import { describeVerb } from "../../src/cli/describe.ts";
import { offsetsVerb } from "../../src/cli/offsets.ts";
import { stateVerb } from "../../src/cli/state.ts";
import { withStores } from "../../src/engine/core/plan-stores.ts";
import { runningPlans } from "../../src/engine/operate/gate/running-plan.ts";
import { desiredTopics } from "../../src/engine/provision/desired-topics.ts";
import { Fleet } from "../support/fleet.ts";
import { fleetCommand, jsonOf } from "../support/fleet-command.ts";
import { storesRecord } from "../../src/engine/notes/gate-note.ts";
import {
  beforeJoining,
  blind,
  emptied,
  open,
  operatePorts,
  pointTo,
  shut,
} from "../support/gating.ts";
import { input, numbered, summed, sums } from "../support/stopping.ts";

const shadowSums: Topic<string, number> = topic("sums-r7", {
  key: string,
  value: json<number>(),
  partitions: 2,
  owner: "tests",
});
/** Run 7 of the pipeline `summed`, by its name. */
const shadow = pipeline("summed-r7", ({ from }) => {
  from(input)
    .groupByKey()
    .sum("total", (t) => t.n)
    .to(shadowSums);
});

const own = "summed-total-changelog";
const ofRun = "summed-r7-total-changelog";

/** Both have counted 1 and 2, the run 10 more; then the pipeline is put on the stores of the run. */
async function moved(): Promise<Fleet> {
  const fleet = new Fleet([summed, shadow]);
  await fleet.join();
  await fleet.send(input.name, numbered(1, 2));
  await fleet.drained();
  await shut(fleet, "closed", "summed");
  await emptied(fleet, "summed");
  await fleet.send(input.name, numbered(10));
  await fleet.until("the run is ahead", () => fleet.values(shadowSums).length === 3);
  await shut(fleet, "closed", "summed-r7");
  await emptied(fleet, "summed-r7");
  await pointTo(fleet, 7, "summed");
  return fleet;
}

const lengthOf = (fleet: Fleet, name: string): number =>
  fleet.kafka.records(name, { committed: true }).length;

test("workers read and write the stores of the run, those that run and those that start", async () => {
  const fleet = await moved();
  const before = [lengthOf(fleet, own), lengthOf(fleet, ofRun)];
  await open(fleet, "summed");
  await fleet.until("it goes on", () => fleet.values(sums).length === 3);
  // 3 by its own stores, 13 by those of the run; and 10 again.
  assert.deepEqual(fleet.values(sums), [1, 3, 23]);
  await fleet.join();
  await fleet.clock.advance(10_000);
  await fleet.send(input.name, numbered(100));
  await fleet.until("it goes on", () => fleet.values(sums).length === 4);
  assert.equal(fleet.values(sums).at(-1), 123);
  const after = [lengthOf(fleet, own), lengthOf(fleet, ofRun)];
  assert.deepEqual(after, [before[0], (before[1] ?? 0) + 2]);
});

test("the stores change after a worker has looked and before it has joined: it begins anew on the right ones", async () => {
  const fleet = new Fleet([summed, shadow], blind);
  await fleet.send(input.name, numbered(1, 2));
  const first = await fleet.join();
  await fleet.drained();
  await fleet.during(first.worker.stop());
  // The shadow alone counts 10.
  await shut(fleet, "closed", "summed");
  await fleet.send(input.name, numbered(10));
  const second = await fleet.join();
  await fleet.until("the run is ahead", () => fleet.values(shadowSums).length === 3);
  await fleet.during(second.worker.stop());
  await open(fleet, "summed");
  const meta = summed.plan().meta;
  const joins = beforeJoining(fleet, () => {
    const producer = fleet.kafka.port().producer();
    return producer.send([storesRecord(meta, 7)]);
  });
  await fleet.join();
  await fleet.until("it goes on", () => fleet.values(sums).length === 3);
  assert.deepEqual(fleet.values(sums), [1, 3, 23]);
  assert.equal(joins(), 3, "the part of the pipeline joined twice, that of the run once");
});

test("the version is that of the pipeline, and nothing of the plan but its stores is another", () => {
  const plan = summed.plan("ns-");
  const on = withStores(plan, 12);
  assert.equal(on.version, plan.version);
  assert.equal(withStores(plan, null), plan);
  const text = (of: unknown): string => JSON.stringify(of);
  assert.equal(
    text(on).replaceAll("ns-summed-r12-total-changelog", "ns-summed-total-changelog"),
    text({ ...plan, storePrefix: "ns-summed-r12" }),
  );
  const operations = on.parts.flatMap(({ nodes }) => nodes.map(({ operation }) => operation));
  const stores = operations.flatMap((of) => ("store" in of ? [of.store.changelog.name] : []));
  assert.deepEqual(stores, ["ns-summed-r12-total-changelog"]);
});

test("state, offsets reset, describe --live and topics follow", async () => {
  const fleet = await moved();
  const found = await fleetCommand(fleet, stateVerb, [
    "state",
    "get",
    "summed",
    "total",
    "--key",
    "k",
    "--json",
  ]);
  const [entry] = jsonOf<{ copy: { value: unknown }; changelog: { value: unknown } }>(found);
  assert.deepEqual([entry?.copy.value, entry?.changelog.value], [13, 13]);
  const shown = await fleetCommand(fleet, describeVerb, ["describe", "summed", "--live"]);
  assert.match(shown.out.join("\n"), new RegExp(ofRun));
  assert.doesNotMatch(shown.out.join("\n"), new RegExp(own));
  const ports = operatePorts(fleet);
  const plans = await fleet.during(runningPlans([summed.plan()], ports));
  const names = desiredTopics(plans).map(({ spec }) => spec.topic);
  assert.ok(names.includes(ofRun) && !names.includes(own));
  const reset = ["offsets", "reset", "summed", "--to", "earliest", "--with-state", "--yes"];
  assert.equal((await fleetCommand(fleet, offsetsVerb, reset)).code, 0);
  assert.ok(lengthOf(fleet, own) > 0);
  assert.equal(lengthOf(fleet, ofRun), 0);
});
