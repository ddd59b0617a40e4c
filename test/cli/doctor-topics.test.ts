import assert from "node:assert/strict";
import { test } from "node:test";
import { topicFindings } from "../../src/cli/doctor-topics.ts";
import type { CliIo } from "../../src/cli/io.ts";
import { things } from "../support/plans.ts";
import { json, pipeline, seconds, string, topic, tumbling } from "#engine";
import { MemoryServers } from "../support/command.ts";

const io = (env: Record<string, string>): CliIo => ({
  env,
  cwd: "/nowhere",
  isTty: false,
  out: () => undefined,
  err: () => undefined,
});
const there = io({ KAFKA_BROKERS: "memory:1" });
const copy = pipeline("copy", ({ from }) => from(things("in")).to(things("out")));
const plan = copy.plan();

test("a source whose timestamps nobody bounds is a warning with its mend", async () => {
  const servers = new MemoryServers([plan]);
  const look = () => topicFindings(there, servers.connect, () => [plan]);
  const bound = (ms: string): Promise<void> =>
    servers.kafka.port().admin().alterTopicConfig("in", { "message.timestamp.after.max.ms": ms });
  await bound("3600000");
  assert.deepEqual(
    (await look()).map(({ verdict }) => verdict),
    ["fine"],
  );
  await bound("9223372036854775807");
  const [found, ...more] = await look();
  assert.deepEqual([found?.check, found?.verdict, more], ["topics", "warning", []]);
  assert.match(found?.detail ?? "", /^in takes timestamps up to any time ahead/);
  assert.match(found?.fix ?? "", /message\.timestamp\.after\.max\.ms .*3600000/);
});

test("without Kafka nothing is said; what cannot be looked at is", async () => {
  const away = () => Promise.reject(new Error("no such broker"));
  assert.deepEqual(await topicFindings(io({}), away, () => [plan]), []);
  const [found] = await topicFindings(there, away, () => [plan]);
  assert.equal(found?.detail, "not looked at: no such broker");
});

const shape = { key: string, value: json<{ n: number }>(), partitions: 1, owner: "tests" };
const written = (writtenBy?: string) =>
  topic("written", { ...shape, ...(writtenBy === undefined ? {} : { writtenBy }) });
const windowed = (writtenBy?: string) =>
  pipeline("windowed", ({ from }) => {
    from(written(writtenBy))
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(10), grace: seconds(0) }))
      .count("of-window", { emit: "close" })
      .toStream("as-n", (n) => ({ n }))
      .to(topic("counts", shape));
  }).plan();
const writing = pipeline("writing", ({ from }) => {
  from(topic("first", shape)).to(written());
}).plan();

test("a topic whose writer has noted nothing is a warning, and so is one whose declaration does not name a writer that is here", async () => {
  const details = async (plans: readonly (typeof plan)[]): Promise<readonly string[]> => {
    const servers = new MemoryServers(plans);
    const found = await topicFindings(there, servers.connect, () => plans);
    return found
      .map(({ verdict, detail, fix = "" }) => `${verdict}: ${detail}: ${fix}`)
      .filter((text) => !text.includes("ahead of the broker's clock"));
  };
  const [noted, ...more] = await details([windowed("elsewhere")]);
  assert.match(
    noted ?? "",
    /^warning: the pipeline elsewhere has not noted how it writes written, so written is never quiet.*: npx millrace run elsewhere$/,
  );
  const [unnamed, ...others] = await details([windowed(), writing]);
  assert.match(
    unnamed ?? "",
    /^warning: written is written by the pipeline writing, which its declaration does not say: .*: writtenBy: "writing" in the declaration of the topic$/,
  );
  assert.deepEqual([more, others], [[], []]);
});
