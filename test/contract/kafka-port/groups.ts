// Cases: who reads what, the order of the hooks around a rebalance, and that generations never mix.
import assert from "node:assert/strict";
import { DependencyError } from "../../../src/engine/core/errors.ts";
import type { Assignment, StartOffset } from "../../../src/engine/core/kafka.ts";
import type { Cases } from "../kafka-port.ts";
import { aRecord, type Member, type World } from "./world.ts";

export const groupCases: Cases = {
  "gives a lone member every partition of every topic, and its own identity": async (world) => {
    const topics = [await world.topic(2), await world.topic(2)];
    const member = world.member(world.name("group"), topics, { identity: "tx-ä-1" });
    await member.start();
    await world.eventually(() => assert.deepEqual(addressesOf(member), allOf(topics, 2)));
    assert.deepEqual(member.assignment.members, ["tx-ä-1"]);
    assert.equal(member.happenings[0]?.kind, "assigned");
  },

  "keeps partition i of all topics together, spreads evenly, and names every member": async (
    world,
  ) => {
    const { one, two, topics } = await twoMembers(world);
    for (const member of [one, two]) {
      assert.equal(member.indexes.length, 2);
      assert.equal(member.assignment.partitions.length, 4);
      assert.deepEqual([...member.assignment.members].sort(), ["one", "two"]);
    }
    const all = [...addressesOf(one), ...addressesOf(two)].sort();
    assert.deepEqual(all, allOf(topics, 4));
    const ids = [one, two].map(({ assignment }) => assignment.generation.generationId);
    assert.equal(ids[0], ids[1]);
  },

  "gives partition i of a topic beside to who has partition i, and those beyond to nobody": async (
    world,
  ) => {
    const topics = [await world.topic(2)];
    const beside = [await world.topic(3)];
    const group = world.name("group");
    const members = ["one", "two"].map((identity) =>
      world.member(group, topics, { identity, beside }),
    );
    for (const member of members) await member.start();
    await allAssigned(world, members, 2);
    for (const member of members) {
      assert.equal(member.indexes.length, 1);
      assert.equal(member.assignment.partitions.length, 2);
    }
    const all = members.flatMap((member) => addressesOf(member)).sort();
    assert.deepEqual(all, allOf([...topics, ...beside], 2));
    await world.produce([aRecord(beside[0] ?? "", "a", { partition: 1 })]);
    const owner = members.find(({ indexes }) => indexes.includes(1));
    await world.eventually(() => assert.deepEqual(owner?.values, ["a"]));
  },

  "runs without a topic beside that does not exist, and gives it out once any member asks anew":
    async (world) => {
      const topics = [await world.topic(2)];
      const beside = [world.name("beside")];
      const group = world.name("group");
      const members = ["one", "two"].map((identity) =>
        world.member(group, topics, { identity, beside }),
      );
      for (const member of members) await member.start();
      await allAssigned(world, members, 2);
      assert.deepEqual(members.flatMap((member) => addressesOf(member)).sort(), allOf(topics, 2));
      const admin = world.port().admin();
      const spec = { partitions: 2, replicationFactor: -1, config: {} };
      await admin.createTopics(beside.map((topic) => ({ topic, ...spec })));
      for (const member of members) {
        const { generationId } = member.assignment.generation;
        member.consumer.rejoin();
        await world.eventually(() => {
          for (const { assignment } of members)
            assert.ok(assignment.generation.generationId > generationId);
          const all = members.flatMap((one) => addressesOf(one)).sort();
          assert.deepEqual(all, allOf([...topics, ...beside], 2));
        });
      }
      await world.produce([aRecord(beside[0] ?? "", "a", { partition: 1 })]);
      const owner = members.find(({ indexes }) => indexes.includes(1));
      await world.eventually(() => assert.deepEqual(owner?.values, ["a"]));
      assert.deepEqual(
        members.flatMap(({ fatal }) => fatal),
        [],
      );
    },

  "lets members keep what they had when another joins or leaves": async (world) => {
    const { one, two, group, topics } = await twoMembers(world);
    const before = new Set(one.indexes);
    const three = world.member(group, topics, { identity: "three" });
    await three.start();
    await allAssigned(world, [one, two, three]);
    const [heldByOne, heldByTwo] = [one.indexes, two.indexes];
    assert.ok(one.indexes.every((index) => before.has(index)));
    assert.ok(two.indexes.every((index) => !before.has(index)));
    await three.consumer.stop();
    await allAssigned(world, [one, two]);
    assert.ok(heldByOne.every((index) => one.indexes.includes(index)));
    assert.ok(heldByTwo.every((index) => two.indexes.includes(index)));
  },

  "gives a leaver's partitions to who stays": async (world) => {
    const { one, two, group } = await twoMembers(world);
    await two.consumer.stop();
    assert.equal(two.happenings.at(-1)?.kind, "revoked");
    await world.eventually(() => assert.deepEqual(one.indexes, [0, 1, 2, 3]));
    const { members } = await world.port().admin().describeGroup(group);
    assert.equal(members.length, 1);
  },

  "waits for onRevoked before anybody begins the next generation": async (world) => {
    const topic = await world.topic(2);
    const group = world.name("group");
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const one = world.member(group, [topic], { revoking: () => held });
    await one.start();
    await world.eventually(() => assert.deepEqual(one.indexes, [0, 1]));
    const two = world.member(group, [topic]);
    const started = two.start();
    await world.eventually(() => assert.equal(one.happenings.at(-1)?.kind, "revoking"));
    await world.produce([0, 1].map((partition) => aRecord(topic, "x", { partition })));
    await world.passTime(700);
    assert.equal(one.happenings.at(-1)?.kind, "revoking");
    assert.deepEqual(two.happenings, []);
    letGo();
    await started;
    await world.eventually(() => assert.equal(one.values.length + two.values.length, 2));
    for (const member of [one, two]) assertGenerationsApart(member);
  },

  "waits for onAssigned before it reads": async (world) => {
    const topic = await world.topic();
    let answer: (starts: readonly StartOffset[]) => void = () => undefined;
    const asked = new Promise<readonly StartOffset[]>((resolve) => (answer = resolve));
    const member = world.member(world.name("group"), [topic], { starts: () => asked });
    await world.produce([aRecord(topic, "a"), aRecord(topic, "b")]);
    const started = member.start();
    await world.eventually(() => assert.deepEqual(member.indexes, [0]));
    await world.passTime(500);
    assert.deepEqual(member.batches, []);
    answer([{ topic, partition: 0, nextOffset: 1n }]);
    await started;
    await world.eventually(() => assert.deepEqual(member.values, ["b"]));
  },

  "reads a partition again that was paused before the rebalance": async (world) => {
    const topic = await world.topic(2);
    const group = world.name("group");
    const one = world.member(group, [topic]);
    await one.start();
    await world.eventually(() => assert.deepEqual(one.indexes, [0, 1]));
    one.consumer.pause(one.assignment.partitions);
    const two = world.member(group, [topic]);
    await two.start();
    await allAssigned(world, [one, two], 2);
    await world.produce([0, 1].map((partition) => aRecord(topic, "x", { partition })));
    await world.eventually(() => assert.deepEqual([one.values, two.values], [["x"], ["x"]]));
  },

  "hands every record over once when progress is committed as partitions are given up": async (
    world,
  ) => {
    const topic = await world.topic(4);
    const group = world.name("group");
    const join = (): Member => progressKeeper(world, group, topic);
    const members = [join()];
    await members[0]?.start();
    for (const round of ["a", "b", "c", "d"]) {
      await world.produce([0, 1, 2, 3].map((partition) => aRecord(topic, round, { partition })));
      if (round === "b" || round === "c") {
        const another = join();
        members.push(another);
        await another.start();
      }
    }
    const seen = (): (string | null)[] => members.flatMap((member) => member.values).sort();
    const expected = [..."aaaabbbbccccdddd"];
    await world.eventually(() => assert.equal(seen().length, expected.length));
    await world.passTime(500);
    assert.deepEqual(seen(), expected);
    for (const member of members) assertGenerationsApart(member);
  },

  "asks again with a new generation when onAssigned fails for what is only away": async (world) => {
    const topic = await world.topic();
    await world.produce([aRecord(topic, "a")]);
    let asked = 0;
    const starts = (): Promise<readonly StartOffset[]> =>
      ++asked === 1
        ? Promise.reject(new DependencyError("MILL_KAFKA_UNAVAILABLE", "for now"))
        : Promise.resolve([{ topic, partition: 0, nextOffset: 0n }]);
    const member = world.member(world.name("group"), [topic], { starts });
    await member.start();
    await world.eventually(() => assert.deepEqual(member.values, ["a"]));
    assert.deepEqual(
      member.happenings.map(({ kind }) => kind),
      ["assigned", "revoking", "revoked", "assigned", "batch"],
    );
    assertGenerationsApart(member);
    assert.deepEqual(member.fatal, []);
  },

  "commits progress of its generation": async (world) => {
    const topic = await world.topic();
    const group = world.name("group");
    const member = world.member(group, [topic]);
    await member.start();
    await world.eventually(() => assert.deepEqual(member.indexes, [0]));
    const progress = { topic, partition: 0, nextOffset: 3n, metadata: "{}" };
    await member.consumer.commit([progress], member.assignment.generation);
    const admin = world.port().admin();
    assert.deepEqual(await admin.committed(group, [progress], { stable: true }), [progress]);
  },
};

const addressesOf = (member: Member): string[] =>
  member.assignment.partitions.map((at) => `${at.topic}-${String(at.partition)}`).sort();

const allOf = (topics: readonly string[], partitions: number): string[] =>
  topics
    .flatMap((topic) =>
      Array.from({ length: partitions }, (_, partition) => `${topic}-${String(partition)}`),
    )
    .sort();

/** Until all are in one generation and share the partitions among them. */
async function allAssigned(
  world: World,
  members: readonly Member[],
  partitions = 4,
): Promise<void> {
  await world.eventually(() => {
    const held = members.flatMap((member) => member.indexes).sort();
    assert.deepEqual(held, [...Array(partitions).keys()]);
    const generations = members.map(({ assignment }) => assignment.generation.generationId);
    assert.equal(new Set(generations).size, 1);
    for (const member of members) assert.equal(member.assignment.members.length, members.length);
  });
}

async function twoMembers(
  world: World,
): Promise<{ one: Member; two: Member; group: string; topics: readonly string[] }> {
  const topics = [await world.topic(4), await world.topic(4)];
  const group = world.name("group");
  const one = world.member(group, topics, { identity: "one" });
  const two = world.member(group, topics, { identity: "two" });
  await one.start();
  await two.start();
  await allAssigned(world, [one, two]);
  return { one, two, group, topics };
}

/** Commits where it is when it gives partitions up, and begins where the group is. */
function progressKeeper(world: World, group: string, topic: string): Member {
  const port = world.port();
  const admin = port.admin();
  const starts = async ({ partitions }: Assignment): Promise<readonly StartOffset[]> => {
    const found = await admin.committed(group, partitions, { stable: true });
    return found.map(({ partition, nextOffset }) => ({
      topic,
      partition,
      nextOffset: nextOffset ?? 0n,
    }));
  };
  const revoking = async (): Promise<void> => {
    if (member.indexes.length === 0) return;
    const progress = member.indexes.flatMap((partition) => {
      const nextOffset = member.nextOffsetNow(partition);
      return nextOffset === null ? [] : [{ topic, partition, nextOffset, metadata: "" }];
    });
    await member.consumer.commit(progress, member.assignment.generation);
  };
  const member = world.member(group, [topic], { port, starts, revoking });
  return member;
}

/** Each batch comes between the assignment of its own generation and the revocation. */
function assertGenerationsApart(member: Member): void {
  let current: number | null = null;
  for (const one of member.happenings) {
    if (one.kind === "assigned") current = one.generationId;
    else if (one.kind === "batch") assert.equal(one.generationId, current);
    else if (one.kind === "revoking") current = null;
  }
}
