// validate(): what can be known of a graph before anything is connected. Returns every problem.
import { ConfigError, type MillraceError } from "../../../core/errors.ts";
import {
  needsBatch,
  outputOf,
  type OperatorFacts,
  type PlanNode,
  type PlanTopic,
} from "../../../core/plan.ts";
import { PARTITIONS_SETTING, widthOf, type TopicWidth } from "../../../core/plan-settings.ts";
import { plainFormat } from "../../../core/carried.ts";
import type { SchemaFormat } from "../../../core/schema.ts";
import { deletes } from "./deletes.ts";
import { nullKeys } from "./null-keys.ts";
import { internalName, unknownTopic } from "../../nodes/plan-topic.ts";
import { problem } from "../../nodes/problem.ts";
import { schemas } from "./schemas.ts";
import { reachedFrom } from "../../../core/walk.ts";

const KEBAB = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const SNAKE = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/;
const TOPIC = /^[a-zA-Z0-9._-]{1,200}$/;
const NAME_MAX = 60;

export function validate(
  { name: pipeline, namespace }: { readonly name: string; readonly namespace: string },
  nodes: readonly PlanNode[],
): MillraceError[] {
  const meeting = (): MillraceError[] => partitions(nodes, namespace + pipeline);
  const own = (): MillraceError[] =>
    nodes.flatMap((node) => node.facts.problems?.(node, nodes) ?? []);
  const checks = [names, topics, meeting, keys, nullKeys, loops, checkpointResults, deletes];
  const all = [...checks, unused, own, schemas];
  const empty = `pipeline "${pipeline}" reads nothing and writes nothing`;
  return [
    ...pipelineName(pipeline),
    ...(nodes.length === 0 ? [new ConfigError("MILL_BUILD_UNUSED", empty)] : []),
    ...all.flatMap((check) => check(nodes)),
  ];
}

const fits = (name: string, shape: RegExp): boolean => shape.test(name) && name.length <= NAME_MAX;

function pipelineName(name: string): MillraceError[] {
  if (fits(name, KEBAB)) return [];
  const expected = `pipeline "${name}": expected kebab-case of at most ${String(NAME_MAX)} characters`;
  return [new ConfigError("MILL_BUILD_NAME_INVALID", expected)];
}

function names(nodes: readonly PlanNode[]): MillraceError[] {
  const problems: MillraceError[] = [];
  const taken = new Map<string, PlanNode>();
  for (const node of nodes.filter(({ facts }) => facts.named !== "topic")) {
    const shape = node.facts.named === "snake_case" ? SNAKE : KEBAB;
    if (!fits(node.name, shape))
      problems.push(problem("MILL_BUILD_NAME_INVALID", node, expectedName(shape)));
    if (node.facts.writes === "repartition" && node.name === "main")
      problems.push(problem("MILL_BUILD_NAME_TAKEN", node, "the first part is called main"));
    // A table is a part, and so is a repartition: one name for both would be one consumer group.
    const first = taken.get(node.name);
    if (first !== undefined)
      problems.push(problem("MILL_BUILD_NAME_TAKEN", node, `taken at ${first.site}`));
    else taken.set(node.name, node);
  }
  return problems;
}

const expectedName = (shape: RegExp): string =>
  `expected ${shape === SNAKE ? "snake_case" : "kebab-case"} of at most ${String(NAME_MAX)} characters`;

const topicOf = (node: PlanNode): PlanTopic | null =>
  node.facts.writes === "repartition" ? null : (node.operation.topic ?? null);

const signature = (topic: PlanTopic): string =>
  JSON.stringify([topic.name, topic.key, topic.value, topic.partitions, topic.config]);

function topics(nodes: readonly PlanNode[]): MillraceError[] {
  const problems: MillraceError[] = [];
  const seen = new Map<string, PlanTopic>();
  for (const node of nodes) {
    const topic = topicOf(node);
    if (topic === null) continue;
    if (!TOPIC.test(topic.name))
      problems.push(problem("MILL_BUILD_NAME_INVALID", node, "expected letters, digits, . _ -"));
    if (!Number.isInteger(topic.partitions) || topic.partitions < 1)
      problems.push(
        problem(
          "MILL_BUILD_OPTION",
          node,
          `expected partitions of 1 or more, received ${String(topic.partitions)}`,
        ),
      );
    // Metrics write `.` as `_`, so Kafka itself warns of such pairs.
    const plain = topic.name.replaceAll(".", "_");
    const first = seen.get(plain);
    if (first !== undefined && signature(first) !== signature(topic))
      problems.push(problem("MILL_BUILD_TOPIC_CLASH", node, clash(first, topic)));
    seen.set(plain, first ?? topic);
  }
  return problems;
}

const clash = (a: PlanTopic, b: PlanTopic): string =>
  a.name === b.name
    ? "the same name is declared with another schema, partition count or configuration"
    : `it differs from ${a.name} only in . and _`;

const beginsAnew = ({ reads, writes }: OperatorFacts): boolean =>
  reads === true || writes === "repartition";

/** The flow out of a node, and from the node that reads or writes its topic. */
interface Flow extends TopicWidth {
  readonly key: SchemaFormat;
  readonly from: PlanNode;
}

function flows(nodes: readonly PlanNode[]): Map<number, Flow> {
  const out = new Map<number, Flow>();
  for (const node of nodes) {
    const { id, operation, facts, inputs } = node;
    const above = out.get(inputs[0] ?? -1);
    const { topic = unknownTopic } = operation;
    if (!beginsAnew(facts)) {
      if (above !== undefined) out.set(id, above);
    } else if (topic !== unknownTopic) {
      const width = topic.partitions === 0 && above !== undefined ? above : topic;
      out.set(id, { key: topic.key, ...widthOf(width), from: node });
    }
  }
  return out;
}

/** Topics that meet must have as many partitions: declared ones, and those between parts. */
function partitions(nodes: readonly PlanNode[], prefix: string): MillraceError[] {
  const out = flows(nodes);
  const named = ({ from, partitions, partitionsBy }: Flow): string => {
    const topic = from.facts.reads ? from.name : internalName(from, prefix);
    const by = partitionsBy === "setting" ? ` (${PARTITIONS_SETTING})` : "";
    return `${topic} ${String(partitions)}${by}`;
  };
  return nodes.flatMap((node) => {
    const [a, b] = node.inputs.map((id) => out.get(id));
    if (a === undefined || b === undefined || a.partitions === b.partitions) return [];
    const detail = `expected equal partition counts, received ${named(a)} and ${named(b)}. Rekey one side`;
    return [problem("MILL_BUILD_PARTITIONS_DIFFER", node, detail)];
  });
}

const same = (a: SchemaFormat, b: SchemaFormat): boolean =>
  JSON.stringify(plainFormat(a)) === JSON.stringify(plainFormat(b));
const describe = (format: SchemaFormat): string =>
  format.kind === "avro" ? `avro ${format.name}` : plainFormat(format).kind;

/** Streams that meet, and a stream and the topic it is written to, must write keys alike. */
function keys(nodes: readonly PlanNode[]): MillraceError[] {
  const out = flows(nodes);
  const problems: MillraceError[] = [];
  for (const node of nodes) {
    const [a, b] = node.inputs.map((id) => out.get(id)?.key);
    const other = outputOf(node)?.key ?? b;
    if (a === undefined || other === undefined || same(a, other)) continue;
    const detail = `keys are written as ${describe(a)} and as ${describe(other)}`;
    problems.push(problem("MILL_BUILD_KEY_ENCODING", node, `${detail}. Give both one key schema`));
  }
  return problems;
}

/** A topic that is reached again from itself would feed itself without end. */
function loops(nodes: readonly PlanNode[]): MillraceError[] {
  const readBy = new Map<number, Set<string>>();
  const feeds = new Map<string, Set<string>>();
  for (const node of nodes) {
    const own = new Set(node.inputs.flatMap((input) => [...(readBy.get(input) ?? [])]));
    if (node.facts.reads) own.add(node.name);
    readBy.set(node.id, own);
    const output = outputOf(node);
    if (output === null) continue;
    for (const source of own) feeds.set(source, (feeds.get(source) ?? new Set()).add(output.name));
  }
  const feedsItself = (topic: string): boolean =>
    reachedFrom(topic, (at) => feeds.get(at) ?? []).has(topic);
  return nodes
    .filter((node) => outputOf(node) !== null && feedsItself(node.name))
    .map((node) => problem("MILL_BUILD_LOOP", node, "its records come back to it"));
}

/** Results that wait for the checkpoint come when the steps of the same part have done their work: none with state may follow. */
function checkpointResults(nodes: readonly PlanNode[]): MillraceError[] {
  const deferring = new Map<number, string>();
  return nodes.flatMap((node) => {
    const { id, name, facts, inputs } = node;
    const above = inputs.map((input) => deferring.get(input)).find((one) => one !== undefined);
    const own = facts.defers ? name : facts.writes === "repartition" ? undefined : above;
    if (own !== undefined) deferring.set(id, own);
    if (above === undefined || !needsBatch(node)) return [];
    const detail = `"${above}" tells its changes at the checkpoint, too late for a step with state or calls. Let it tell every change`;
    return [problem("MILL_BUILD_OPTION", node, detail)];
  });
}

function unused(nodes: readonly PlanNode[]): MillraceError[] {
  const used = new Set(nodes.flatMap((node) => node.inputs));
  return nodes
    .filter((node) => !used.has(node.id) && !node.facts.ends)
    .map((node) => problem("MILL_BUILD_UNUSED", node, "nothing takes its result"));
}
