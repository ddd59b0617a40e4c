// validate(): what can be known of a graph before anything is connected. Returns every problem.
import { ConfigError, type MillraceError } from "../../../core/errors.ts";
import type { PlanNode, PlanTopic } from "../../../core/plan.ts";
import type { SchemaFormat } from "../../../core/schema.ts";
import { calls } from "./calls.ts";
import { deletes } from "./deletes.ts";
import { nullKeys } from "./null-keys.ts";
import { unknownTopic } from "../../nodes/plan-topic.ts";
import { problem } from "../../nodes/problem.ts";
import { schemas } from "./schemas.ts";

const KEBAB = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const SNAKE = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/;
const TOPIC = /^[a-zA-Z0-9._-]{1,200}$/;
const NAME_MAX = 60;

const terminal = new Set(["to", "upsert", "forward", "arm"]);
/** Named by their topic, or by the branch they belong to. */
const unnamed = new Set(["source", "to", "arm"]);

export function validate(pipeline: string, nodes: readonly PlanNode[]): MillraceError[] {
  const checks = [names, topics, partitions, keys, nullKeys, loops, held, deletes, repeats];
  const all = [...checks, unused, calls, schemas];
  const empty = nodes.length === 0 ? [emptyPipeline(pipeline)] : [];
  return [...pipelineName(pipeline), ...empty, ...all.flatMap((check) => check(nodes))];
}

const emptyPipeline = (pipeline: string): MillraceError =>
  new ConfigError("MILL_BUILD_UNUSED", `pipeline "${pipeline}" reads nothing and writes nothing`);

const fits = (name: string, shape: RegExp): boolean => shape.test(name) && name.length <= NAME_MAX;

function pipelineName(name: string): MillraceError[] {
  if (fits(name, KEBAB)) return [];
  const expected = `pipeline "${name}": expected kebab-case of at most ${String(NAME_MAX)} characters`;
  return [new ConfigError("MILL_BUILD_NAME_INVALID", expected)];
}

function names(nodes: readonly PlanNode[]): MillraceError[] {
  const problems: MillraceError[] = [];
  const taken = new Map<string, PlanNode>();
  for (const node of nodes.filter(({ operation }) => !unnamed.has(operation.kind))) {
    const { kind } = node.operation;
    const shape = kind === "upsert" ? SNAKE : KEBAB;
    if (!fits(node.name, shape))
      problems.push(problem("MILL_BUILD_NAME_INVALID", node, expectedName(shape)));
    if (kind === "repartition" && node.name === "main")
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
  "topic" in node.operation && node.operation.kind !== "repartition" ? node.operation.topic : null;

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

/** What flows out of each node: its key's format and its number of partitions. */
function flows(
  nodes: readonly PlanNode[],
): Map<number, { key: SchemaFormat; partitions: number; from: string }> {
  const out = new Map<number, { key: SchemaFormat; partitions: number; from: string }>();
  for (const { id, name, operation, inputs } of nodes) {
    const above = out.get(inputs[0] ?? -1);
    const begins = operation.kind === "source" || operation.kind === "repartition";
    if (!begins) {
      if (above !== undefined) out.set(id, above);
    } else if (operation.topic !== unknownTopic) {
      const { key, partitions: declared } = operation.topic;
      out.set(id, { key, partitions: declared || (above?.partitions ?? 0), from: name });
    }
  }
  return out;
}

const merges = (nodes: readonly PlanNode[]): PlanNode[] =>
  nodes.filter((node) => node.operation.kind === "merge");

function partitions(nodes: readonly PlanNode[]): MillraceError[] {
  const out = flows(nodes);
  return merges(nodes).flatMap((node) => {
    const [a, b] = node.inputs.map((id) => out.get(id));
    if (a === undefined || b === undefined || a.partitions === b.partitions) return [];
    const received = `${a.from} ${String(a.partitions)} and ${b.from} ${String(b.partitions)}`;
    const detail = `expected equal partition counts, received ${received}. Rekey one side`;
    return [problem("MILL_BUILD_PARTITIONS_DIFFER", node, detail)];
  });
}

const plain = (format: SchemaFormat): SchemaFormat =>
  format.kind === "nullable" ? format.of : format;
const same = (a: SchemaFormat, b: SchemaFormat): boolean =>
  JSON.stringify(plain(a)) === JSON.stringify(plain(b));
const describe = (format: SchemaFormat): string =>
  format.kind === "avro" ? `avro ${format.name}` : plain(format).kind;

/** Streams that meet, and a stream and the topic it is written to, must write keys alike. */
function keys(nodes: readonly PlanNode[]): MillraceError[] {
  const out = flows(nodes);
  const problems: MillraceError[] = [];
  for (const node of nodes) {
    const [a, b] = node.inputs.map((id) => out.get(id)?.key);
    const other = node.operation.kind === "to" ? node.operation.topic.key : b;
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
  for (const { id, operation, inputs } of nodes) {
    const own = new Set(inputs.flatMap((input) => [...(readBy.get(input) ?? [])]));
    if (operation.kind === "source") own.add(operation.topic.name);
    readBy.set(id, own);
    if (operation.kind !== "to") continue;
    for (const source of own)
      feeds.set(source, (feeds.get(source) ?? new Set()).add(operation.topic.name));
  }
  return nodes.flatMap((node) =>
    node.operation.kind === "to" && reaches(node.operation.topic.name, feeds)
      ? [problem("MILL_BUILD_LOOP", node, "its records come back to it")]
      : [],
  );
}

function reaches(topic: string, feeds: ReadonlyMap<string, ReadonlySet<string>>): boolean {
  const seen = new Set<string>();
  const open = [...(feeds.get(topic) ?? [])];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next === topic) return true;
    if (seen.has(next)) continue;
    seen.add(next);
    open.push(...(feeds.get(next) ?? []));
  }
  return false;
}

/** What is told at the checkpoint comes when the steps of the same part have done their work: none with state may follow. */
function held(nodes: readonly PlanNode[]): MillraceError[] {
  const holders = new Map<number, string>();
  return nodes.flatMap((node) => {
    const { id, name, operation, inputs } = node;
    const above = inputs.map((input) => holders.get(input)).find((holder) => holder !== undefined);
    const holds = operation.kind === "aggregate" && operation.emission === "checkpoint";
    const own = holds ? name : operation.kind === "repartition" ? undefined : above;
    if (own !== undefined) holders.set(id, own);
    if (above === undefined || !("store" in operation || operation.kind === "map-async")) return [];
    const detail = `"${above}" tells its changes at the checkpoint, too late for a step with state or calls. Let it tell every change`;
    return [problem("MILL_BUILD_OPTION", node, detail)];
  });
}

/** Types are stripped at run time, and a word that nobody knows would let every conflict pass. */
function repeats(nodes: readonly PlanNode[]): MillraceError[] {
  return nodes.flatMap((node) => {
    const { operation } = node;
    const conflict: unknown = operation.kind === "distinct" ? operation.onRepeat?.conflict : null;
    if (conflict === undefined || conflict === null) return [];
    if (conflict === "dead-letter" || conflict === "log") return [];
    return [problem("MILL_BUILD_OPTION", node, 'expected conflict: "dead-letter" or "log"')];
  });
}

function unused(nodes: readonly PlanNode[]): MillraceError[] {
  const used = new Set(nodes.flatMap((node) => node.inputs));
  return nodes
    .filter((node) => !used.has(node.id) && !terminal.has(node.operation.kind))
    .map((node) => problem("MILL_BUILD_UNUSED", node, "nothing takes its result"));
}
