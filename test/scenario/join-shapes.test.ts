// The records that a join keeps, when another worker takes its task over: what the same code has made is read at once, what other
// code has made waits until it is known to fit.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, milliseconds, pipeline, string, topic } from "#engine";
import { resumeVerb } from "../../src/cli/resume.ts";
import { fleetCommand } from "../support/fleet-command.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";

interface Order {
  readonly id: string;
}
const own = { key: string, partitions: 1, owner: "tests" };
const orders = topic("orders", { ...own, value: json<Order>() });
const payments = topic("payments", { ...own, value: json<Order>() });
const rows = topic("rows", { ...own, value: json<string>() });
const span = milliseconds(60_000);
const options = { before: span, after: span, grace: milliseconds(0) };

/** Both sides are made by the code, each in its own form. */
const before = pipeline("joining", { state: "memory" }, ({ from }) => {
  const right = from(payments).map("paid", ({ id }) => ({ paid: id }));
  from(orders)
    .map("made", ({ id }) => ({ order: id }))
    .join("pairs", right, ({ order }, { paid }) => `${order}&${paid}`, options)
    .to(rows);
});
/** It has another name for the order. */
const after = pipeline("joining", { state: "memory" }, ({ from }) => {
  const right = from(payments).map("paid", ({ id }) => ({ paid: id }));
  from(orders)
    .map("made", ({ id }) => ({ bill: id }))
    .join("pairs", right, (left, { paid }) => `${Object.values(left).join()}&${paid}`, options)
    .to(rows);
});

/** A worker has kept an order, and has left. */
async function kept(): Promise<Fleet> {
  const fleet = new Fleet([before]);
  const first = await fleet.join();
  await fleet.send("orders", [{ id: "o1" }]);
  await fleet.drained();
  await fleet.during(first.worker.stop());
  return fleet;
}
const waits = ({ worker }: FleetMember): boolean =>
  worker.health().some((task) => task.state === "paused" && task.why.includes("pairs"));

test("a new owner reads what the same code has made before it has made anything itself", async () => {
  const fleet = await kept();
  await fleet.join();
  await fleet.send("payments", [{ id: "p1" }]);
  await fleet.until("they are a pair", () => fleet.values(rows).length === 1);
  assert.deepEqual(fleet.values(rows), ["o1&p1"]);
});

test("what other code has made waits where a join keeps it, and is read by its own version", async () => {
  const fleet = await kept();
  const member = await fleet.join({ plans: [after.plan()] });
  await fleet.send("payments", [{ id: "p1" }]);
  await fleet.until("it waits", () => waits(member));
  await fleet.clock.advance(30_000);
  assert.deepEqual(fleet.values(rows), []);
  await fleet.during(member.worker.stop());
  await fleet.join();
  await fleet.until("they are a pair", () => fleet.values(rows).length === 1);
  assert.deepEqual([fleet.values(rows), fleet.letters()], [["o1&p1"], []]);
});

test("an operator lets the new code read what a join keeps", async () => {
  const fleet = await kept();
  const member = await fleet.join({ plans: [after.plan()] });
  await fleet.send("payments", [{ id: "p1" }]);
  await fleet.until("it waits", () => waits(member));
  const own = Object.create(fleet, { plans: { value: [after.plan()] } }) as Fleet;
  await fleetCommand(own, resumeVerb, ["resume", "joining", "--accept-shapes"]);
  await fleet.until("they are a pair", () => fleet.values(rows).length === 1);
  assert.deepEqual(fleet.values(rows), ["o1&p1"]);
});
