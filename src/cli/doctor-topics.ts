// The findings of `doctor` on the topics that pipelines read: where Kafka lets timestamps lie in the future.
import { join } from "node:path";
import { withAdmin } from "../data/with-admin.ts";
import { messageOf } from "../engine/core/errors.ts";
import { TIMESTAMP_AFTER_MAX } from "../engine/core/topic-config.ts";
import { sourcesOf, unboundedSources } from "../engine/provision/topic-limits.ts";
import type { Finding } from "../stack/doctor.ts";
import { readStackEnv } from "../stack/stack.ts";
import { connected, type Connect, type PlansOf } from "./connection.ts";
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
    const found = await connected(connect, io, async (connection) => {
      const plans = plansOf(connection);
      const names = new Set(plans.flatMap(sourcesOf).map(({ name }) => name));
      const topics = await withAdmin(connection.kafka, (admin) => admin.describeTopics([...names]));
      return unboundedSources(plans, topics).map(warningOf);
    });
    if (found.length > 0) return found;
    return [{ check: CHECK, verdict: "fine", detail: "sources bound how far ahead times lie" }];
  } catch (error) {
    return [{ check: CHECK, verdict: "warning", detail: `not looked at: ${messageOf(error)}` }];
  }
}

const warningOf = (detail: string): Finding => ({
  check: CHECK,
  verdict: "warning",
  detail,
  fix: `set ${TIMESTAMP_AFTER_MAX} of the topic to 3600000; a record from the future moves time for all that come later`,
});
