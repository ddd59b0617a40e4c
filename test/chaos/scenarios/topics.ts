// What others do to topics and groups behind a pipeline's back: widened, made anew, emptied by retention, progress
// deleted, the dead-letter topic gone. Nothing may be skipped or doubled in silence.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { decimal } from "../../../src/engine/core/decimal.ts";
import { addressOf, type RawRecord } from "../../../src/engine/core/record.ts";
import { eventually } from "../../support/eventually.ts";
import { commandIn } from "../../support/named-command.ts";
import { PARTITIONS } from "../../support/apps/chaos.ts";
import { judge } from "../workload/oracle.ts";
import { asked } from "../world/cluster-roles.ts";
import type { World } from "../world/world.ts";
import { asPrinted, begin, command, stopsWith, type Scenario } from "./scenario.ts";

const widened: Scenario = {
  row: 37,
  name: "partitions added",
  how: "the input gets six partitions instead of four; tasks stop; `topics apply` and workers that declare six go on",
  async run(world) {
    await begin(world);
    const topic = world.app.orders.name;
    const count = PARTITIONS + 2;
    await asked(world, (admin) => admin.createPartitions({ topicPartitions: [{ topic, count }] }));
    const message = await stopsWith(world, "MILL_TOPIC_PARTITIONS");
    assert.match(message, /declared 4, found 6/);
    await world.crew.leave();
    const settings = { TEST_ORDERS_PARTITIONS: String(count) };
    world.crew.settings = settings;
    const applied = await command(world, ["topics", "apply"], settings);
    assert.match(applied, new RegExp(`^${topic} +source +${String(count)} +ok$`, "m"));
    // The redrive topic follows its source; it is there once something was redriven.
    for (const line of applied.split("\n").filter((one) => one.includes("checking-redrive")))
      assert.match(line, /widen to 6 partitions/);
    await world.crew.whole();
    return { planned: 1, fired: 1, note: message };
  },
};

const recreated: Scenario = {
  row: 38,
  name: "topic deleted and made anew",
  how: "the input is deleted under running workers and made anew; its tasks stop, others go on; the named command begins in the new topic",
  async run(world) {
    const { app, checking, traffic, crew } = world;
    await begin(world);
    await traffic.feeder.pause();
    await world.drained();
    const before = await checking.raw(app.orders.name);
    const judged = await judge(world, { inputs: before });
    assert.deepEqual(judged.findings.notes, []);
    // Until it is made anew, which may take a while, workers say that it is missing.
    crew.expectStop("MILL_TOPIC_MISSING");
    await checking.admin.deleteTopics([app.orders.name]);
    await eventually("the topic is gone", async () =>
      (await checking.admin.listTopics()).includes(app.orders.name) ? null : true,
    );
    await command(world, ["topics", "apply"]);
    traffic.feeder.resume();
    const message = await stopsWith(world, "MILL_SOURCE_TOPIC_RECREATED");
    const running = await crew.metric("millrace_task_state", { part: "by-shop", state: "running" });
    assert.equal(running, PARTITIONS, "what does not read that topic goes on");
    await crew.leave();
    await asPrinted(world, message);
    await crew.whole();
    const inputs = async (): Promise<readonly RawRecord[]> => {
      const now = await checking.raw(app.orders.name);
      return [0, 1, 2, 3].flatMap((p) =>
        [...before, ...now].filter(({ partition }) => partition === p),
      );
    };
    const circumstances = async () => ({ inputs: await inputs(), hasWholeLedgers: false });
    return { planned: 1, fired: 1, note: message, circumstances };
  },
};

const outrun: Scenario = {
  row: 39,
  name: "retention passes a stopped pipeline",
  how: "records behind committed progress are deleted while no worker runs; tasks stop; the named command goes on behind the gap, which alone is missing",
  async run(world) {
    const { app, checking, crew } = world;
    await begin(world);
    await crew.leave();
    const progress = (await checking.progress()).filter(({ part }) => part === "main");
    await delay(3_000);
    const before = await checking.raw(app.orders.name);
    const gaps = progress.map(({ topic, partition, nextOffset }) => {
      const from = nextOffset ?? 0n;
      return { topic, partition, from, nextOffset: from + 20n };
    });
    await checking.admin.deleteRecords(gaps);
    await crew.start();
    await crew.start();
    const stops = await eventually("every task of the input stops", async () => {
      crew.expectStop("MILL_SOURCE_OFFSET_GONE");
      const found = await crew.stops();
      return found.length === PARTITIONS ? found : null;
    });
    await crew.leave();
    for (const { message } of stops) await asPrinted(world, message);
    await crew.whole();
    const isInGap = ({ partition, offset }: RawRecord): boolean =>
      gaps.some(
        (gap) => gap.partition === partition && offset >= gap.from && offset < gap.nextOffset,
      );
    const inputs = async (): Promise<readonly RawRecord[]> => {
      const known = new Set(before.map((one) => `${addressOf(one)}/${String(one.offset)}`));
      const now = await checking.raw(app.orders.name);
      const fresh = now.filter((one) => !known.has(`${addressOf(one)}/${String(one.offset)}`));
      return [0, 1, 2, 3].flatMap((p) =>
        [...before, ...fresh].filter((one) => one.partition === p && !isInGap(one)),
      );
    };
    const circumstances = async () => ({ inputs: await inputs(), hasWholeLedgers: false });
    const note = `${String(gaps.length * 20)} records missing, and no more; ${stops[0]?.message ?? ""}`;
    return { planned: PARTITIONS, fired: stops.length, note, circumstances };
  },
};

const forgotten: Scenario = {
  row: 40,
  name: "progress of groups deleted",
  how: "the groups of a stream part and of a table are deleted while no worker runs; stream tasks stop, the table ignores it; progress is put back from a file",
  async run(world) {
    const { checking, crew, app } = world;
    await begin(world);
    await crew.leave();
    const progress = (await checking.progress()).filter(({ part }) => part === "main");
    const groups = checking.plan.parts.map(({ group }) => group);
    await asked(world, (admin) => admin.deleteGroups([...groups]));
    await crew.start();
    await crew.start();
    const message = await stopsWith(world, "MILL_SOURCE_PROGRESS_LOST");
    assert.match(commandIn(message).join(" "), /^offsets reset /);
    const running = { part: "order_rows", state: "running" };
    await eventually("tasks of the table run", async () =>
      (await crew.metric("millrace_task_state", running)) === PARTITIONS ? true : null,
    );
    await crew.leave();
    const file = join(world.troubleFolder, "offsets.csv");
    const lines = progress.map(
      ({ partition, nextOffset }) =>
        `${app.orders.name},${String(partition)},${String(nextOffset)}`,
    );
    writeFileSync(file, `${lines.join("\n")}\n`);
    const part = ["--part", "main", "--to", `file:${file}`, "--yes"];
    await command(world, ["offsets", "reset", checking.plan.pipeline, ...part]);
    await crew.whole();
    const circumstances = () => Promise.resolve({ hasWholeLedgers: false });
    return { planned: 1, fired: 1, note: message, circumstances };
  },
};

const noLetters: Scenario = {
  row: 46,
  name: "dead-letter topic gone",
  hasRefused: false,
  how: "the dead-letter topic is deleted, then refused records come; tasks pause and say so, no worker ends, nothing is passed over; made anew, all letters are there",
  async run(world: World) {
    const { checking, traffic, crew } = world;
    await begin(world);
    const { deadLetters } = checking.plan;
    const workers = [...crew.members];
    for (const worker of workers) crew.expectEnd(worker);
    crew.expectStop("a topic does not exist");
    crew.expectStop(`the topic ${deadLetters} is missing: run npx millrace topics apply`);
    await checking.admin.deleteTopics([deadLetters]);
    await eventually("the topic is gone", async () =>
      (await checking.admin.listTopics()).includes(deadLetters) ? null : true,
    );
    // One broker says so. Until all have heard, a letter may still be taken, and goes with the topic.
    await delay(5_000);
    const refused = Array.from({ length: 40 }, () => ({
      fate: "rule" as const,
      order: { amount: decimal("-1") },
    }));
    await traffic.inject(refused);
    const letterless = async (): Promise<boolean> =>
      ((await checking.ledger("main"))["dead-lettered"]["rule"] ?? 0) === 0;
    await delay(15_000);
    const isHeld = await letterless();
    const said = workers.flatMap((worker) =>
      worker.lines.filter(({ level }) => level === "error" || level === "warn"),
    );
    await command(world, ["topics", "apply"]);
    await crew.whole();
    await world.recovery(performance.now());
    for (const worker of workers) crew.forgive(worker);
    const ended = workers.filter(({ hasEnded }) => hasEnded).length;
    const ends = said.filter(({ message }) => message === "the worker has ended");
    assert.ok(
      ends.every(({ code }) => code === "MILL_TOPIC_MISSING"),
      JSON.stringify(ends),
    );
    const words = JSON.stringify(said.at(-1) ?? "nothing was said");
    const note = `${isHeld ? "no record was passed over" : "records were passed over"}, ${String(ended)} of 2 workers ended; ${words}`;
    return { planned: 1, fired: isHeld ? 1 : 0, note };
  },
};

export const topicScenarios: readonly Scenario[] = [
  widened,
  recreated,
  outrun,
  forgotten,
  noLetters,
];
