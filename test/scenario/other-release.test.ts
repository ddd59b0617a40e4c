// Workers of two releases never work side by side: a start and every command that writes look for members that store another
// format, in each group that the pipeline has or had, before they touch anything; and no group takes both.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pipeline, type Topic } from "#engine";
import { dlqVerb } from "../../src/cli/dlq/dlq.ts";
import { drainVerb } from "../../src/cli/drain.ts";
import { offsetsVerb } from "../../src/cli/offsets.ts";
import { resumeVerb } from "../../src/cli/resume.ts";
import { stateVerb } from "../../src/cli/state.ts";
import type { ConsumerHandlers, GroupConsumer } from "../../src/engine/core/kafka.ts";
import { fleetCommand } from "../support/fleet-command.ts";
import { Fleet } from "../support/fleet.ts";
import { things, type Thing } from "../support/plans.ts";

const [a, b, x, y] = ["a", "b", "x", "y"].map((name) => things(name, 1)) as [
  Topic<string, Thing>,
  Topic<string, Thing>,
  Topic<string, Thing>,
  Topic<string, Thing>,
];
const flow = pipeline("flow", ({ from }) => {
  from(a).to(x);
  from(b).to(y);
});

/** A member as release 0.1.0 was one; `refusals` are those of its joins. */
async function oldMember(fleet: Fleet, group: string, topics: readonly string[]) {
  const consumer: GroupConsumer = fleet.kafka.port(undefined, 1).consumer({
    ...{ group, topics, identity: "millrace-old", maxBytes: 1_000_000 },
    ...{ sessionTimeoutMs: 10_000, heartbeatIntervalMs: 3_000, rebalanceTimeoutMs: 60_000 },
  });
  let isAssigned = false;
  const handlers: ConsumerHandlers = {
    onAssigned: () => Promise.resolve(void (isAssigned = true)),
    onRevoked: () => Promise.resolve(),
    onBatch: () => undefined,
    onOutOfRange: () => undefined,
    onUnreadable: () => undefined,
    onRefused: () => undefined,
    onFatal: (error) => assert.fail(error),
  };
  await fleet.during(consumer.start(handlers));
  await fleet.until("it is a member", () => isAssigned);
  return consumer;
}

/** Everything that Kafka holds of the pipeline. */
const stored = (fleet: Fleet) =>
  fleet.plans.flatMap(({ topics }) =>
    [...topics.all.map(({ name }) => name), ...topics.own].map((topic) => [
      topic,
      fleet.kafka.records(topic, { committed: false }).length,
    ]),
  );

for (const [group, topics] of [
  ["flow.main", ["a"]],
  ["flow.main", ["a", "b"]],
  ["flow.b", ["b"]],
] as const)
  test(`a start beside a worker of 0.1.0 in ${group} on ${topics.join(" and ")} touches nothing`, async () => {
    const fleet = new Fleet([flow]);
    await fleet.send("a", [{ id: "k", n: 1 }]);
    await fleet.send("b", [{ id: "k", n: 2 }]);
    const old = await oldMember(fleet, group, topics);
    const before = stored(fleet);
    const writes: string[] = [];
    fleet.watcher = ({ request }) => {
      if (!["read", "committed", "admin"].includes(request)) writes.push(request);
    };
    await assert.rejects(fleet.join(), { code: "MILL_GROUP_RELEASE" });
    assert.deepEqual(writes, []);
    assert.deepEqual(stored(fleet), before);
    assert.ok((await fleet.progress()).every(({ nextOffset }) => nextOffset === null));
    await fleet.during(old.stop());
    await fleet.join();
    await fleet.drained();
    assert.deepEqual(fleet.values(y), [{ id: "k", n: 2 }]);
  });

test("a worker of 0.1.0 that comes later is kept out by the group, and the new one goes on", async () => {
  const fleet = new Fleet([flow]);
  await fleet.join();
  await assert.rejects(oldMember(fleet, "flow.main", ["a", "b"]), { code: "MILL_GROUP_RELEASE" });
  await fleet.send("a", [{ id: "k", n: 1 }]);
  await fleet.drained();
  assert.deepEqual(fleet.values(x), [{ id: "k", n: 1 }]);
});

test("a worker that finds its group taken by another release when it joins again says so, and waits", async () => {
  const fleet = new Fleet([pipeline("flow", ({ from }) => from(a).to(x))]);
  const { worker, life } = await fleet.join();
  life.freeze();
  await fleet.clock.advance(30_000);
  const old = await oldMember(fleet, "flow.main", ["a"]);
  life.thaw();
  const said = (): boolean => worker.whyPaused.some((why) => why.includes("another release"));
  await fleet.until("it says why it waits", said);
  await fleet.during(old.stop());
  await fleet.send("a", [{ id: "k", n: 1 }]);
  await fleet.drained();
  assert.deepEqual(fleet.values(x), [{ id: "k", n: 1 }]);
});

const writing = [
  [offsetsVerb, "offsets reset flow --to earliest --yes"],
  [dlqVerb, "dlq redrive flow"],
  [dlqVerb, "dlq discard flow --reason tests --yes"],
  [resumeVerb, "resume flow"],
  [drainVerb, "drain flow"],
  [stateVerb, "state rebuild flow"],
] as const;
for (const [verb, argv] of writing)
  test(`${argv} is refused beside a worker of 0.1.0`, async () => {
    const fleet = new Fleet([flow]);
    await oldMember(fleet, "flow.main", ["a", "b"]);
    const before = stored(fleet);
    const { code, err } = await fleetCommand(fleet, verb, argv.split(" "));
    assert.equal(code, 5, err.join("\n"));
    assert.match(err.join("\n"), /MILL_GROUP_RELEASE .*release 0\.1\.0.*npx millrace run flow/);
    assert.deepEqual(stored(fleet), before);
  });

test("what only looks, and what is only shown, is not refused", async () => {
  const fleet = new Fleet([flow]);
  await oldMember(fleet, "flow.main", ["a", "b"]);
  for (const [verb, argv] of [
    [dlqVerb, "dlq list flow"],
    [offsetsVerb, "offsets show flow"],
    [dlqVerb, "dlq redrive flow --dry-run"],
  ] as const) {
    const { code, err } = await fleetCommand(fleet, verb, argv.split(" "));
    assert.equal(code, 0, err.join("\n"));
  }
});
