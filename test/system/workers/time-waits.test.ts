// On real servers: /ready of two processes, the metrics and `millrace lag` name the partition that keeps windows open.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf, applyApp } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `sold-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { sales, sold } = await import("../../support/apps/sold.ts");
const app = appOf("sold", { TEST_TOPICS: prefix });
const between = `${prefix}-by-shop-repartition`;

let env: Record<string, string>;
let figures: AppFigures;

before(async () => {
  env = { ...(await sharedStack()) };
  figures = new AppFigures(sold.plan(), env);
  await applyApp(app, env);
});
after(() => figures.close());

const START_MS = Date.now() - 60_000;
/** Sales of these partitions, so many seconds after the start. */
const send = (partitions: readonly number[], second: number): Promise<void> =>
  figures.clients.kafka.producer().send(
    partitions.map((partition) => ({
      ...{ topic: sales.name, partition, key: Buffer.from("k"), headers: [] },
      value: Buffer.from(JSON.stringify({ shop: "a" })),
      timestamp: START_MS + second * 1_000,
    })),
  );

test("the partition that stays silent is named by /ready, the metrics and lag, until it goes on", async (t) => {
  const worker = await WorkerProcess.start(t, { args: ["--workers", "2"], env, app });
  await worker.ready();
  await send([0, 1, 2], 5);
  await send([0, 2], 40);
  const wait = await eventually("time waits for task 1", async () => {
    const [first] = (await worker.health())?.time ?? [];
    return first?.partition === 1 && first.behindFastestSeconds === 35 ? first : null;
  });
  assert.deepEqual([wait.operator, wait.topic, wait.of], ["sold", between, "writer"]);
  assert.ok(wait.behindSeconds !== null && wait.behindSeconds >= 55, JSON.stringify(wait));
  await eventually("the gauge has it", async () => {
    const labels = { operator: "sold", topic: between, partition: "1" };
    return (await worker.metrics()).sum("millrace_time_held_by", labels) >= 55 ? true : null;
  });
  const lag = await eventually("lag names the source partition", async () => {
    const { out } = await appCommand(app, ["lag", prefix], env);
    const line = out.split("\n").find((one) => one.startsWith(`${prefix}.by-shop sold waits for`));
    return line?.includes(`waits for ${sales.name}-1: `) === true ? line : null;
  });
  assert.match(lag, /and 35 seconds behind the fastest \(through .*-by-shop-repartition\)$/);
  await send([1], 41);
  await eventually("another one is named", async () => {
    const [now] = (await worker.health())?.time ?? [];
    return now !== undefined && now.partition !== 1 ? true : null;
  });
  await worker.drain();
});
