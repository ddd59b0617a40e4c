// The rights on topics, groups and transactional ids. A pipeline's own names begin with its own, so they are granted by
// prefix, which covers later steps and the runs of the reprocessor; a worker's may also be granted one by one.
import { groupsOf } from "../../core/pieces.ts";
import type { Plan, PlanTopic } from "../../core/plan.ts";
import type { Role } from "./rights.ts";
import { writerGrants } from "./writers.ts";

/** As Kafka's access lists have them. Read, Write, Delete and Alter imply Describe, AlterConfigs DescribeConfigs. */
export type KafkaOperation =
  | "Read"
  | "Write"
  | "Create"
  | "Delete"
  | "Alter"
  | "AlterConfigs"
  | "Describe"
  | "DescribeConfigs";

export interface KafkaGrant {
  readonly resource: "topic" | "group" | "transactional-id";
  readonly name: string;
  readonly pattern: "literal" | "prefixed";
  readonly operations: readonly KafkaOperation[];
}

export interface KafkaNames {
  /** Transactional ids of workers begin with it and a dash. */
  readonly worker: string;
  /** The topics and groups of a worker one by one instead of by prefix. */
  readonly isLiteral: boolean;
  /** Every pipeline that is declared: those that write a topic of this one may be among them. */
  readonly plans: readonly Plan[];
}

const prefixOf = ({ namespace, pipeline }: Plan): string => `${namespace}${pipeline}`;

const topic = (name: string, ...operations: KafkaOperation[]): KafkaGrant => ({
  resource: "topic",
  name,
  pattern: "literal",
  operations,
});

const prefixed = (
  resource: KafkaGrant["resource"],
  name: string,
  ...operations: KafkaOperation[]
): KafkaGrant => ({ resource, name, pattern: "prefixed", operations });

/** The grants of a role, without those that a wider one covers. */
export function kafkaGrants(plan: Plan, role: Role, names: KafkaNames): readonly KafkaGrant[] {
  const all =
    role === "worker"
      ? workerGrants(plan, names)
      : role === "operator"
        ? operatorGrants(plan, names)
        : readerGrants(plan);
  return all.filter((grant) => !all.some((other) => other !== grant && covers(other, grant)));
}

const covers = (wide: KafkaGrant, { resource, name, operations }: KafkaGrant): boolean =>
  wide.pattern === "prefixed" &&
  wide.resource === resource &&
  name.startsWith(wide.name) &&
  operations.every((operation) => wide.operations.includes(operation));

/** Topics that a pipeline shares with others. */
const shared = ({ topics }: Plan): readonly PlanTopic[] => [...topics.input, ...topics.output];

const isRead = ({ parts }: Plan, name: string): boolean =>
  parts.some(({ sources }) => sources.some((source) => source.name === name));

const isWritten = ({ topics }: Plan, name: string): boolean =>
  topics.output.some((output) => output.name === name);

const isPurged = ({ internal }: PlanTopic): boolean =>
  internal === "repartition" || internal === "sink";

/** Records of topics between two parts are deleted when they have been worked. */
const WORKED = ["Read", "Write", "Delete", "DescribeConfigs"] as const;
const KEPT = ["Read", "Write", "DescribeConfigs"] as const;

function workerGrants(plan: Plan, { worker, isLiteral, plans }: KafkaNames): KafkaGrant[] {
  const streams = shared(plan).map(({ name }) => {
    const reads = isRead(plan, name) ? (["Read"] as const) : [];
    const writes = isWritten(plan, name) ? (["Write"] as const) : [];
    return topic(name, ...reads, ...writes, "DescribeConfigs");
  });
  const own = isLiteral ? workerNames(plan) : workerPrefixes(plan);
  return [
    ...streams,
    ...own,
    ...writerGrants(plan, plans),
    prefixed("transactional-id", `${worker}-`, "Write"),
  ];
}

function workerPrefixes(plan: Plan): KafkaGrant[] {
  const operations = plan.topics.internal.some(isPurged) ? WORKED : KEPT;
  return [
    prefixed("topic", `${prefixOf(plan)}-`, ...operations),
    prefixed("group", `${prefixOf(plan)}.`, "Read"),
  ];
}

function workerNames(plan: Plan): KafkaGrant[] {
  const { internal, own, late } = plan.topics;
  return [
    ...internal.map((one) => topic(one.name, ...(isPurged(one) ? WORKED : KEPT))),
    ...own.map((name) => topic(name, ...KEPT)),
    ...late.map((name) => topic(name, ...lateRights(plan, name))),
    ...groupsOf(plan).map((name): KafkaGrant => ({
      ...{ resource: "group", name, pattern: "literal" },
      operations: ["Read"],
    })),
  ];
}

/** Of topics that may be missing: the redrive topic is described, the states of letters are written. */
function lateRights(plan: Plan, name: string): readonly KafkaOperation[] {
  if (name === plan.redrive) return ["Read", "DescribeConfigs"];
  return name === plan.letterStates ? ["Read", "Write"] : ["Read"];
}

const MADE = ["Create", "Read", "Write", "Delete", "Alter", "AlterConfigs"] as const;

/** Runs of the reprocessor work under the operator: with topics, groups and transactional ids of their own. */
function operatorGrants(plan: Plan, { worker }: KafkaNames): KafkaGrant[] {
  const prefix = prefixOf(plan);
  const streams = shared(plan).flatMap(({ name, external = false }) => [
    external
      ? topic(name, "Read", ...writes(plan, name), "DescribeConfigs")
      : topic(name, "Create", "Read", ...writes(plan, name), "Alter", "AlterConfigs"),
    // The topic of a run, or a copy of the input for it.
    prefixed("topic", `${name}-r`, ...MADE),
  ]);
  return [
    ...streams,
    prefixed("topic", `${prefix}-`, ...MADE),
    prefixed("group", `${prefix}.`, "Read"),
    prefixed("group", `${prefix}-r`, "Read"),
    prefixed("transactional-id", `${worker}-`, "Write"),
    // Commands on letters, of the pipeline and of its runs; corrections of a promotion.
    prefixed("transactional-id", `${plan.namespace}millrace-${plan.pipeline}-`, "Write"),
    {
      ...{ resource: "transactional-id", pattern: "literal", operations: ["Write"] },
      name: `${plan.namespace}millrace-promote-${plan.pipeline}`,
    },
  ];
}

const writes = (plan: Plan, name: string): readonly KafkaOperation[] =>
  isWritten(plan, name) ? ["Write"] : [];

function readerGrants(plan: Plan): KafkaGrant[] {
  return [
    ...shared(plan).map(({ name }) => topic(name, "Read", "DescribeConfigs")),
    prefixed("topic", `${prefixOf(plan)}-`, "Read", "DescribeConfigs"),
    prefixed("group", `${prefixOf(plan)}.`, "Describe"),
  ];
}
