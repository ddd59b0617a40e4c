// A topic that does not declare its partitions: every way to a plan gives it the number of the setting, and a cluster that
// has another one is refused, with the name of the setting.
import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { json, pipeline, string, topic, type Topic } from "#engine";
import { connectFor } from "../../src/cli/connect.ts";
import { describeVerb } from "../../src/cli/describe.ts";
import { produceVerb } from "../../src/cli/produce.ts";
import { topicsVerb } from "../../src/cli/topics/topics.ts";
import { BROKER_DEFAULTS } from "../../src/engine/core/own-topics.ts";
import { ConfigErrors } from "../../src/engine/core/errors.ts";
import type { PlanSettings } from "../../src/engine/core/plan-settings.ts";
import { plansOf } from "../../src/engine/define/plans.ts";
import { desiredTopics } from "../../src/engine/provision/desired-topics.ts";
import { runWorkerProcess } from "../../src/engine/reprocess/run/work.ts";
import { planSettingsOf, readSettings } from "../../src/engine/runtime/host/settings.ts";
import { live } from "../../src/engine/runtime/live.ts";
import { checkTopics } from "../../src/engine/runtime/preflight.ts";
import { send, simulate } from "#testing";
import { command, MemoryServers } from "../support/command.ts";
import { Fleet } from "../support/fleet.ts";
import { things, type Thing } from "../support/plans.ts";

const open = (name: string): Topic<string, Thing> =>
  topic(name, { key: string, value: json<Thing>(), owner: "tests" });
const returns = open("returns");
const returned = pipeline("returned", ({ from }) => {
  from(returns).to(open("returned"));
});
/** Built under 4 alone. */
const met = pipeline("met", ({ from }) => {
  from(things("declared", 4)).merge("both", from(returns)).to(things("out", 4));
});

/** Without Redis, which `counted` needs: no start gets as far as a connection. */
const counted = pipeline("counted", ({ from }) => {
  from(returns)
    .groupByKey()
    .count("count")
    .toStream()
    .map("shown", (n) => ({ id: "", n }))
    .to(open("counts"));
});

const env = { KAFKA_BROKERS: "127.0.0.1:1" };
const six = { ...env, MILLRACE_TOPIC_PARTITIONS: "6" };
const under = (settings: Record<string, string>) =>
  plansOf([returned], planSettingsOf(readSettings(settings)));

/** `topics` over servers in memory, as a process with these settings would run it. */
async function topics(memory: MemoryServers, settings: Record<string, string>, ...argv: string[]) {
  const plans = under(settings);
  const verb = topicsVerb(async (io) => ({
    ...(await memory.connectOperate(io)),
    ...planSettingsOf(readSettings(settings)),
    topicDefaults: BROKER_DEFAULTS,
    topics: () => Promise.resolve(desiredTopics(plans)),
    allPlans: () => Promise.resolve(plans),
  }));
  return command(verb, ["topics", ...argv]);
}

test("topics are made with the number, a start finds them, and --verbose says who gave it", async () => {
  const memory = new MemoryServers([]);
  assert.equal((await topics(memory, six, "apply")).code, 0);
  const admin = memory.kafka.port().admin();
  assert.equal((await admin.describeTopics(["returns"])).get("returns")?.partitions, 6);
  await checkTopics(under(six), admin);
  const { out } = await topics(memory, six, "plan", "--verbose");
  const at = out.indexOf("returns");
  assert.equal(out[at + 1], "  partitions by MILLRACE_TOPIC_PARTITIONS");
  assert.ok(
    out.some((line) =>
      /^New topics get: .*, 6 partitions .*\(MILLRACE_TOPIC_PARTITIONS\)$/.test(line),
    ),
  );
  const [line = ""] = (await topics(memory, six, "plan", "--json")).out;
  assert.equal((JSON.parse(line) as { partitionsBy: string }).partitionsBy, "setting");
});

test("a setting that differs from what exists is refused, by apply and by a start, and is named", async () => {
  const memory = new MemoryServers([]);
  await topics(memory, env, "apply");
  const says = /returns: MILLRACE_TOPIC_PARTITIONS says 6, found 4/;
  const plan = await topics(memory, six, "plan");
  assert.equal(plan.code, 78);
  assert.match(plan.out.join("\n"), says);
  const apply = await topics(memory, six, "apply");
  assert.equal(apply.code, 78);
  assert.match(apply.err.join("\n"), says);
  const admin = memory.kafka.port().admin();
  assert.equal((await admin.describeTopics(["returns"])).get("returns")?.partitions, 4);
  await assert.rejects(checkTopics(under(six), admin), (error: unknown) => {
    assert.ok(error instanceof ConfigErrors);
    assert.match(error.problems.map(({ message }) => message).join("\n"), says);
    return true;
  });
});

test("partitions that are added under a running task stop it, and the stop names the setting", async () => {
  const fleet = new Fleet([returned]);
  const { worker } = await fleet.join();
  fleet.kafka.widenTopic("returns", 6);
  await fleet.until("the task stops", () => worker.health()[0]?.state === "stopped");
  const [task] = worker.health();
  assert.ok(task?.state === "stopped" && task.code === "MILL_TOPIC_PARTITIONS");
  assert.match(task.message, /returns: MILLRACE_TOPIC_PARTITIONS says 4, found 6/);
});

test("a worker, a worker of a run and the commands build under the setting of their environment", async () => {
  const names = (error: unknown): boolean => {
    assert.ok(error instanceof ConfigErrors, String(error));
    assert.match(
      error.problems.map(({ message }) => message).join("\n"),
      /received declared 4 and returns 6 \(MILLRACE_TOPIC_PARTITIONS\)/,
    );
    return true;
  };
  const checkTables = () => Promise.resolve([]);
  const of = { pipelines: [met], env: six, checkTables };
  await assert.rejects(live({ ...of, pipelines: [met, counted] }), names);
  await assert.rejects(runWorkerProcess({ ...of, pipeline: "met", run: 1 }), names);
  const cwd = mkdtempSync(join(tmpdir(), "partitions-"));
  const io = { env: { ...six, MILLRACE_NAMESPACE: "ns-" }, cwd, isTty: false, out() {}, err() {} };
  const { namespace, topicPartitions, close } = await connectFor(io);
  await close();
  assert.deepEqual({ namespace, topicPartitions }, { namespace: "ns-", topicPartitions: 6 });
});

test("commands that connect to nothing read the setting too, and refuse a wrong one", async () => {
  const offline = (): never => assert.fail("it connects to nothing");
  const plans = (settings: PlanSettings) => plansOf([returned], settings);
  const verb = describeVerb(offline, plans);
  const describe = (more: Record<string, string>) =>
    command(verb, ["describe", "returned", "--json"], more);
  const widths = async (more: Record<string, string>) => {
    const { out } = await describe(more);
    const { topics } = JSON.parse(out[0] ?? "") as { topics: { partitions: number }[] };
    return topics.map(({ partitions }) => partitions);
  };
  assert.deepEqual(await widths({}), [4, 4]);
  assert.deepEqual(await widths({ MILLRACE_TOPIC_PARTITIONS: "6" }), [6, 6]);
  const wrong = { MILLRACE_TOPIC_PARTITIONS: "none" };
  const check = ["produce", "returns", "--file", "x.csv", "--check"];
  for (const refused of [
    await describe(wrong),
    await command(produceVerb(offline, plans), check, wrong),
  ]) {
    assert.equal(refused.code, 78);
    assert.match(refused.err.join("\n"), /MILLRACE_TOPIC_PARTITIONS: .*received "none"/);
  }
});

test("simulate() has 4 partitions, or as many as its option says, and sends to all of them", async () => {
  const steps = Array.from({ length: 60 }, (_, n) => send(returns, `k${String(n)}`, { id: "", n }));
  const used = async (options: { topicPartitions?: number }) => {
    const { records } = await simulate(returned, steps, options);
    return [returns, open("returned")].map((read) => {
      assert.equal(records(read).length, 60);
      return new Set(records(read).map(({ partition }) => partition)).size;
    });
  };
  assert.deepEqual(await used({}), [4, 4]);
  assert.deepEqual(await used({ topicPartitions: 6 }), [6, 6]);
});
