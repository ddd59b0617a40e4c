// `millrace topics plan | apply | prune`: what Kafka and the registry lack of the declared topics, making it so, and removing
// what no plan has any more.
import { withAdmin } from "../../data/with-admin.ts";
import type { AdminPort } from "../../engine/core/kafka.ts";
import type { GroupId } from "../../engine/core/record.ts";
import { orphansOf } from "../../engine/operate/orphans/orphans.ts";
import { applyTopics, planTopics, type TopicPlan } from "../../engine/provision/topics.ts";
import type { Plan } from "../../engine/core/plan.ts";
import type { Register } from "../io.ts";
import { provisionVerbs, type ProvisionOptions } from "../provision-verbs.ts";
import { onePerPipeline, type ConnectTopics, type TopicsConnection } from "./connection.ts";
import { addPrune } from "./prune.ts";
import { topicLines } from "./topic-lines.ts";

export const topicsVerb = (connect: ConnectTopics): Register =>
  provisionVerbs<TopicsConnection & Seen, TopicPlan>({
    thing: "topic",
    applies:
      "create topics, set their configuration, register schemas; a second apply changes nothing",
    connect: async (io) => ({ ...(await connect(io)), groups: new Set() }),
    plan: (connection, options) => play(connection, options, planTopics),
    apply: (connection, options) => play(connection, options, applyTopics),
    json: jsonLine,
    text: (plans, { verbose = false }, { groups, topicDefaults, topicPartitions }) =>
      topicLines(plans, { verbose, groups: groups.size, topicDefaults, topicPartitions }),
    options: (verb) =>
      verb
        .option("--verbose", "with limits, configuration and schemas of each topic")
        .option("--with-redrive", "with the topics that a first redrive or discard would make"),
    verbs: (group, run) => addPrune(group, run, connect),
  });

/** Facts that a command has come by. */
interface Seen {
  readonly groups: Set<GroupId>;
}

async function play(
  connection: TopicsConnection & Seen,
  { withRedrive = false }: ProvisionOptions,
  work: typeof planTopics,
): Promise<readonly TopicPlan[]> {
  const { kafka, registry, groups } = connection;
  const all = await connection.allPlans();
  for (const { group } of all.flatMap(({ parts }) => parts)) groups.add(group);
  return withAdmin(kafka, async (admin) => {
    const plans = await work(await connection.topics(withRedrive), admin, registry);
    return [...plans, ...(await orphaned(all, admin))];
  });
}

/** As rows of the plan: nothing but `prune` does anything about them. */
async function orphaned(all: readonly Plan[], admin: AdminPort): Promise<readonly TopicPlan[]> {
  const orphans = orphansOf(onePerPipeline(all), all, await admin.listTopics());
  const found = await admin.describeTopics(orphans.map(({ topic }) => topic));
  return orphans.map(({ topic, kind }) => ({
    ...{ topic, kind, partitions: found.get(topic)?.partitions ?? 0, state: "orphan" },
    ...{ creates: null, widens: null, config: [], registers: [], registered: [] },
    ...{ problems: [], limits: [], warnings: [] },
  }));
}

function jsonLine(plan: TopicPlan): string {
  const { topic, kind, partitions, state, creates, widens, config, registers } = plan;
  const { partitionsBy, problems, limits, warnings } = plan;
  return JSON.stringify({
    ...{ topic, kind, partitions, state, creates, widens, config },
    registers: registers.map(({ subject, version }) => ({ subject, version })),
    problems: problems.map(({ code, message }) => ({ code, message })),
    ...(partitionsBy === undefined ? {} : { partitionsBy }),
    ...(limits.length === 0 ? {} : { limits }),
    ...(warnings.length === 0 ? {} : { warnings }),
  });
}
