// `millrace topics plan | apply | prune`: what Kafka and the registry lack of the declared topics, making it so, and removing
// what no plan has any more.
import { withAdmin } from "../../data/with-admin.ts";
import type { GroupId } from "../../engine/core/record.ts";
import { plansNamed } from "../../engine/operate/choice.ts";
import { orphansOf } from "../../engine/operate/orphans/orphans.ts";
import { applyTopics, planTopics, type TopicPlan } from "../../engine/provision/topics.ts";
import type { CliIo, Register } from "../io.ts";
import { provisionVerbs, type NamedOptions } from "../provision-verbs.ts";
import { onePerPipeline, type ConnectTopics, type TopicsConnection } from "./connection.ts";
import { APPLY_HELP, confirmed, wordsOf } from "./losses.ts";
import { orphanRows, startingEmpty } from "./orphan-rows.ts";
import { addPrune } from "./prune.ts";
import { topicLines } from "./topic-lines.ts";

export const topicsVerb = (connect: ConnectTopics): Register =>
  provisionVerbs<TopicsConnection & Seen, TopicPlan>({
    thing: "topic",
    applies:
      "create topics, set their configuration, register schemas; a second apply changes nothing",
    connect: async (io) => ({ ...(await connect(io)), groups: new Set(), io }),
    plan: (connection, options) => play(connection, options, planTopics),
    apply: (connection, options) =>
      play(connection, options, async (...where) => {
        const { pipelines } = options;
        const yes = await confirmed(connection.io, wordsOf(options), () => planTopics(...where));
        return applyTopics(...where, { yes, pipelines });
      }),
    json: jsonLine,
    text: (plans, { verbose = false, pipelines }, { groups, topicDefaults, topicPartitions }) =>
      topicLines(plans, {
        ...{ verbose, groups: groups.size, topicDefaults, topicPartitions, pipelines },
      }),
    options: (verb) =>
      verb
        .option("--verbose", "with limits, configuration and schemas of each topic")
        .option("--with-redrive", "with the topics that a first redrive or discard would make"),
    applyOptions: (verb) =>
      verb
        .option("--yes <words>", "do what can lose data, by the words for it")
        .addHelpText("after", APPLY_HELP),
    verbs: (group, run) => addPrune(group, run, connect),
  });

/** Facts that a command has come by. */
interface Seen {
  readonly groups: Set<GroupId>;
  readonly io: CliIo;
}

type Where = Parameters<typeof planTopics>;

async function play(
  connection: TopicsConnection & Seen,
  options: NamedOptions,
  work: (...where: Where) => Promise<readonly TopicPlan[]>,
): Promise<readonly TopicPlan[]> {
  const { kafka, registry, groups } = connection;
  const all = await connection.allPlans();
  const wanted = plansNamed(onePerPipeline(all), options.pipelines);
  for (const { group } of wanted.flatMap(({ parts }) => parts)) groups.add(group);
  return withAdmin(kafka, async (admin) => {
    const orphans = orphansOf(wanted, all, await admin.listTopics());
    const plans = await work(await connection.topics(options), admin, registry);
    return [...startingEmpty(plans, orphans, wanted), ...(await orphanRows(orphans, admin))];
  });
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
