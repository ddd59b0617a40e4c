// What changes under running workers, or between two of their lives, and must stop a task with a reason: topics made anew
// or widened, and pipelines whose stores would mean something else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, days, json, pipeline, postgresTable, string, topic, type Pipeline } from "#engine";
import { ConfigErrors } from "../../src/engine/core/errors.ts";
import { offsetsVerb } from "../../src/cli/offsets.ts";
import { fleetCommand } from "../support/fleet-command.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";
import { things, type Thing } from "../support/plans.ts";

const input = things("in", 1);
const output = things("out", 1);
const copy = pipeline("copy", ({ from }) => {
  from(input).to(output);
});
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
const sink = pipeline("sink", ({ from }) => {
  from(input).upsertInto(rows);
});

const numbered = (...ns: readonly number[]): Thing[] => ns.map((n) => ({ id: "k", n }));

async function running(use: Pipeline): Promise<{ fleet: Fleet; member: FleetMember }> {
  const fleet = new Fleet([use]);
  await fleet.send(input.name, numbered(1, 2));
  const member = await fleet.join();
  await fleet.drained();
  await fleet.clock.advance(30_000);
  return { fleet, member };
}

async function recreate(fleet: Fleet): Promise<void> {
  await fleet.during(fleet.kafka.port().admin().deleteTopics([input.name]));
  fleet.kafka.createTopic({ topic: input.name, partitions: 1 });
  await fleet.send(input.name, numbered(3, 4));
}

async function stops(fleet: Fleet, { worker }: FleetMember, code: string): Promise<void> {
  await fleet.until("the task stops", () => worker.health()[0]?.state === "stopped");
  const [task] = worker.health();
  assert.equal(task?.state === "stopped" && task.code, code);
}

for (const use of [copy, sink]) {
  test(`${use.name}: a topic that is made anew under a running task stops it`, async () => {
    const { fleet, member } = await running(use);
    // The worker sees nothing until the new topic is as long as the old one: offsets alone do not tell.
    fleet.kafka.freeze(member.port);
    await recreate(fleet);
    fleet.kafka.thaw(member.port);
    await stops(fleet, member, "MILL_SOURCE_TOPIC_RECREATED");
    assert.equal(
      (await fleet.ledger(use === copy ? "main" : "rows"))["consumed"] ?? 0,
      use === copy ? 0 : 2,
    );
  });

  test(`${use.name}: a topic that goes under a running task is waited for by name, and stops it when it is another one`, async () => {
    const { fleet, member } = await running(use);
    await fleet.during(fleet.kafka.port().admin().deleteTopics([input.name]));
    await fleet.clock.advance(60_000);
    const [task] = member.worker.health();
    assert.ok(task?.state === "paused" && task.why === "a topic does not exist: in", task?.state);
    fleet.kafka.createTopic({ topic: input.name, partitions: 1 });
    await stops(fleet, member, "MILL_SOURCE_TOPIC_RECREATED");
  });

  test(`${use.name}: partitions that are added under a running task stop it`, async () => {
    const { fleet, member } = await running(use);
    fleet.kafka.widenTopic(input.name, 2);
    await stops(fleet, member, "MILL_TOPIC_PARTITIONS");
  });

  test(`${use.name}: a topic that stays what it is disturbs nobody`, async () => {
    const { fleet } = await running(use);
    assert.equal(fleet.meter.counter("millrace_rewinds_total"), 0);
    assert.equal(fleet.log.lines.filter(({ level }) => level !== "info").length, 0);
  });
}

test("progress that another tool has set belongs to the topic in which the task went on with it", async () => {
  const fleet = new Fleet([copy]);
  await fleet.send(input.name, numbered(1, 2));
  const admin = fleet.kafka.port().admin();
  const progress = { topic: input.name, partition: 0, nextOffset: 1n, metadata: "" };
  await fleet.during(admin.commitOffsets("copy.main", [progress]));
  const first = await fleet.join();
  await fleet.drained();
  assert.deepEqual(
    fleet.values(output).map(({ n }) => n),
    [2],
  );
  await fleet.during(first.worker.stop());
  await recreate(fleet);
  await fleet.during(admin.commitOffsets("copy.main", [{ ...progress, nextOffset: 2n }]));
  await stops(fleet, await fleet.join(), "MILL_SOURCE_TOPIC_RECREATED");
});

const sums = topic("sums", { key: string, value: json<number>(), partitions: 1, owner: "tests" });
const counted = pipeline("flow", ({ from }) => {
  from(input)
    .groupByKey()
    .sum("total", (t) => t.n)
    .to(sums);
});

/** The same store, another pipeline. */
const changed: Record<string, [Pipeline, RegExp]> = {
  "another operator": [
    pipeline("flow", ({ from }) => {
      from(input)
        .distinct("total", { by: (t) => t.n, within: days(1) })
        .to(output);
    }),
    /store total: operator aggregate is now distinct, key string is now bytes/,
  ],
  "another part": [
    pipeline("flow", ({ from }) => {
      from(input)
        .groupBy("by-id", (t) => t.id)
        .sum("total", (t) => t.n)
        .to(sums);
    }),
    /store total: part main is now by-id/,
  ],
};

/** A fleet on the same servers that runs another pipeline. */
function successor(fleet: Fleet, use: Pipeline): Fleet {
  const next = new Fleet([use]);
  for (const { topics } of next.plans)
    for (const { name, partitions } of topics.all)
      fleet.kafka.createTopic({ topic: name, partitions });
  return Object.assign(next, { clock: fleet.clock, kafka: fleet.kafka, copies: fleet.copies });
}

for (const [what, [use, message]] of Object.entries(changed))
  test(`a store that has become ${what} is refused at the start, while the old worker goes on`, async () => {
    const { fleet, member } = await running(counted);
    const next = successor(fleet, use);
    await assert.rejects(next.join(), (error) => {
      assert.ok(error instanceof ConfigErrors);
      assert.equal(error.problems[0]?.code, "MILL_STATE_CHANGED");
      assert.match(error.problems[0].message, message);
      return true;
    });
    await fleet.send(input.name, numbered(3));
    await fleet.drained();
    assert.equal(fleet.values(sums).at(-1), 6);
    await fleet.during(member.worker.stop());
    await fleet.during((await fleet.join()).worker.stop());
  });

test("the command that the refusal names empties the store, and the changed pipeline begins anew", async () => {
  const [use] = changed["another part"] ?? assert.fail("a changed pipeline");
  const { fleet, member } = await running(counted);
  await fleet.during(member.worker.stop());
  const next = successor(fleet, use);
  const error: unknown = await next.join().catch((thrown: unknown) => thrown);
  assert.ok(error instanceof ConfigErrors);
  const told = /npx millrace (offsets reset .+)$/.exec(error.problems[0]?.message ?? "")?.[1];
  const argv = `${told ?? assert.fail(error.message)} --yes`.split(" ");
  assert.equal((await fleetCommand(next, offsetsVerb, argv)).code, 0);
  await next.join();
  await fleet.send(input.name, numbered(3));
  await next.clock.advance(20_000);
  assert.deepEqual(next.values(sums), [1, 3, 1, 3, 6]);
});

test("a start under another name of the operator says that its store is empty, and where the old one stays", async () => {
  const { fleet, member } = await running(counted);
  await fleet.during(member.worker.stop());
  const renamed = pipeline("flow", ({ from }) => {
    from(input)
      .groupByKey()
      .sum("sum", (t) => t.n)
      .to(sums);
  });
  const empty = (of: Fleet) => of.log.lines.filter(({ message }) => /empty/.test(message));
  assert.deepEqual(empty(fleet), []);
  const next = successor(fleet, renamed);
  const again = await next.join();
  const [line, ...others] = empty(next);
  assert.equal(others.length, 0);
  assert.deepEqual([line?.level, line?.facts], ["warn", { pipeline: "flow", store: "sum" }]);
  assert.match(
    line?.message ?? "",
    /^the store starts empty; the one of "total" stays at flow-total-changelog\./,
  );
  await next.during(again.worker.stop());
  await next.join();
  assert.equal(empty(next).length, 1, "a store that has begun is not said again");
});

test("a store whose validator was changed stops its task, which names the store, its operator and what leads on", async () => {
  let isStrict = false;
  const validator = {
    "~standard": {
      version: 1 as const,
      vendor: "test",
      validate: (value: unknown) =>
        isStrict && !("currency" in (value as object))
          ? { issues: [{ message: "required", path: ["currency"] }] }
          : { value: value as { n: number } },
    },
  };
  const kept = pipeline("kept", ({ from }) => {
    from(input)
      .groupByKey()
      .aggregate("spent", {
        value: json(validator),
        init: () => ({ n: 0 }),
        add: (sum, { n }) => ({ n: sum.n + n }),
      })
      .toStream()
      .map("as-n", ({ n }) => n)
      .to(sums);
  });
  const fleet = new Fleet([kept]);
  const first = await fleet.join();
  await fleet.send(input.name, numbered(1));
  await fleet.drained();
  await fleet.during(first.worker.stop());
  isStrict = true;
  const second = await fleet.join();
  await fleet.send(input.name, numbered(2));
  const stopped = (): string | null => {
    const [task] = second.worker.health().filter((one) => one.state === "stopped");
    return task === undefined ? null : `${task.code} ${task.message}`;
  };
  await fleet.until("the task has stopped", () => stopped() !== null);
  assert.match(
    stopped() ?? "",
    /MILL_STATE_ENTRY an entry of a store .*: store spent of spent: MILL_DECODE_JSON .*: currency/,
  );
  isStrict = false;
  await fleet.during(second.worker.stop());
  await fleet.join();
  await fleet.drained();
  assert.equal(fleet.values(sums).at(-1), 3);
});
