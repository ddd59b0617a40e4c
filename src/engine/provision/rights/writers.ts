// The grants for a look at other pipelines: a topic that names its writer is quiet only once that pipeline has worked all it
// reads (I4), so the reader's worker reads its notes and describes its groups and its inputs.
import { flowStepsOf, type FlowStep } from "../../core/flow-steps.ts";
import type { Plan } from "../../core/plan.ts";
import type { TopicName } from "../../core/record.ts";
import type { KafkaGrant } from "./kafka.ts";

/** Pipelines that a worker walks, and the topics that these read. */
interface Walked {
  readonly writers: ReadonlySet<string>;
  readonly topics: ReadonlySet<TopicName>;
  /** Writers without a plan here: the topics that they read are not known. */
  readonly unknown: readonly string[];
}

/** The same way as a walk at work goes, by plans instead of notes. */
function walkedBy(plan: Plan, plans: readonly Plan[]): Walked {
  const known = new Map([...plans, plan].map((one) => [one.pipeline, flowStepsOf(one)]));
  const writers = new Set<string>();
  const topics = new Set<TopicName>();
  const groups = new Set<string>();
  const visit = (topic: TopicName, writer: string): void => {
    writers.add(writer);
    const all = known.get(writer) ?? [];
    for (const step of all.filter(({ writes }) => writes.includes(topic))) {
      if (groups.has(step.group)) continue;
      groups.add(step.group);
      for (const read of step.reads) {
        topics.add(read.topic);
        const above = isOwn(all, read.topic) ? writer : read.writtenBy;
        if (above !== undefined) visit(read.topic, above);
      }
    }
  };
  for (const { sources } of plan.parts)
    for (const { name, writtenBy, idleAfterMs } of sources)
      if (writtenBy !== undefined && idleAfterMs !== undefined) visit(name, writtenBy);
  writers.delete(plan.pipeline);
  return { writers, topics, unknown: [...writers].filter((writer) => !known.has(writer)) };
}

const isOwn = (steps: readonly FlowStep[], topic: TopicName): boolean =>
  steps.some(({ writes }) => writes.includes(topic));

/** Pipelines whose inputs a worker must be allowed to describe, and of which there is no plan here. */
export const unknownWriters = (plan: Plan, plans: readonly Plan[]): readonly string[] =>
  walkedBy(plan, plans).unknown;

/** Topics that the pipeline uses itself are left out: its own rights on them imply this one. */
export function writerGrants(plan: Plan, plans: readonly Plan[]): readonly KafkaGrant[] {
  const { writers, topics } = walkedBy(plan, plans);
  const { namespace } = plan;
  const own = new Set(plan.topics.all.map(({ name }) => name));
  const literal = { resource: "topic", pattern: "literal" } as const;
  return [
    ...[...writers].flatMap((writer): KafkaGrant[] => {
      const prefix = `${namespace}${writer}`;
      return [
        { ...literal, name: `${prefix}-meta`, operations: ["Read"] },
        { resource: "topic", name: `${prefix}-`, pattern: "prefixed", operations: ["Describe"] },
        { resource: "group", name: `${prefix}.`, pattern: "prefixed", operations: ["Describe"] },
      ];
    }),
    ...[...topics]
      .filter((name) => !own.has(name))
      .map((name): KafkaGrant => ({ ...literal, name, operations: ["Describe"] })),
  ];
}
