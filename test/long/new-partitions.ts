// B3 on servers: a source topic gets a partition while a worker runs. Its tasks stop; declared with three, the pipeline reads the
// new one from its beginning, and windows behind the topic between parts wait for it.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";

process.env["TEST_TOPICS"] = `t${randomBytes(4).toString("hex")}`;
process.env["TEST_PARTITIONS"] = "3";
const { AppFigures } = await import("../support/app-figures.ts");
const { appCommand, appOf, applyApp } = await import("../support/app.ts");
const { eventually } = await import("../support/eventually.ts");
const { sharedStack } = await import("../support/stack.ts");
const { WorkerProcess } = await import("../support/worker-process.ts");
const { views, rows, pipelines } = await import("../support/apps/growing.ts");

const BEGIN = Date.UTC(2026, 0, 1);
const appWith = (partitions: number) =>
  appOf("growing", {
    ...{ TEST_TOPICS: process.env["TEST_TOPICS"] ?? "", TEST_PARTITIONS: String(partitions) },
  });

test("B3: partitions that a topic gets are read from their beginning, and waited for", async (t) => {
  const env = { ...(await sharedStack()) };
  await applyApp(appWith(2), env);
  const [flow] = pipelines;
  const figures = new AppFigures((flow as (typeof pipelines)[0]).plan(), env);
  t.after(() => figures.close());
  const send = async (partition: number, ...of: readonly number[]): Promise<void> => {
    const producer = figures.clients.kafka.producer();
    await producer.send(
      of.map((second) => {
        const own = { topic: views.name, partition, key: Buffer.from("k"), headers: [] };
        return { ...own, value: Buffer.from("1"), timestamp: BEGIN + second * 1_000 };
      }),
    );
    await producer.close();
  };
  const seen = async (): Promise<string[]> =>
    (await figures.raw(rows.name)).map(
      ({ timestamp, value }) => `${String((timestamp - BEGIN + 1) / 1_000)}: ${String(value)}`,
    );
  const until = (wanted: readonly string[]) =>
    eventually(`rows ${wanted.join(", ")}`, async () => {
      const found = await seen();
      return found.length >= wanted.length ? found : null;
    }).then((found) => {
      assert.deepEqual(found, wanted);
    });

  const first = await WorkerProcess.start(t, { args: [], env, app: appWith(2) });
  await first.ready();
  await send(0, 1, 8, 13);
  await send(1, 3, 11);
  await until(["10: 3"]);

  await figures.admin.addPartitions(views.name, 3);
  await eventually("its tasks stop", () =>
    first.story().includes("the task has stopped: a topic has another number") ? true : null,
  );
  // It waits in its partition, before anybody has declared it. 4 s is older than what was closed.
  await send(2, 4, 12, 14);
  await first.drain();
  const refused = await appCommand(appWith(2), ["topics", "apply"], env);
  assert.match(refused.out, /MILL_TOPIC_PARTITIONS/);

  await send(0, 25, 40);
  await send(1, 27, 40);
  await applyApp(appWith(3), env);
  const second = await WorkerProcess.start(t, { args: [], env, app: appWith(3) });
  await second.ready();
  // By the new partition time is at 14 s.
  await eventually("everything is read", async () => {
    const { consumed } = await figures.ledger("main");
    return consumed === 12 ? true : null;
  });
  assert.deepEqual(await seen(), ["10: 3"]);
  await send(2, 26, 40);
  await until(["10: 3", "20: 4", "30: 3"]);
  assert.deepEqual((await figures.ledger("all")).late, { closed: 1 });
  assert.deepEqual(await second.drain(), { code: 0, signal: null });
});
