// `millrace acls`: what each role needs, as commands and as JSON; connects to nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, string, topic, tumbling } from "#engine";
import { aclsVerb } from "../../src/cli/acls.ts";
import type { CliIo } from "../../src/cli/io.ts";
import { main } from "../../src/cli/main.ts";
import type { Rights } from "../../src/engine/provision/rights/rights.ts";

const shape = { key: string, value: json<{ n: number }>(), partitions: 2, owner: "tests" };
const input = topic("in", shape);
const output = topic("out", shape);
const plain = pipeline("plain", ({ from }) => {
  from(input).to(output);
});
const counts = pipeline("counts", ({ from }) => {
  from(input)
    .groupBy("by-n", ({ n }) => String(n))
    .count("total")
    .map("as-n", (n) => ({ n }))
    .to(output);
});

const foreign = pipeline("foreign", ({ from }) => {
  from(topic("theirs", { ...shape, external: true })).to(output);
});

/** Windows wait for the writer of what they read. */
const followed = pipeline("followed", ({ from }) => {
  from(topic("written", { ...shape, writtenBy: "plain" }))
    .groupByKey()
    .windowedBy(tumbling({ size: seconds(10), grace: seconds(0) }))
    .count("of-window", { emit: "close" })
    .toStream("as-n", (n) => ({ n }))
    .to(output);
});

const chained = (name: string, writtenBy: string) => topic(name, { ...shape, writtenBy });
const raw = chained("raw", "first");
const middle = chained("middle", "second");
const first = pipeline("first", ({ from }) => {
  from(input).to(raw);
  from(topic("first-beside", shape)).to(topic("first-other", shape));
});
const second = pipeline("second", ({ from }) => {
  from(raw)
    .rekey("by-n", ({ n }) => String(n))
    .to(middle);
  from(topic("beside", shape)).to(topic("other", shape));
});
const third = pipeline("third", ({ from }) => {
  from(middle)
    .groupByKey()
    .windowedBy(tumbling({ size: seconds(10), grace: seconds(0) }))
    .count("of-window", { emit: "close" })
    .toStream("as-n", (n) => ({ n }))
    .to(output);
});
const withChain = [first, second, third];

async function acls(
  argv: readonly string[],
  env: CliIo["env"] = {},
  declared = [plain, counts, foreign, followed],
) {
  const lines: string[] = [];
  const out = (line: string): void => void lines.push(line);
  const io: CliIo = { env, cwd: "/", isTty: false, out, err: out };
  const verb = aclsVerb(({ namespace }) => declared.map((one) => one.plan(namespace)));
  return { code: await main(["acls", ...argv], io, [verb]), lines };
}

test("a worker without state or tables needs its topics, its group and its transactional id", async () => {
  const { code, lines } = await acls(["plain", "--role", "worker", "--worker", "app"]);
  assert.equal(code, 0);
  const add = 'kafka-acls --bootstrap-server "$KAFKA_BROKERS" --add --allow-principal User:app';
  assert.deepEqual(lines, [
    "# Kafka: plain, worker",
    `${add} --operation Read --operation DescribeConfigs --topic in`,
    `${add} --operation Write --operation DescribeConfigs --topic out`,
    `${add} --operation Read --operation Write --operation DescribeConfigs --topic plain- --resource-pattern-type prefixed`,
    `${add} --operation Read --group plain. --resource-pattern-type prefixed`,
    `${add} --operation Write --transactional-id millrace- --resource-pattern-type prefixed`,
  ]);
});

test("a worker whose windows wait for another pipeline looks at the notes, topics and groups of that one", async () => {
  const { lines } = await acls(["followed", "--role", "worker", "--json"], {
    MILLRACE_NAMESPACE: "ns-",
  });
  const [{ kafka }] = lines.map((line) => JSON.parse(line) as Rights) as [Rights];
  const others = kafka.filter(({ name }) => name.startsWith("ns-plain"));
  assert.deepEqual(
    others.map(({ resource, name, pattern, operations }) => [
      resource,
      name,
      pattern,
      ...operations,
    ]),
    [
      ["topic", "ns-plain-meta", "literal", "Read"],
      ["topic", "ns-plain-", "prefixed", "Describe"],
      ["group", "ns-plain.", "prefixed", "Describe"],
    ],
  );
});

interface WorkerRights extends Pick<Rights, "unknownWriters"> {
  readonly others: readonly string[];
}
async function workerRights(declared: typeof withChain): Promise<WorkerRights> {
  const { lines } = await acls(["third", "--role", "worker", "--json"], {}, declared);
  const [{ kafka, unknownWriters }] = lines.map((line) => JSON.parse(line) as Rights) as [Rights];
  const others = kafka
    .filter(({ name }) => !/^(third|millrace-|middle$|out$)/.test(name))
    .map(({ resource, name, operations }) => [resource, name, ...operations].join(" "));
  return { others, unknownWriters };
}

test("what the writer on the way reads, and what the writer of that reads, is described; what lies beside the way is not", async () => {
  const { others, unknownWriters } = await workerRights(withChain);
  assert.deepEqual(others, [
    "topic second-meta Read",
    "topic second- Describe",
    "group second. Describe",
    "topic first-meta Read",
    "topic first- Describe",
    "group first. Describe",
    "topic raw Describe",
    "topic in Describe",
  ]);
  assert.deepEqual(unknownWriters, []);
});

test("of a writer that is declared elsewhere it is said that its inputs are not known", async () => {
  const { others, unknownWriters } = await workerRights([second, third]);
  assert.deepEqual(unknownWriters, ["first"]);
  assert.ok(others.includes("topic raw Describe") && !others.includes("topic in Describe"));
  const { lines } = await acls(["third", "--server", "kafka"], {}, [second, third]);
  assert.deepEqual(
    lines.filter((line) => line.startsWith("# Not known")),
    [
      "# Not known here: the topics that first reads, and pipelines that write them. Add --operation Describe for each",
    ],
  );
});

test("names begin with the namespace, transactional ids with the prefix of workers too", async () => {
  const env = { MILLRACE_NAMESPACE: "ns-", MILLRACE_WORKER_PREFIX: "shop" };
  const { lines } = await acls(["counts", "--role", "worker", "--json"], env);
  const [{ kafka, redis }] = lines.map((line) => JSON.parse(line) as Rights) as [Rights];
  const names = kafka.map(({ resource, name, pattern }) => `${resource} ${name} ${pattern}`);
  assert.deepEqual(names, [
    "topic in literal",
    "topic out literal",
    "topic ns-counts- prefixed",
    "group ns-counts. prefixed",
    "transactional-id ns-shop- prefixed",
  ]);
  assert.deepEqual(redis?.keys, ["{ns-counts:*", "{ns-counts-r[0-9]*:*"]);
});

test("with --literal every topic and group of a worker has its own name, the redrive topic too", async () => {
  const { lines } = await acls(["counts", "--role", "worker", "--literal", "--server", "kafka"]);
  const text = lines.join("\n");
  for (const own of ["by-n-repartition", "total-changelog", "dead-letters", "meta", "redrive"])
    assert.match(text, new RegExp(`--topic counts-${own}( |$)`, "m"));
  assert.match(
    text,
    /--operation Delete --operation DescribeConfigs --topic counts-by-n-repartition/,
  );
  assert.match(text, /--group counts\.main .*--group counts\.by-n/);
  assert.doesNotMatch(text, /--topic \S*- /);
});

test("an operator may not make or change a topic that is declared external", async () => {
  const { lines } = await acls(["foreign", "--role", "operator", "--json"]);
  const [{ kafka }] = lines.map((line) => JSON.parse(line) as Rights) as [Rights];
  const of = (topicName: string) => kafka.find(({ name }) => name === topicName)?.operations;
  assert.deepEqual(of("theirs"), ["Read", "DescribeConfigs"]);
  assert.deepEqual(of("out"), ["Create", "Read", "Write", "Alter", "AlterConfigs"]);
});

test("a reader may write nothing", async () => {
  const { lines } = await acls(["counts", "--role", "reader", "--json"]);
  const [{ kafka, redis }] = lines.map((line) => JSON.parse(line) as Rights) as [Rights];
  for (const { operations } of kafka)
    for (const operation of operations)
      assert.match(operation, /^(Read|Describe|DescribeConfigs)$/);
  assert.ok(
    redis !== null &&
      !redis.commands.some((command) => /set|del|add|rem$|rename|unlink/.test(command)),
  );
});

test("all pipelines and roles where none is named; what is not there is refused", async () => {
  const { lines } = await acls(["--json"]);
  assert.equal(lines.length, 12);
  assert.equal((await acls(["nowhere"])).code, 3);
  assert.equal((await acls(["--role", "king"])).code, 2);
  assert.equal((await acls(["--server", "mysql"])).code, 2);
  assert.equal((await acls([], { MILLRACE_WORKER_PREFIX: "A B" })).code, 78);
});
