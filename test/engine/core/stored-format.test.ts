import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, string, topic } from "#engine";
import type { GroupMember } from "../../../src/engine/core/kafka.ts";
import { groupsOf } from "../../../src/engine/core/pieces.ts";
import { refuseOtherFormats, STORED_FORMAT } from "../../../src/engine/core/stored-format.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";

const shape = { key: string, value: json<object>(), partitions: 1, owner: "tests" };
const plan = pipeline("p", ({ from }) => {
  from(topic("a", shape)).to(topic("x", shape));
  from(topic("b", shape)).to(topic("y", shape));
}).plan();

const member = (facts: Partial<GroupMember>): GroupMember => ({
  ...{ memberId: "millrace-7", host: "/10.0.0.7", topics: ["a"], format: STORED_FORMAT },
  ...facts,
});

/** Members by group, at each question; the last answer stays. */
function portsOf(answers: readonly Readonly<Record<string, readonly GroupMember[]>>[]) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const describeGroup = (group: string) => {
    asked.push(group);
    const round = Math.min(asked.filter((one) => one === group).length, answers.length);
    const members = answers[round - 1]?.[group] ?? [];
    return Promise.resolve({ group, state: "Stable", members });
  };
  return { ports: { admin: { describeGroup }, clock }, asked, clock };
}

test("every group is looked at, those of earlier names too", async () => {
  const { ports, asked } = portsOf([{}]);
  await refuseOtherFormats([plan], ports);
  assert.deepEqual(asked, ["p.main", "p.a", "p.from-a", "p.b", "p.from-b"]);
  assert.deepEqual(asked, groupsOf(plan));
});

for (const group of ["p.main", "p.b", "p.from-b"])
  test(`a member of release 0.1.0 in ${group} is refused, with the command`, async () => {
    const { ports } = portsOf([{ [group]: [member({}), member({ format: 1, memberId: "old" })] }]);
    await assert.rejects(refuseOtherFormats([plan], ports), (error: Error & { code?: string }) => {
      assert.equal(error.code, "MILL_GROUP_RELEASE");
      assert.match(
        error.message,
        new RegExp(`${group} has members of release 0.1.0: old at /10.0.0.7. Stop`),
      );
      assert.match(error.message, /npx millrace topics apply, then: npx millrace run p/);
      return true;
    });
  });

test("members of this release, and clients that are no workers, are no hindrance", async () => {
  const { ports } = portsOf([{ "p.main": [member({}), member({ format: null })] }]);
  await refuseOtherFormats([plan], ports);
});

test("a newer release is refused as well", async () => {
  const { ports } = portsOf([{ "p.main": [member({ format: STORED_FORMAT + 1 })] }]);
  await assert.rejects(refuseOtherFormats([plan], ports), { code: "MILL_GROUP_RELEASE" });
});

test("a group that rebalances is asked until it says what its members are", async () => {
  const silent = { "p.main": [member({ topics: null, format: null })] };
  const { ports, asked, clock } = portsOf([silent, silent, { "p.main": [member({ format: 1 })] }]);
  const work = refuseOtherFormats([plan], ports);
  const refused = assert.rejects(work, { code: "MILL_GROUP_RELEASE" });
  await clock.advance(1_000);
  await refused;
  assert.equal(asked.filter((group) => group === "p.main").length, 3);
});

test("a group that never says it is no reason to go on", async () => {
  const silent = { "p.main": [member({ topics: null, format: null })] };
  const { ports, clock } = portsOf([silent]);
  const refused = assert.rejects(refuseOtherFormats([plan], ports), { disposition: "retry" });
  await clock.advance(70_000);
  await refused;
});
