// Orphans: topics that a plan no longer has are listed by `topics plan`, left alone by `apply`, and removed by `prune`, which
// takes nothing that is somebody else's or that somebody still needs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { pipeline } from "#engine";
import { topicsVerb } from "../../src/cli/topics/topics.ts";
import { BROKER_DEFAULTS } from "../../src/engine/core/own-topics.ts";
import type { GroupConsumer } from "../../src/engine/core/kafka.ts";
import type { Plan } from "../../src/engine/core/plan.ts";
import type { OutRecord } from "../../src/engine/core/record.ts";
import { noteRecord, startRecord, storeKey } from "../../src/engine/notes/notes.ts";
import { desiredTopics } from "../../src/engine/provision/desired-topics.ts";
import { command, MemoryServers } from "../support/command.ts";
import { things } from "../support/plans.ts";

const storeText = '{"operator":"sum","key":"string","value":"json","part":"main","partitions":2}';

const [source, sums] = [things("in"), things("sums")];
const shop = pipeline("a", ({ from }) => {
  from(source)
    .rekey("by-id", ({ id }) => id)
    .groupByKey()
    .sum("total", ({ n }) => n)
    .map("as-thing", (n, { key }) => ({ id: key, n }))
    .to(sums);
});
const neighbour = pipeline("a-b", ({ from }) => {
  from(sums)
    .rekey("by-size", ({ n }) => String(n))
    .to(things("sizes"));
});
const plan = shop.plan();

/** A member as release 0.1.0 was one. */
async function oldMember({ servers }: ReturnType<typeof scene>): Promise<GroupConsumer> {
  const consumer = servers.kafka.port(undefined, 1).consumer({
    ...{ group: "a.main", topics: ["in"], identity: "millrace-old", maxBytes: 1_000_000 },
    ...{ sessionTimeoutMs: 10_000, heartbeatIntervalMs: 3_000, rebalanceTimeoutMs: 60_000 },
  });
  await consumer.start({
    onAssigned: () => Promise.resolve(),
    onRevoked: () => Promise.resolve(),
    onBatch: () => undefined,
    onOutOfRange: () => undefined,
    onUnreadable: () => undefined,
    onRefused: () => undefined,
    onFatal: (error) => assert.fail(error),
  });
  return consumer;
}

function scene(plans: readonly Plan[] = [plan, neighbour.plan()]) {
  const servers = new MemoryServers(plans);
  const kafka = servers.kafka.port();
  const admin = kafka.admin();
  const verb = topicsVerb(async (io) => ({
    ...(await servers.connectOperate(io)),
    topicDefaults: BROKER_DEFAULTS,
    topics: () => Promise.resolve(desiredTopics(plans)),
    allPlans: () => Promise.resolve(plans),
  }));
  return {
    ...{ servers, kafka, admin },
    topics: (...argv: readonly string[]) => command(verb, ["topics", ...argv]),
    there: () => admin.listTopics(),
    /** A topic of an operator that is gone: its notes, so many records in each of two partitions, and progress. */
    async left(topic: string, how: Left = {}): Promise<void> {
      const { records = 2, read = records, note = "start", meta = plan.meta } = how;
      servers.kafka.createTopic({ topic, partitions: 2 });
      const producer = kafka.producer();
      const at = (partition: number) => ({ topic, partition });
      for (const partition of [0, 1])
        await producer.send(Array.from({ length: records }, () => recordIn(topic, partition)));
      const group = "a.gone";
      const progress = [0, 1].map((partition) => ({ ...at(partition), nextOffset: BigInt(read) }));
      await admin.commitOffsets(
        group,
        progress.map((one) => ({ ...one, metadata: "" })),
      );
      const starts = [0, 1].map((partition) =>
        startRecord(
          meta,
          group,
          { ...at(partition), nextOffset: 0n },
          { topicId: "id", partitions: 4 },
        ),
      );
      if (note === "start") await producer.send(starts);
      if (note === "store")
        await producer.send([noteRecord(meta, storeKey(storeOf(topic)), storeText)]);
    },
  };
}

interface Left {
  readonly records?: number;
  readonly read?: number;
  readonly note?: "start" | "store" | "none";
  readonly meta?: string;
}

const storeOf = (topic: string): string => topic.slice("a-".length, -"-changelog".length);
const recordIn = (topic: string, partition: number): OutRecord => ({
  ...{ topic, partition, key: Buffer.from("k"), value: Buffer.from("v") },
  ...{ headers: [], timestamp: 1 },
});

/** As far as a reader looks whether it is one. */
const letterIn = (topic: string): OutRecord => ({
  ...recordIn(topic, 0),
  headers: Object.entries({
    ...{ id: "an-id", topic: "in", partition: "0", offset: "7" },
    timestamp: "1767225600000",
  }).map(([name, text]) => [`dlq.${name}`, Buffer.from(text)]),
});

/** The verdict of each topic. */
const verdicts = (out: readonly string[]): Record<string, boolean> =>
  Object.fromEntries(
    out.map((line) => {
      const { topic, removable } = JSON.parse(line) as { topic: string; removable: boolean };
      return [topic, removable];
    }),
  );

test("plan lists what no plan has any more, apply leaves it, and prune removes it when it is told to", async () => {
  const { topics, left, there } = scene();
  await left("a-by-old-repartition");
  await left("a-old-total-changelog", { note: "store" });
  await left("a-old_rows-sink");
  const orphans = ["a-by-old-repartition", "a-old-total-changelog", "a-old_rows-sink"];
  for (const argv of [["plan"], ["apply"]]) {
    const { code, out } = await topics(...argv);
    assert.equal(code, 0);
    const rows = out.filter((line) => / orphan$/.test(line));
    assert.deepEqual(
      rows.map((line) => line.split(" ")[0]),
      orphans,
    );
    assert.match(out.at(-1) ?? "", /npx millrace topics prune --dry-run$/);
  }
  const json = (await topics("plan", "--json")).out.map((line) => JSON.parse(line) as object);
  assert.deepEqual(
    json.flatMap((line) => ("state" in line && line.state === "orphan" ? [line] : [])).length,
    3,
  );
  const before = await there();
  const dry = await topics("prune", "--dry-run");
  assert.equal(dry.code, 0);
  assert.match(dry.out.join("\n"), /a-by-old-repartition +a +repartition +2 +4 +remove/);
  const unasked = await topics("prune");
  assert.equal(unasked.code, 2);
  assert.match(unasked.err.join("\n"), /Nothing was removed. Add --yes to do it/);
  assert.deepEqual(await there(), before);
  const done = await topics("prune", "a", "--yes");
  assert.deepEqual([done.code, done.err], [0, ["3 of 3 topics removed."]]);
  assert.deepEqual(
    await there(),
    before.filter((name) => !orphans.includes(name)),
  );
  const again = await topics("prune", "--yes");
  assert.deepEqual([again.code, again.out], [0, []]);
});

test("nothing of another pipeline, of a run, or of what is read and written for others is an orphan", async () => {
  const { topics, left, servers, there } = scene();
  // Of a pipeline that another repository has, by its notes; and of a run, whatever is left of it.
  servers.kafka.createTopic({ topic: "a-c-meta", partitions: 1 });
  for (const topic of ["a-c-x-repartition", "a-r3-total-changelog", "a-b-r1-by-size-repartition"])
    await left(topic);
  for (const topic of ["sums-r3", "a-dead-letters-copy", "ax-y-repartition"]) await left(topic);
  const before = await there();
  const { code, out } = await topics("prune", "--yes", "--force");
  assert.deepEqual([code, out], [0, []]);
  assert.deepEqual(await there(), before);
});

test("a topic of the neighbour with the longer name is the neighbour's", async () => {
  const { topics, left } = scene();
  await left("a-b-by-old-repartition", { meta: neighbour.plan().meta });
  assert.deepEqual((await topics("prune", "a", "--dry-run", "--json")).out, []);
  const { out } = await topics("prune", "a-b", "--dry-run", "--json");
  assert.deepEqual(verdicts(out), { "a-b-by-old-repartition": true });
});

test("what somebody reads stays, forced or not", async () => {
  const { topics, left, kafka, there } = scene();
  await left("a-by-old-repartition");
  const consumer = kafka.consumer({
    ...{ group: "somebody", topics: ["a-by-old-repartition"], identity: "t", maxBytes: 1_000 },
    ...{ sessionTimeoutMs: 10_000, heartbeatIntervalMs: 1_000, rebalanceTimeoutMs: 10_000 },
  });
  const nothing = (): void => undefined;
  await consumer.start({
    onAssigned: () => Promise.resolve(),
    onRevoked: () => Promise.resolve(),
    ...{
      onBatch: nothing,
      onOutOfRange: nothing,
      onUnreadable: nothing,
      onRefused: nothing,
      onFatal: nothing,
    },
  });
  const { code, out } = await topics("prune", "--yes", "--force");
  assert.equal(code, 1);
  assert.match(out.join("\n"), /a-by-old-repartition: group somebody reads it/);
  assert.ok((await there()).includes("a-by-old-repartition"));
  await consumer.stop();
  assert.equal((await topics("prune", "--yes")).code, 0);
});

test("what a worker of the pipeline reads goes when it has left, and stays at once with --no-wait", async () => {
  const { topics, left, kafka, there } = scene();
  await left("a-by-old-repartition");
  const consumer = kafka.consumer({
    ...{ group: "a.old", topics: ["a-by-old-repartition"], identity: "t", maxBytes: 1_000 },
    ...{ sessionTimeoutMs: 10_000, heartbeatIntervalMs: 1_000, rebalanceTimeoutMs: 10_000 },
  });
  const nothing = (): void => undefined;
  await consumer.start({
    onAssigned: () => Promise.resolve(),
    onRevoked: () => Promise.resolve(),
    ...{
      onBatch: nothing,
      onOutOfRange: nothing,
      onUnreadable: nothing,
      onRefused: nothing,
      onFatal: nothing,
    },
  });
  assert.equal((await topics("prune", "--yes", "--no-wait")).code, 1);
  const pruning = topics("prune", "--yes");
  await delay(600);
  await consumer.stop();
  const { code, err } = await pruning;
  assert.equal(code, 0, err.join("\n"));
  assert.match(err.join("\n"), /^waiting up to 15 s for members to leave: group a\.old has /m);
  assert.ok(!(await there()).includes("a-by-old-repartition"));
});

test("records that nobody has read, queued keys, letters and what no note knows stay unless it is forced", async () => {
  const { topics, left, there, kafka } = scene();
  await left("a-by-old-repartition", { read: 1 });
  await left("a-old_rows-sink", { records: 3, read: 0 });
  await left("a-call-parked-changelog", { note: "store" });
  await left("a-parked", { note: "none" });
  await kafka.producer().send([letterIn("a-parked")]);
  await left("a-unknown-changelog", { note: "none" });
  await left("a-never-used-changelog", { note: "none", records: 0 });
  const doubtful = {
    "a-by-old-repartition": false,
    "a-call-parked-changelog": false,
    "a-never-used-changelog": true,
    "a-old_rows-sink": false,
    "a-parked": false,
    "a-unknown-changelog": false,
  };
  assert.deepEqual(verdicts((await topics("prune", "--dry-run", "--json")).out), doubtful);
  const { code, out } = await topics("prune", "--yes");
  assert.equal(code, 1);
  const said = out.join("\n");
  for (const why of [
    /a-by-old-repartition: 2 records in it were read by nobody \(--force removes it\)/,
    /a-old_rows-sink: 6 records in it/,
    /a-call-parked-changelog: 2 keys are queued/,
    /a-parked: it has 1 letters/,
    /a-unknown-changelog: no note of a says/,
  ])
    assert.match(said, why);
  const all = Object.keys(doubtful);
  assert.equal((await there()).filter((name) => all.includes(name)).length, 5);
  assert.equal((await topics("prune", "--yes", "--force")).code, 0);
  assert.equal((await there()).filter((name) => all.includes(name)).length, 0);
});

test("copies of state and notes go with their changelog, and those of other stores stay", async () => {
  const { topics, left, servers, kafka } = scene();
  await left("a-old-changelog", { note: "store" });
  await kafka.producer().send([noteRecord(plan.meta, storeKey("total"), storeText)]);
  const copyOf = (store: string) => servers.copies.copy({ prefix: "a", store, partition: 1 });
  for (const store of ["old", "total"]) {
    const rebuild = await copyOf(store).rebuild();
    await rebuild.finish({ nextOffset: 2n, timeMs: 1 });
  }
  assert.equal((await topics("prune", "--yes")).code, 0);
  assert.equal(await copyOf("old").position(), null);
  assert.notEqual(await copyOf("total").position(), null);
  const notes = servers.kafka.records(plan.meta, { committed: true });
  const last = new Map(notes.map(({ key, value }) => [String(key), value === null]));
  assert.deepEqual(Object.fromEntries(last), { "store/old": true, "store/total": false });
});

test("a pipeline that there is not is exit 3", async () => {
  assert.equal((await scene().topics("prune", "b", "--dry-run")).code, 3);
});

test("nothing is removed beside a worker of another release", async () => {
  const at = scene();
  await at.left("a-gone-repartition");
  const old = await oldMember(at);
  const { code, err } = await at.topics("prune", "--yes", "--no-wait");
  assert.equal(code, 5, err.join("\n"));
  assert.match(err.join("\n"), /MILL_GROUP_RELEASE/);
  assert.ok((await at.there()).includes("a-gone-repartition"));
  await old.stop();
  assert.equal((await at.topics("prune", "--yes")).code, 0);
  assert.ok(!(await at.there()).includes("a-gone-repartition"));
});
