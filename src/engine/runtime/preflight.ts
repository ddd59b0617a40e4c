// What must be there before a worker starts. `run` creates nothing: each missing thing is a problem with its command,
// and all of them are reported together.
import { ConfigError, ConfigErrors, type MillraceError } from "../core/errors.ts";
import type { AdminPort } from "../core/kafka.ts";
import { ownTopics, type Plan } from "../core/plan.ts";
import type { SchemaRegistry } from "../core/ports.ts";
import type { TopicName } from "../core/record.ts";
import { subjectOf } from "../core/schema.ts";
import { writtenSchemas, type WriterIds } from "./line/bind.ts";

/** Throws ConfigErrors when a topic is missing or has other partitions than declared. */
export async function checkTopics(
  plans: readonly Plan[],
  admin: AdminPort,
): Promise<ReadonlyMap<TopicName, number>> {
  const declared = new Map<TopicName, number | null>();
  for (const plan of plans) {
    for (const topic of plan.topics) declared.set(topic.name, topic.partitions);
    for (const name of ownTopics(plan)) declared.set(name, null);
  }
  const found = await admin.describeTopics([...declared.keys()]);
  const problems: MillraceError[] = [];
  const partitions = new Map<TopicName, number>();
  for (const [name, expected] of declared) {
    const topic = found.get(name) ?? null;
    if (topic === null) problems.push(new ConfigError("MILL_TOPIC_MISSING", name));
    else if (expected !== null && topic.partitions !== expected) {
      const detail = `${name}: declared ${String(expected)}, found ${String(topic.partitions)}`;
      problems.push(new ConfigError("MILL_TOPIC_PARTITIONS", detail));
    } else partitions.set(name, topic.partitions);
  }
  problems.push(...plans.flatMap((plan) => tooNarrow(plan, partitions)));
  if (problems.length > 0) throw new ConfigErrors(problems);
  return partitions;
}

/** A letter goes back, and is parked, in the partition of its origin. */
function tooNarrow(
  { parts, redrive, deadLetters, parked }: Plan,
  found: ReadonlyMap<TopicName, number>,
): ConfigError[] {
  const least = Math.max(...parts.map((part) => part.partitions));
  const wanted = new Map([
    [redrive, least],
    [parked, found.get(deadLetters) ?? 0],
  ]);
  return [...wanted].flatMap(([name, expected]) => {
    const partitions = found.get(name) ?? expected;
    if (partitions >= expected) return [];
    const detail = `${name}: at least ${String(expected)}, found ${String(partitions)}`;
    return [new ConfigError("MILL_TOPIC_PARTITIONS", detail)];
  });
}

/** The registry ids under which our own records are written. Throws ConfigErrors when a schema was never registered. */
export async function findWriterIds(
  plans: readonly Plan[],
  registry: SchemaRegistry,
): Promise<WriterIds> {
  const ids = new Map<string, number>();
  const problems: MillraceError[] = [];
  for (const { topic, side, format } of plans.flatMap(writtenSchemas)) {
    if (format.kind !== "avro") continue;
    const subject = subjectOf(topic, side);
    const id = ids.get(subject) ?? (await registry.idOf(subject, JSON.stringify(format.schema)));
    if (id === null) problems.push(new ConfigError("MILL_SCHEMA_UNREGISTERED", subject));
    else ids.set(subject, id);
  }
  if (problems.length > 0) throw new ConfigErrors(problems);
  return ids;
}
