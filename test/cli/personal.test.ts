// Personal data in every place of a record, against every command that shows records, and the log: nothing of it without
// --personal, and a note of each use of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { json, nullable, pipeline, string, topic } from "#engine";
import type { PlansOf } from "../../src/cli/connection.ts";
import { consumeVerb } from "../../src/cli/consume.ts";
import { dlqVerb } from "../../src/cli/dlq/dlq.ts";
import type { Register } from "../../src/cli/io.ts";
import { ledgerVerb } from "../../src/cli/ledger.ts";
import type { ConnectOperate } from "../../src/cli/operating.ts";
import { stateVerb } from "../../src/cli/state.ts";
import { createLog } from "../../src/engine/clients/pino-log.ts";
import type { KafkaPort } from "../../src/engine/core/kafka.ts";
import type { Headers } from "../../src/engine/core/record.ts";
import { Fleet } from "../support/fleet.ts";
import { fleetCommand, jsonOf } from "../support/fleet-command.ts";

const CANARY = "Ada Canary";
const leaks = (text: string): boolean =>
  /canary/i.test(text) || [0, 1, 2].some((at) => text.includes(base64Of(CANARY.slice(at))));
/** Without its ends, which depend on what is around. */
const base64Of = (text: string): string => Buffer.from(text).toString("base64").slice(0, 8);

interface Person {
  readonly name: string;
  readonly age: number;
  readonly home: { readonly street: string } | null;
  readonly kin: readonly { readonly name: string }[];
}
const Person = z.custom<Person>((one) => typeof (one as Person).age === "number", {
  error: ({ input }) => `no age: ${JSON.stringify(input)}`,
});
const people = topic("people", {
  key: nullable(string),
  value: json(Person),
  partitions: 1,
  owner: "tests",
  personalData: ["name", "home.street", "kin.name"],
});
const things = topic("things", {
  key: string,
  value: json<Person>(),
  partitions: 1,
  owner: "tests",
});
const counts = topic("counts", {
  ...{ key: string, value: json<number>(), partitions: 1, owner: "tests" },
  personalKey: true,
});
const flow = pipeline("flow", { haltWhen: "never" }, ({ from }) => {
  from(things)
    .filter("none", () => false)
    .to(topic("nothing", { key: string, value: json<Person>(), partitions: 1, owner: "tests" }));
  const known = from(people).map("check", (one) => {
    if (one.age < 0) throw new RangeError(`refused: ${JSON.stringify(one)}`);
    return one;
  });
  known
    .expect("adult", ({ age }) => age >= 18, { otherwise: "dead-letter" })
    .groupBy("by-name", ({ name }) => name)
    .aggregate("last", {
      value: json<Person>(),
      init: () => null as never,
      add: (_last, one) => one,
    })
    .map("age", ({ age }) => age)
    .to(counts);
});

/** Halts at the first record that fails, with its error in the log. */
const strict = pipeline("strict", { onError: "halt" }, ({ from }) => {
  from(people)
    .map("fail", ({ name }): Person => {
      throw new RangeError(`refused: ${name}`);
    })
    .to(
      topic("never", {
        key: nullable(string),
        value: json<Person>(),
        partitions: 1,
        owner: "tests",
      }),
    );
});

const person = (age: number | string): object => ({
  name: CANARY,
  age,
  home: { street: CANARY },
  kin: [{ name: CANARY }],
});

/** As a letter of the topic without personal data. */
const forged: Headers = Object.entries({
  id: "f".repeat(32),
  topic: "things",
  partition: "0",
  offset: "0",
  timestamp: "1767225600000",
  part: "main",
  pipeline: "flow",
}).map(([name, text]) => [`dlq.${name}`, Buffer.from(text)] as const);

async function worked(): Promise<Fleet> {
  const fleet = new Fleet([flow]);
  await fleet.join();
  const texts = [person(20), person(3), person(-1), person("none")].map((one) =>
    JSON.stringify(one),
  );
  await fleet.sendRecords(
    [...texts, `{"name": "${CANARY}`, JSON.stringify(CANARY)].map((text) => ({
      ...{ topic: "people", partition: 0, timestamp: fleet.clock.now() },
      ...{ key: Buffer.from(CANARY), value: Buffer.from(text) },
      headers: [["who", Buffer.from(CANARY)], ...forged] as Headers,
    })),
  );
  await fleet.sendRecords([
    {
      ...{ topic: "flow-dead-letters", partition: 0, timestamp: fleet.clock.now() },
      ...{
        key: Buffer.from(CANARY),
        value: Buffer.from(JSON.stringify(person(20))),
        headers: forged,
      },
    },
  ]);
  await fleet.drained();
  // A run of the reprocessor has left its own topics behind.
  for (const name of ["flow-r1-last-changelog", "people-r1-input"]) {
    fleet.kafka.createTopic({ topic: name, partitions: 1 });
    await fleet.send(name, [person(20)]);
  }
  return fleet;
}

type Verb = (connect: ConnectOperate, plans: PlansOf) => Register;
const typed = (verb: Verb, ...argv: string[]) => [verb, argv] as const;

const topics = [
  "people",
  "counts",
  "flow-by-name-repartition",
  "flow-last-changelog",
  "flow-dead-letters",
];
const ofRuns = ["flow-r1-last-changelog", "people-r1-input"];

test("no command shows personal data without the flag", async () => {
  const fleet = await worked();
  const run = (verb: Verb, ...argv: string[]) => fleetCommand(fleet, verb, argv);
  const letters = jsonOf<{ id: string; topic: string }>(
    await run(dlqVerb, "dlq", "list", "flow", "--letters", "--json"),
  );
  assert.deepEqual(
    letters.map((one) => one.topic).sort(),
    ["people", "people", "people", "people", "people", "things"],
    "a record's own headers make it no letter of another topic; one in the letters' topic may be anything",
  );
  const commands = [
    ...[...topics, ...ofRuns].flatMap((name) => [
      typed(consumeVerb, "consume", name),
      typed(consumeVerb, "consume", name, "--json"),
    ]),
    typed(consumeVerb, "consume", "flow-last-changelog", "--key", CANARY),
    typed(dlqVerb, "dlq", "list", "flow"),
    typed(dlqVerb, "dlq", "list", "flow", "--key", CANARY),
    typed(dlqVerb, "dlq", "stats", "flow"),
    typed(dlqVerb, "dlq", "export", "flow"),
    typed(dlqVerb, "dlq", "redrive", "flow", "--dry-run"),
    ...letters.flatMap(({ id }) => [
      typed(dlqVerb, "dlq", "show", "flow", id),
      typed(dlqVerb, "dlq", "show", "flow", id, "--json"),
    ]),
    typed(stateVerb, "state", "get", "flow", "last", "--key", CANARY),
    typed(stateVerb, "state", "get", "flow", "last", "--key", CANARY, "--json"),
    typed(stateVerb, "state", "verify", "flow"),
    typed(ledgerVerb, "ledger", "check", "flow"),
  ];
  for (const [verb, argv] of commands) {
    const { code, out, err } = await run(verb, ...argv);
    assert.equal(code, 0, err.join("\n"));
    assert.ok(out.length > 0, argv.join(" "));
    for (const line of [...out, ...err]) assert.ok(!leaks(line), `${argv.join(" ")}: ${line}`);
  }
  const shown = (await run(consumeVerb, "consume", "people", "--json")).out.map(
    (line) => JSON.parse(line) as { key: string; value: object },
  );
  assert.match(shown[0]?.key ?? "", /^sha256:[0-9a-f]{16}$/);
  assert.deepEqual(shown[0]?.value, {
    name: "***",
    age: 20,
    home: { street: "***" },
    kin: [{ name: "***" }],
  });
});

test("no message of a worker, and no line of its log at debug level, has personal data", async () => {
  const fleet = new Fleet([strict]);
  const { worker } = await fleet.join();
  await fleet.send("people", [person(20)]);
  await fleet.during(fleet.clock.sleep(10_000));
  assert.match(JSON.stringify(worker.health()), /"state":"stopped".*MILL_TRANSFORM_HALT/);
  assert.ok(!leaks(JSON.stringify(worker.health())));
  const lines: string[] = [];
  const log = createLog({ level: "debug", base: {} }, { write: (line) => lines.push(line) });
  const stops = fleet.log.messages("error");
  assert.ok(
    stops.some((text) => text.startsWith("the task has stopped")),
    "a stop quotes an error",
  );
  for (const { level, facts, message } of fleet.log.lines) log[level](facts, message);
  assert.ok(lines.length > 0);
  for (const line of lines) assert.ok(!leaks(line), line);
});

test("the flag shows it, and each use is noted before anything is shown", async () => {
  const fleet = await worked();
  const run = (verb: Verb, ...argv: string[]) => fleetCommand(fleet, verb, argv);
  const [letter] = jsonOf<{ id: string }>(
    await run(dlqVerb, "dlq", "list", "flow", "--letters", "--json"),
  );
  const uses = [
    ...[...topics, ...ofRuns].map((name) => typed(consumeVerb, "consume", name, "--personal")),
    typed(stateVerb, "state", "get", "flow", "last", "--key", CANARY, "--personal"),
    typed(dlqVerb, "dlq", "show", "flow", letter?.id ?? "", "--personal"),
    typed(dlqVerb, "dlq", "export", "flow", "--personal"),
  ];
  for (const [verb, argv] of uses) {
    const { out, err } = await run(verb, ...argv);
    assert.ok(out.some(leaks), argv.join(" "));
    await fleet.during(fleet.clock.sleep(1_000));
    assert.match(err[0] ?? "", /^Noted in flow-letter-states: .+@.+ looks at personal data of /);
  }
  await fleet.during(fleet.clock.sleep(1_000));
  await run(stateVerb, "state", "verify", "flow", "--show-keys");
  const audits = (await run(dlqVerb, "dlq", "stats", "flow", "--json")).out.join("");
  const { audits: noted } = JSON.parse(audits) as { audits: { command: string }[] };
  assert.ok(!leaks(audits), "a note has no key");
  assert.equal(noted.length, 10, "the newest ten");
  const commands = new Set(noted.map(({ command }) => command));
  for (const one of [
    "consume flow-dead-letters --personal",
    "state get last --personal",
    "dlq show --personal",
    "dlq export --personal",
    "state verify --show-keys",
  ])
    assert.ok(commands.has(one), one);
});

test("nothing is shown where the note cannot be written", async () => {
  const fleet = await worked();
  const refusing: Verb = (connect, plans) =>
    consumeVerb(async (io) => {
      const connection = await connect(io);
      const producer = (): never => {
        throw new Error("no note");
      };
      const kafka = Object.assign(Object.create(connection.kafka) as KafkaPort, { producer });
      return { ...connection, kafka };
    }, plans);
  const { code, out, err } = await fleetCommand(fleet, refusing, [
    "consume",
    "people",
    "--personal",
  ]);
  assert.deepEqual([code, out], [1, []]);
  assert.match(err[0] ?? "", /no note/);
});

test("a topic that no pipeline has is shown as it is, and the flag says that nothing is noted", async () => {
  const fleet = await worked();
  fleet.kafka.createTopic({ topic: "others", partitions: 1 });
  await fleet.send("others", [{ a: 1 }]);
  const { out, err } = await fleetCommand(fleet, consumeVerb, ["consume", "others", "--personal"]);
  assert.equal(out.length, 1);
  assert.deepEqual(err, ["No pipeline has others: nothing of it is masked, or noted."]);
});
