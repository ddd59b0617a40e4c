import assert from "node:assert/strict";
import { test } from "node:test";
import { topicFindings } from "../../src/cli/doctor-topics.ts";
import type { CliIo } from "../../src/cli/io.ts";
import { things } from "../support/plans.ts";
import { pipeline } from "#engine";
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
