// A deploy that gives a stream other sources, while values lie between its parts: those of a source that is still there are
// read, whether they lie with a mark or without, and those of one that is gone are waited for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, json, pipeline, string, topic, type Pipeline, type Topic } from "#engine";
import { resumeVerb } from "../../src/cli/resume.ts";
import {
  newSchema,
  oldPayments,
  only,
  paid,
  payments,
  sixOld,
  writtenBy,
  type OldPayment,
  type Payment,
} from "../support/deploys.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";
import { fleetCommand } from "../support/fleet-command.ts";

const other = <V>(name: string, value: Topic<string, V>["value"]): Topic<string, V> =>
  topic(name, { key: string, value, partitions: 2, owner: "tests" });
const refunds = other("refunds", avro<Payment>({ ...newSchema, name: "Refund" }));
/** Its records have the name that those of `payments` have. */
const cash = other("cash", avro<Payment>({ ...newSchema, namespace: "cash" }));
const cashAgain = other("cash-again", avro<Payment>({ ...newSchema, namespace: "again" }));
const typed = other("typed", json<OldPayment>());

type Source = Topic<string, Payment>;
const flow = (...sources: readonly Source[]): Pipeline =>
  pipeline("flow", { haltWhen: "never" }, ({ from }) => {
    const [first, ...others] = sources.map((source) => from(source));
    assert.ok(first !== undefined);
    others
      .reduce((all, one, i) => all.merge(`and-${String(i)}`, one), first)
      .rekey("by-account", (p) => p.account)
      .groupByKey()
      .sum("paid", (p) => p.cents)
      .to(paid);
  });
const oldFlow = (...others: readonly Topic<string, OldPayment>[]): Pipeline =>
  pipeline("flow", { haltWhen: "never" }, ({ from }) => {
    others
      .reduce((all, one, i) => all.merge(`and-${String(i)}`, from(one)), from(oldPayments))
      .rekey("by-account", (p) => p.accountId)
      .groupByKey()
      .sum("paid", (p) => p.cents)
      .to(paid);
  });

const sumsOf = (fleet: Fleet): Record<string, number> =>
  Object.fromEntries(
    fleet.kafka
      .records(paid.name, { committed: true })
      .map(({ key, value }) => [String(key), Number(String(value))]),
  );
const whyOf = ({ worker }: FleetMember): string =>
  worker
    .health()
    .flatMap((task) => (task.state === "paused" ? [task.why] : []))
    .join();

/** Six payments, and what else is given, lie between the parts when the first version has left. */
async function left(version: Pipeline, next: Pipeline, typedToo = false): Promise<Fleet> {
  const fleet = new Fleet([version]);
  for (const { name, partitions, config } of next.plan().topics.all)
    if (!version.plan().topics.all.some((one) => one.name === name))
      fleet.kafka.createTopic({ topic: name, partitions, config });
  const first = await fleet.join({ plans: [only(version.plan(), "main")] });
  await fleet.sendRecords(await writtenBy(fleet, oldPayments, sixOld));
  if (typedToo) await fleet.send(typed.name, [{ id: "t", accountId: "a", cents: 1_000 }]);
  const between = (): number =>
    fleet.kafka.records("flow-by-account-repartition", { committed: true }).length;
  await fleet.until("all lie there", () => between() === (typedToo ? 7 : 6));
  await fleet.during(first.worker.stop());
  await writtenBy(fleet, payments, []);
  return fleet;
}

test("one more source of other records: what the first has left is read by the name of its writer's record", async () => {
  const next = flow(payments, refunds);
  const fleet = await left(oldFlow(), next);
  await fleet.join({ plans: [next.plan()] });
  await fleet.sendRecords(
    await writtenBy(fleet, refunds, [{ id: "r", account: "a", cents: 1_000 }]),
  );
  await fleet.clock.advance(30_000);
  assert.deepEqual([sumsOf(fleet), fleet.letters()], [{ a: 1_306, b: 309 }, []]);
});

test("where several sources have records of that name, it is waited for", async () => {
  const next = flow(cash, cashAgain);
  const fleet = await left(oldFlow(), next);
  const member = await fleet.join({ plans: [next.plan()] });
  await fleet.clock.advance(30_000);
  assert.match(whyOf(member), /came from a topic that is none of this version's sources/);
  assert.deepEqual([sumsOf(fleet), fleet.letters()], [{}, []]);
});

test("a source less: what it has left is waited for, until its own version or an operator says what becomes of it", async () => {
  const before = oldFlow(typed);
  const fleet = await left(before, flow(payments), true);
  const member = await fleet.join({ plans: [flow(payments).plan()] });
  await fleet.until("it waits", () => whyOf(member) !== "");
  assert.deepEqual(fleet.letters(), []);
  await fleet.during(member.worker.stop());
  const own = Object.create(fleet, { plans: { value: [flow(payments).plan()] } }) as Fleet;
  const said = await fleetCommand(own, resumeVerb, ["resume", "flow", "--accept-shapes"]);
  assert.match(said.out.join("\n"), /none of its sources becomes a dead letter/);
  await fleet.join({ plans: [flow(payments).plan()] });
  await fleet.clock.advance(30_000);
  assert.deepEqual(sumsOf(fleet), { a: 306, b: 309 });
  assert.deepEqual(
    fleet.letters().map(({ code }) => code),
    ["MILL_DECODE_SHAPE"],
  );
});

test("a source less, and its own version works it off", async () => {
  const before = oldFlow(typed);
  const fleet = await left(before, flow(payments), true);
  await fleet.join({ plans: [before.plan()] });
  await fleet.clock.advance(30_000);
  assert.deepEqual([sumsOf(fleet), fleet.letters()], [{ a: 1_306, b: 309 }, []]);
});
