// Topics of others: a setting that nobody declared stays, an external topic is only checked, a change that can lose data
// needs its word, and a command with names of pipelines touches nothing that belongs to another one alone.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { avro, days, json, pipeline, string, topic, type Pipeline } from "#engine";
import { topicsVerb } from "../../src/cli/topics/topics.ts";
import { BROKER_DEFAULTS } from "../../src/engine/core/own-topics.ts";
import { desiredTopics } from "../../src/engine/provision/desired-topics.ts";
import { command, MemoryServers } from "../support/command.ts";
import { things } from "../support/plans.ts";

interface Click {
  readonly id: string;
}
const clickSchema = {
  type: "record",
  name: "Click",
  fields: [{ name: "id", type: "string" }],
} as const;
const shape = { key: string, value: json<Click>(), partitions: 2, owner: "team-web" };
type Options = Partial<Parameters<typeof topic<string, Click>>[1]>;

const copyOf = (options: Options, output: Options = {}, name = "copy"): Pipeline =>
  pipeline(name, ({ from }) => {
    from(topic("clicks", { ...shape, ...options })).to(topic("seen", { ...shape, ...output }));
  });

/** The verb over servers in memory that outlive each command. */
function servers(...flows: readonly Pipeline[]) {
  const memory = new MemoryServers([]);
  const admin = memory.kafka.port().admin();
  const plans = (of: readonly Pipeline[]) => of.map((flow) => flow.plan());
  const run = (of: readonly Pipeline[], argv: readonly string[]) =>
    command(
      topicsVerb(async (io) => ({
        ...(await memory.connectOperate(io)),
        topicDefaults: BROKER_DEFAULTS,
        topics: (options) => Promise.resolve(desiredTopics(plans(of), options)),
        allPlans: () => Promise.resolve(plans(of)),
      })),
      ["topics", ...argv],
    );
  return {
    memory,
    admin,
    topics: (...argv: readonly string[]) => run(flows, argv),
    of: (flow: Pipeline, ...argv: readonly string[]) => run([flow], argv),
    /** A topic as its team made it. */
    made: (name: string, config: Readonly<Record<string, string>> = {}, partitions = 2) =>
      admin.createTopics([{ topic: name, partitions, replicationFactor: -1, config }]),
    config: async (name: string) => (await admin.describeTopics([name])).get(name)?.config,
    schemas: async (subject: string) => (await memory.registry.latest(subject))?.version ?? 0,
  };
}

const FORTNIGHT = "1209600000";

describe("a topic of others", () => {
  test("keeps the retention that nobody here declared (case S3)", async () => {
    const { topics, made, config } = servers(copyOf({}));
    await made("clicks", { "retention.ms": FORTNIGHT, "segment.ms": "77" });
    const before = await config("clicks");
    for (const argv of [["plan"], ["apply"], ["apply"]]) {
      const { code, out } = await topics(...argv);
      assert.equal(code, 0);
      assert.match(out.join("\n"), /^clicks +source +2 +ok$/m);
    }
    assert.deepEqual(await config("clicks"), before);
    const verbose = (await topics("plan", "--verbose")).out.join("\n");
    assert.match(verbose, /has retention.ms 1209600000, set for the topic, not declared/);
  });

  test("that nobody has made yet gets seven days and delete, once", async () => {
    const { topics, config, admin } = servers(copyOf({}));
    await topics("apply");
    const made = await config("clicks");
    assert.deepEqual([made?.["retention.ms"], made?.["cleanup.policy"]], ["604800000", "delete"]);
    await admin.alterTopicConfig("clicks", { "retention.ms": "5", "cleanup.policy": "compact" });
    const changed = await config("clicks");
    assert.equal((await topics("apply")).code, 0);
    assert.deepEqual(await config("clicks"), changed);
  });

  test("is never given the installation's min.insync.replicas, which our own topics have", async () => {
    const flow = copyOf({});
    const { memory, made, config } = servers();
    await made("clicks");
    const defaults = { replicationFactor: -1, minInsync: 1 };
    const { code } = await command(
      topicsVerb(async (io) => ({
        ...(await memory.connectOperate(io)),
        topicDefaults: defaults,
        topics: (options) =>
          Promise.resolve(desiredTopics([flow.plan()], { defaults, ...options })),
        allPlans: () => Promise.resolve([flow.plan()]),
      })),
      ["topics", "apply"],
    );
    assert.equal(code, 0);
    const found = ["clicks", "seen", "copy-meta"].map(config);
    const insync = (await Promise.all(found)).map((one) => one?.["min.insync.replicas"]);
    assert.deepEqual(insync, [undefined, "1", "1"]);
  });
});

describe("an external topic", () => {
  const external = (options: Options = {}): Pipeline => copyOf({ ...options, external: true });

  test("is neither made nor changed, and its absence is said with who makes it", async () => {
    const { topics, made, admin, config } = servers(external());
    for (const verb of ["plan", "apply"]) {
      const { code, out, err } = await topics(verb);
      assert.equal(code, 78);
      assert.match(
        [...out, ...err].join("\n"),
        /MILL_TOPIC_MISSING a topic does not exist: clicks, which is declared external: its owner makes it|MILL_TOPIC_MISSING {2}.*clicks, which is declared external: its owner makes it/,
      );
    }
    assert.deepEqual(await admin.listTopics(), []);
    await made("clicks", { "retention.ms": FORTNIGHT });
    const before = await config("clicks");
    const { code, out } = await topics("apply");
    assert.equal(code, 0);
    assert.match(out.join("\n"), /^clicks +source +2 +external$/m);
    assert.deepEqual(await config("clicks"), before);
  });

  test("that differs from its declaration is warned of, and stays", async () => {
    const { topics, made, config } = servers(external({ retention: days(1), compacted: false }));
    await made("clicks", { "retention.ms": FORTNIGHT });
    const before = await config("clicks");
    const { code, out } = await topics("apply", "--yes", "shorten-retention");
    assert.equal(code, 0);
    const warning = "retention.ms is 1209600000, declared 86400000: its owner may change it";
    assert.ok(out.includes(`clicks: warning: ${warning}`), out.join("\n"));
    assert.deepEqual(await config("clicks"), before);
  });

  test("with another number of partitions is refused", async () => {
    const { topics, made } = servers(external());
    await made("clicks", {}, 6);
    const { code, err } = await topics("apply");
    assert.equal(code, 78);
    assert.match(err.join("\n"), /MILL_TOPIC_PARTITIONS .*clicks: declared 2, found 6/);
  });

  test("gets no schema from here: a reader goes by the writers', a writer needs its owner's", async () => {
    const value = avro<Click>(clickSchema);
    const { topics, made, schemas } = servers(external({ value }));
    await made("clicks");
    assert.equal((await topics("apply")).code, 0);
    assert.equal(await schemas("clicks-value"), 0);
    const writer = servers(copyOf({ value }, { value, external: true }));
    await writer.made("seen");
    const { code, err } = await writer.topics("apply");
    assert.equal(code, 78);
    assert.match(err.join("\n"), /MILL_SCHEMA_UNREGISTERED .*seen-value, of a topic .* external/);
    await writer.memory.registry.register("seen-value", JSON.stringify(clickSchema));
    assert.equal((await writer.topics("apply")).code, 0);
  });
});

describe("a declared change that can lose data", () => {
  const cases: readonly (readonly [string, Record<string, string>, Options])[] = [
    ["shorten-retention", { "retention.ms": FORTNIGHT }, { retention: days(7) }],
    ["shorten-retention", { "retention.ms": "-1" }, { retention: days(7) }],
    [
      "shorten-retention",
      { "retention.bytes": "2000000" },
      { config: { "retention.bytes": "1000000" } },
    ],
    ["shorten-retention", {}, { config: { "delete.retention.ms": "1000" } }],
    ["change-cleanup", {}, { compacted: true }],
    ["change-cleanup", { "cleanup.policy": "compact" }, { compacted: false }],
    [
      "change-cleanup",
      { "cleanup.policy": "compact" },
      { config: { "cleanup.policy": "compact,delete" } },
    ],
    ["refuse-records", {}, { config: { "max.message.bytes": "1000" } }],
    ["refuse-records", {}, { config: { "message.timestamp.after.max.ms": "3600000" } }],
    ["change-timestamps", {}, { config: { "message.timestamp.type": "LogAppendTime" } }],
    [
      "lower-durability",
      { "min.insync.replicas": "2" },
      { config: { "min.insync.replicas": "1" } },
    ],
    [
      "lower-durability",
      { "unclean.leader.election.enable": "false" },
      { config: { "unclean.leader.election.enable": "true" } },
    ],
  ];
  for (const [word, found, declared] of cases)
    for (const side of ["clicks", "seen"])
      test(`${JSON.stringify(declared)} of ${side} needs --yes ${word}`, async () => {
        const flow = side === "clicks" ? copyOf(declared) : copyOf({}, declared);
        const { topics, made, config } = servers(flow);
        await made(side, found);
        const before = await config(side);
        const plan = (await topics("plan")).out.join("\n");
        assert.match(plan, new RegExp(`^${side}: can lose data: .*\\(${word}\\)$`, "m"));
        const command = `npx millrace topics apply --yes ${word}`;
        assert.ok(plan.includes(`What can lose data: ${command}`), plan);
        const refused = await topics("apply");
        assert.equal(refused.code, 2);
        assert.match(refused.err[0] ?? "", /^MILL_TOPIC_LOSES {2}/);
        assert.ok(refused.err[0]?.endsWith(`To do it: ${command}`), refused.err[0]);
        assert.deepEqual(await config(side), before);
        assert.equal(await config("copy-meta"), undefined, "nothing else was done either");
        const other = word === "change-cleanup" ? "refuse-records" : "change-cleanup";
        assert.equal((await topics("apply", "--yes", other)).code, 2);
        assert.equal((await topics("apply", "--yes", `${other},${word}`)).code, 0);
        assert.match((await topics("plan")).out.join("\n"), new RegExp(`^${side} .* ok$`, "m"));
      });

  test("that keeps or takes more needs no word", async () => {
    const more = { "max.message.bytes": "9000000", "delete.retention.ms": "99000000" };
    const { topics, made, config } = servers(copyOf({ retention: "forever", config: more }));
    await made("clicks", { "retention.ms": FORTNIGHT });
    assert.equal((await topics("apply")).code, 0);
    const found = await config("clicks");
    assert.deepEqual([found?.["retention.ms"], found?.["max.message.bytes"]], ["-1", "9000000"]);
  });

  test("takes only words that there are, and an argument that is left out is none", async () => {
    const { topics, made } = servers(copyOf({ retention: days(1) }));
    await made("clicks");
    const wrong = await topics("apply", "--yes", "shorten");
    assert.equal(wrong.code, 2);
    assert.match(wrong.err[0] ?? "", /--yes: expected words of shorten-retention, .*"shorten"/);
    assert.equal((await topics("apply", "--yes")).code, 2);
  });

  test("names the pipelines in the command that it prints", async () => {
    const { topics, made } = servers(copyOf({ retention: days(1) }), copyOf({}, {}, "other"));
    await made("clicks");
    const { err } = await topics("apply", "copy");
    assert.ok(
      err[0]?.endsWith("To do it: npx millrace topics apply copy --yes shorten-retention"),
      err[0],
    );
  });
});

describe("topics apply with names", () => {
  const first = pipeline("first", ({ from }) => {
    from(things("in"))
      .rekey("by-n", ({ n }) => String(n))
      .groupByKey()
      .sum("total", ({ n }) => n)
      .map("as-thing", (n, { key }) => ({ id: key, n }))
      .to(things("sums"));
  });
  const second = pipeline("second", ({ from }) => {
    from(things("sums")).to(things("out"));
  });

  test("makes the topics of that pipeline alone", async () => {
    const { topics, admin } = servers(first, second);
    const { code, out } = await topics("apply", "second");
    assert.equal(code, 0);
    assert.deepEqual(await admin.listTopics(), ["out", "second-dead-letters", "second-meta"]);
    assert.match(out.join("\n"), /^sums +source +\d+ +missing$/m);
    const hint =
      "is not there and belongs to a pipeline that was not named: npx millrace topics apply first";
    assert.ok(out.includes(`sums: warning: ${hint}`), out.join("\n"));
    await topics("apply", "first");
    assert.match((await topics("plan", "second")).out.join("\n"), /^sums +source +\d+ +checked$/m);
    assert.equal((await admin.listTopics()).length, 9);
  });

  test("leaves what another pipeline writes, whatever is declared of it", async () => {
    const strict = topic("sums", {
      ...{ key: string, value: json<{ id: string; n: number }>(), owner: "tests" },
      ...{ partitions: 4, config: { "segment.ms": "5" } },
    });
    const reader = pipeline("reader", ({ from }) => {
      from(strict).to(things("out"));
    });
    const { topics, config, made } = servers(first, reader);
    await made("sums", { "segment.ms": "4" }, 4);
    const { code } = await topics("apply", "reader");
    assert.equal(code, 0);
    assert.equal((await config("sums"))?.["segment.ms"], "4");
    await topics("apply");
    assert.equal((await config("sums"))?.["segment.ms"], "5");
  });

  test("lists only the orphans of that pipeline, and refuses a name that is none", async () => {
    const { topics, memory } = servers(first, second);
    await topics("apply");
    for (const name of ["first-old-changelog", "second-old-repartition"])
      memory.kafka.createTopic({ topic: name, partitions: 1 });
    const rows = (await topics("plan", "second")).out.filter((line) => line.endsWith(" orphan"));
    assert.deepEqual(
      rows.map((line) => line.split(" ")[0]),
      ["second-old-repartition"],
    );
    const wrong = await topics("apply", "third");
    assert.equal(wrong.code, 3);
    assert.match(wrong.err[0] ?? "", /pipeline third; there are: first, second/);
  });
});

test("a renamed operator's store starts empty, and plan says where the old one stays", async () => {
  const counted = (name: string): Pipeline =>
    pipeline("shop", ({ from }) => {
      from(things("in"))
        .groupByKey()
        .sum(name, ({ n }) => n)
        .map("as-thing", (n, { key }) => ({ id: key, n }))
        .to(things("sums"));
    });
  const { of, admin } = servers();
  await of(counted("total"), "apply");
  for (const argv of [["plan"], ["apply"]]) {
    const { code, out } = await of(counted("sum"), ...argv);
    assert.equal(code, 0);
    assert.ok(
      out.includes(
        'shop-sum-changelog: warning: starts empty; the one of "total" stays at shop-total-changelog. An operator that was only renamed finds its state again under its old name',
      ),
      out.join("\n"),
    );
    assert.match(out.join("\n"), /^shop-total-changelog +changelog +\d+ +orphan$/m);
  }
  assert.ok((await admin.listTopics()).includes("shop-total-changelog"));
  assert.doesNotMatch((await of(counted("sum"), "plan")).out.join("\n"), /starts empty/);
});
