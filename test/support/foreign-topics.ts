// Random topics of others, pipelines that declare some of them, and a `topics apply` with random names and words: what it
// may change, said by the declarations alone.
import assert from "node:assert/strict";
import { json, pipeline, string, topic, type Pipeline } from "#engine";
import { topicsVerb } from "../../src/cli/topics/topics.ts";
import type { KafkaPort, TopicDescription, TopicSpec } from "../../src/engine/core/kafka.ts";
import { BROKER_DEFAULTS } from "../../src/engine/core/own-topics.ts";
import { DEFAULT_PLAN_SETTINGS } from "../../src/engine/core/plan-settings.ts";
import { desiredTopics } from "../../src/engine/provision/desired-topics.ts";
import { memoryCopies } from "../../src/engine/state/memory-copy.ts";
import { MemoryRegistry } from "../../src/engine/testing/doubles/memory-registry.ts";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import { command, wallClock } from "./command.ts";
import type { Thing } from "./plans.ts";

interface Declared {
  readonly name: string;
  readonly config: Readonly<Record<string, string>>;
  readonly external: boolean;
}
interface Flow {
  readonly name: string;
  readonly reads: Declared;
  readonly writes: Declared;
  readonly hasState: boolean;
}

const SETTINGS: Readonly<Record<string, readonly string[]>> = {
  "retention.ms": ["-1", "3600000", "604800000", "1209600000"],
  "retention.bytes": ["-1", "1000000", "9000000"],
  "cleanup.policy": ["delete", "compact", "compact,delete"],
  "max.message.bytes": ["500000", "1048588", "3000000"],
  "segment.ms": ["600000", "9000000"],
  "message.timestamp.type": ["CreateTime", "LogAppendTime"],
  "delete.retention.ms": ["1000", "86400000", "90000000"],
};
/** The word of each change that can lose data, and whether a change from one value to another is one. */
const less = (from: string, to: string): boolean =>
  to !== "-1" && (from === "-1" || Number(to) < Number(from));
const WORDS: Readonly<Record<string, readonly [string, (from: string, to: string) => boolean]>> = {
  "retention.ms": ["shorten-retention", less],
  "retention.bytes": ["shorten-retention", less],
  "delete.retention.ms": ["shorten-retention", less],
  "max.message.bytes": ["refuse-records", less],
  "cleanup.policy": ["change-cleanup", () => true],
  "message.timestamp.type": ["change-timestamps", () => true],
};

function drawn(seed: number, prefix: string) {
  const random = seededRandom(seed);
  const chance = (share: number): boolean => random.next() < share;
  const one = <T>(of: readonly T[]): T => of[Math.floor(random.next() * of.length)] as T;
  const settings = (share: number): Record<string, string> =>
    Object.fromEntries(
      Object.entries(SETTINGS).flatMap(([name, values]) =>
        chance(share) ? [[name, one(values)] as const] : [],
      ),
    );
  const names = ["a", "b", "c", "d", "e"].map((name) => `${prefix}${name}`);
  const declared = (name: string): Declared => ({
    ...{ name, config: settings(0.25), external: chance(0.15) },
  });
  const flows = ["p", "q", "p-q"].map((name): Flow => {
    const reads = one(names);
    const writes = one(names.filter((other) => other !== reads));
    const flow = { name: `${prefix}${name}`, reads: declared(reads), writes: declared(writes) };
    return { ...flow, hasState: chance(0.4) };
  });
  const others = [`${prefix}elsewhere`, `${prefix}p-old-changelog`, `${prefix}q-total-changelog`];
  const made = [...names, ...others]
    .filter(() => chance(0.7))
    .map((name): TopicSpec => {
      const partitions = names.includes(name) ? 2 : 1;
      return { topic: name, partitions, replicationFactor: -1, config: settings(0.4) };
    });
  const named = flows.filter(() => chance(0.4)).map(({ name }) => name);
  const yes = [...new Set(Object.values(WORDS).map(([word]) => word))].filter(() => chance(0.6));
  return { flows, made, named, yes };
}

const topicOf = ({ name, config, external }: Declared) =>
  topic(name, {
    ...{ key: string, value: json<Thing>(), partitions: 2, owner: "tests", config, external },
  });

const pipelineOf = ({ name, reads, writes, hasState }: Flow): Pipeline =>
  pipeline(name, ({ from }) => {
    const stream = from(topicOf(reads));
    if (!hasState) stream.to(topicOf(writes));
    else
      stream
        .groupByKey()
        .sum("total", ({ n }) => n)
        .map("as-thing", (n, { key }) => ({ id: key, n }))
        .to(topicOf(writes));
  });

export interface TopicsRun {
  readonly exit: number;
  /** What was changed that nothing declared, named or confirmed. */
  readonly wrong: readonly string[];
  readonly changes: number;
}

/** Makes the topics, applies, and compares. `prefix` keeps the names apart on shared brokers. */
export async function applyRandomly(
  seed: number,
  kafka: KafkaPort,
  prefix = "",
): Promise<TopicsRun> {
  const { flows, made, named, yes } = drawn(seed, prefix);
  const admin = kafka.admin();
  await admin.createTopics(made);
  const all = async (): Promise<ReadonlyMap<string, TopicDescription | null>> => {
    const names = (await admin.listTopics()).filter((name) => name.startsWith(prefix));
    return admin.describeTopics(names);
  };
  const before = await all();
  const plans = flows.map((flow) => pipelineOf(flow).plan());
  const connection = {
    ...{ kafka, registry: new MemoryRegistry(), clock: wallClock, ...DEFAULT_PLAN_SETTINGS },
    tableStore: () => assert.fail("no table"),
    stateCopies: () => memoryCopies(),
    close: () => Promise.resolve(),
  };
  const verb = topicsVerb(() =>
    Promise.resolve({
      ...connection,
      topicDefaults: BROKER_DEFAULTS,
      topics: (options) => Promise.resolve(desiredTopics(plans, options)),
      allPlans: () => Promise.resolve(plans),
    }),
  );
  const words = yes.length === 0 ? [] : ["--yes", yes.join(",")];
  const { code } = await command(verb, ["topics", "apply", ...named, ...words]);
  const after = await all();
  const wanted = flows.filter(({ name }) => named.length === 0 || named.includes(name));
  const judged = judge({ before, after }, rulesOf(wanted, flows, yes));
  await admin.close();
  return { exit: code, ...judged };
}

interface Described {
  readonly before: ReadonlyMap<string, TopicDescription | null>;
  readonly after: ReadonlyMap<string, TopicDescription | null>;
}

/** The rules, from the flows and from nothing that the engine makes of them. */
function rulesOf(wanted: readonly Flow[], flows: readonly Flow[], yes: readonly string[]) {
  const declared = wanted.flatMap(({ reads, writes }) => [reads, writes]);
  const isDeclared = (name: string): boolean => declared.some((one) => one.name === name);
  const isWritten = (by: readonly Flow[], name: string): boolean =>
    by.some(({ writes }) => writes.name === name);
  const isOwn = (name: string): boolean =>
    wanted.some((flow) => {
      const own = ["dead-letters", "meta", ...(flow.hasState ? ["total-changelog"] : [])];
      return own.some((what) => name === `${flow.name}-${what}`);
    });
  const isTheirs = (name: string): boolean =>
    declared.some((one) => one.name === name && one.external) ||
    (isWritten(flows, name) && !isWritten(wanted, name));
  return {
    mayMake: (name: string): boolean => isOwn(name) || (isDeclared(name) && !isTheirs(name)),
    maySet(name: string, setting: string, from: string, to: string): boolean {
      if (isOwn(name)) return true;
      const isSaid = declared.some((one) => one.name === name && one.config[setting] === to);
      const [word, loses] = WORDS[setting] ?? ["", () => false];
      return isSaid && !isTheirs(name) && (!loses(from, to) || yes.includes(word));
    },
  };
}

function judge(
  { before, after }: Described,
  rules: ReturnType<typeof rulesOf>,
): Omit<TopicsRun, "exit"> {
  const gone = [...before.keys()].filter((name) => !after.has(name));
  const made = [...after.keys()].filter((name) => !before.has(name));
  const wrong = [
    ...gone.map((name) => `${name} is gone`),
    ...made.filter((name) => !rules.mayMake(name)).map((name) => `${name} was made`),
  ];
  let changes = made.length;
  for (const [name, was] of before) {
    const now = after.get(name);
    if (was?.id !== now?.id || was?.partitions !== now?.partitions)
      wrong.push(`${name} is another`);
    for (const [setting, from, to] of differing(was, now)) {
      changes++;
      if (!rules.maySet(name, setting, from, to))
        wrong.push(`${name}: ${setting} ${from} became ${to}`);
    }
  }
  return { wrong, changes };
}

/** Settings with what they were and are. */
const differing = (
  was: TopicDescription | null,
  now: TopicDescription | null | undefined,
): readonly (readonly [setting: string, from: string, to: string])[] =>
  Object.entries(now?.config ?? {}).flatMap(([setting, to]) => {
    const from = was?.config[setting] ?? "";
    return from === to ? [] : [[setting, from, to] as const];
  });
