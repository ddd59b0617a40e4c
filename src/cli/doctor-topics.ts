// The findings of `doctor` on the topics that pipelines read: where Kafka lets timestamps lie in the future, and where quietness is
// judged by a writer that nobody knows, or by none although a pipeline writes the topic.
import { join } from "node:path";
import { withAdmin } from "../data/with-admin.ts";
import { messageOf } from "../engine/core/errors.ts";
import { unnotedText } from "../engine/core/flow-steps.ts";
import type { AdminPort } from "../engine/core/kafka.ts";
import type { Plan } from "../engine/core/plan.ts";
import { TIMESTAMP_AFTER_MAX } from "../engine/core/topic-config.ts";
import { sourcesOf, unboundedSources } from "../engine/provision/topic-limits.ts";
import { unnotedSources } from "../engine/runtime/flow-notes.ts";
import type { Finding } from "../stack/doctor.ts";
import { readStackEnv } from "../stack/stack.ts";
import { connected, type Connect, type Connection, type PlansOf } from "./connection.ts";
import type { CliIo } from "./io.ts";

const CHECK = "topics";

/** Nothing while there is no Kafka. Never throws: what cannot be looked at is said. */
export async function topicFindings(
  io: CliIo,
  connect: Connect,
  plansOf: PlansOf,
): Promise<readonly Finding[]> {
  const env = readStackEnv(join(io.cwd, ".millrace"), io.env);
  if (env["KAFKA_BROKERS"] === undefined) return [];
  try {
    const found = await connected(connect, io, (connection) =>
      withAdmin(connection.kafka, (admin) => findingsOf(plansOf(connection), connection, admin)),
    );
    if (found.length > 0) return found;
    const fine = "sources bound how far ahead times lie, and their writers are known";
    return [{ check: CHECK, verdict: "fine", detail: fine }];
  } catch (error) {
    return [{ check: CHECK, verdict: "warning", detail: `not looked at: ${messageOf(error)}` }];
  }
}

async function findingsOf(
  plans: readonly Plan[],
  { kafka }: Connection,
  admin: AdminPort,
): Promise<readonly Finding[]> {
  const names = new Set(plans.flatMap(sourcesOf).map(({ name }) => name));
  const topics = await admin.describeTopics([...names]);
  const unnoted = await Promise.all(plans.map((plan) => unnotedSources(plan, { kafka, admin })));
  return [
    ...unboundedSources(plans, topics).map(warningOf),
    ...unnoted.flat().map(({ source, writer }): Finding => ({
      ...{ check: CHECK, verdict: "warning", detail: unnotedText(writer, source) },
      fix: `npx millrace run ${writer.pipeline}`,
    })),
    ...unnamedWriters(plans).map(unnamedWarning),
  ];
}

interface UnnamedWriter {
  readonly reader: string;
  readonly topic: string;
  readonly writer: string;
}

/** Topics that may be quiet by the clock alone, although a pipeline here writes them. */
const unnamedWriters = (plans: readonly Plan[]): readonly UnnamedWriter[] =>
  plans.flatMap(({ pipeline: reader, parts }) =>
    parts.flatMap(({ sources }) =>
      sources.flatMap(({ name: topic, idleAfterMs, writtenBy }) => {
        if (idleAfterMs === undefined || writtenBy !== undefined) return [];
        return plans
          .filter(({ topics }) => topics.output.some((output) => output.name === topic))
          .map(({ pipeline: writer }) => ({ reader, topic, writer }));
      }),
    ),
  );

const unnamedWarning = ({ reader, topic, writer }: UnnamedWriter): Finding => ({
  check: CHECK,
  verdict: "warning",
  detail: `${topic} is written by the pipeline ${writer}, which its declaration does not say: while ${writer} is out of work, windows of ${reader} close by the wall clock`,
  fix: `writtenBy: "${writer}" in the declaration of the topic`,
});

const warningOf = (detail: string): Finding => ({
  check: CHECK,
  verdict: "warning",
  detail,
  fix: `set ${TIMESTAMP_AFTER_MAX} of the topic to 3600000; a record from the future moves time for all that come later`,
});
