// A plan as people read it: plain lines, a Mermaid drawing, or data without its functions.
import {
  storesOf,
  type Part,
  type Plan,
  type PlanNode,
  type PlanTopic,
} from "../engine/core/plan.ts";
import {
  awaitedSources,
  ResultClasses,
  type AwaitedSource,
  type ResultClass,
} from "../engine/define/plan/classes.ts";
import type { SchemaFormat } from "../engine/core/schema.ts";
import { delayBehind } from "../engine/core/upstream.ts";
import { tableLines } from "./table-lines.ts";

/** The data of a plan, as `describe --json` prints it. */
export function planData(plan: Plan): Readonly<Record<string, unknown>> {
  const classes = new ResultClasses(plan);
  return {
    pipeline: plan.pipeline,
    namespace: plan.namespace,
    version: plan.version,
    ...plan.options,
    deadLetters: plan.deadLetters,
    parts: plan.parts.map((part) => ({
      name: part.name,
      kind: part.kind,
      group: part.group,
      partitions: part.partitions,
      operators: part.nodes.map((node) => ({
        name: node.name,
        kind: node.operation.kind,
        inputs: node.inputs.map((id) => nameIn(part, id)),
        ...detailsOf(node),
        ...classData(classes.of(part, node)),
        ...timeData(part, node),
        site: node.site,
      })),
    })),
    topics: plan.topics.all.map(({ name, partitions, internal }) => ({
      name,
      partitions,
      internal,
    })),
    tables: plan.tables.map(({ name }) => name),
  };
}

export function planLines(plan: Plan): readonly string[] {
  const { pipeline, version, options, deadLetters } = plan;
  const classes = new ResultClasses(plan);
  const start = typeof options.start === "number" ? dateText(options.start) : options.start;
  return [
    `${pipeline}  version ${version}`,
    `starts at ${start}; a callback that throws: ${options.onError}; dead letters: ${deadLetters}`,
    ...plan.parts.flatMap((part) => ["", ...partLines(part, classes)]),
  ];
}

function partLines(part: Part, classes: ResultClasses): readonly string[] {
  const partitions = `${String(part.partitions)} partitions`;
  const rows = part.nodes.map((node) => [
    `  ${node.name}`,
    [node.operation.kind, ...Object.values(detailsOf(node))].join(" "),
    node.inputs.length === 0
      ? ""
      : `after ${node.inputs.map((id) => nameIn(part, id)).join(" and ")}`,
    [classText(classes.of(part, node)), ...timeText(part, node)].join("; "),
  ]);
  return [`${part.name}  ${part.kind}, group ${part.group}, ${partitions}`, ...tableLines(rows)];
}

const classText = (of: ResultClass): string =>
  of.name === "exact" ? of.name : `${of.name}: ${of.why}`;

const classData = (of: ResultClass) =>
  of.name === "exact" ? { class: of.name } : { class: of.name, why: of.why };

/** The sources that an operator waits for; nothing where it does not ask for time. */
function timeText(part: Part, node: PlanNode): readonly string[] {
  const holding = awaitedSources(part, node);
  if (holding.length === 0) return [];
  const delayMs = delayBehind(part, node);
  const delay = delayMs === 0 ? [] : [`time behind it is delayed by ${String(delayMs)} ms`];
  return [...delay, `its time is held back by ${holding.map(holdingText).join(" and ")}`];
}

function holdingText(source: AwaitedSource): string {
  const { topic, delayMs, writers, idleAfterMs, writtenBy } = source;
  const facts = [
    ...(writtenBy === undefined ? [] : [`written by ${writtenBy}`]),
    ...(writers === null ? [] : [`${String(writers)} tasks write it`]),
    ...(delayMs === 0 ? [] : [`${String(delayMs)} ms behind it`]),
    ...(idleAfterMs === null ? [] : [`quiet after ${String(idleAfterMs)} ms`]),
  ];
  return facts.length === 0 ? topic : `${topic} (${facts.join(", ")})`;
}

const timeData = (part: Part, node: PlanNode) => {
  const heldBackBy = awaitedSources(part, node);
  const delayMs = delayBehind(part, node);
  return heldBackBy.length === 0 ? {} : { time: { delayMs, heldBackBy } };
};

/** The facts of a node beside its kind; functions are left out. */
function detailsOf({ operation, facts }: PlanNode): Readonly<Record<string, string>> {
  const { topic } = operation;
  const stores = storesOf(operation).map(({ changelog }) => changelog.name);
  const isBetween = facts.writes === "repartition" || facts.writes === "forward";
  return {
    ...facts.details?.(operation),
    ...(isBetween && topic ? { topic: topic.name, values: valuesText(topic) } : {}),
    ...(stores.length === 0 ? {} : { store: stores.join(" ") }),
  };
}

/** The format of values in an internal topic, as text. */
function valuesText({ value }: PlanTopic): string {
  if (value.kind !== "carried") return formatText(value);
  const { writes, origins, declared } = value;
  if (declared !== null) return `(${formatText(declared)}, declared)`;
  const from = origins.map(({ topic, format }) => `${topic}: ${formatText(format)}`).join(", ");
  return writes === "tagged" ? "(JSON, its structure is noted)" : `(as they came, ${from})`;
}

function formatText(format: SchemaFormat): string {
  if (format.kind === "nullable") return formatText(format.of);
  return format.kind === "avro" ? `avro ${format.name}` : format.kind;
}

const nameIn = (part: Part, id: number): string =>
  part.nodes.find((node) => node.id === id)?.name ?? String(id);

const dateText = (epochMs: number): string => new Date(epochMs).toISOString();

/** A flow chart: a box for each part, topics and tables as cylinders between them. */
export function planMermaid(plan: Plan): readonly string[] {
  const ids = new Map<string, string>();
  const place = (name: string): string => {
    const id = ids.get(name) ?? `place${String(ids.size)}`;
    ids.set(name, id);
    return id;
  };
  const boxes = plan.parts.flatMap((part, p) => partBox(part, p));
  const arrows = plan.parts.flatMap((part, p) => partArrows(part, p, place));
  const places = [...ids].map(([name, id]) => `  ${id}[("${name}")]`);
  return ["flowchart LR", ...places, ...boxes, ...arrows];
}

/** The place that a node is, outside every box; null for a step. */
const placeOf = ({ operation: { topic, table } }: PlanNode): string | null =>
  topic?.name ?? table?.name ?? null;

const stepId = (p: number, node: PlanNode): string => `part${String(p)}step${String(node.id)}`;

function partBox(part: Part, p: number): readonly string[] {
  const steps = part.nodes.filter((node) => placeOf(node) === null);
  if (steps.length === 0) return [];
  return [
    `  subgraph part${String(p)}["${part.group}"]`,
    ...steps.map(
      (node) => `    ${stepId(p, node)}["${[node.name, ...windowOf(node)].join("<br/>")}"]`,
    ),
    "  end",
  ];
}

const windowOf = ({ facts, operation }: PlanNode): readonly string[] => {
  const windows = facts.windows?.(operation);
  return windows === undefined ? [] : [windows.form];
};

function partArrows(part: Part, p: number, place: (name: string) => string): readonly string[] {
  const idOf = (node: PlanNode): string => {
    const name = placeOf(node);
    return name === null ? stepId(p, node) : place(name);
  };
  return part.nodes.flatMap((node) =>
    part.nodes
      .filter((above) => node.inputs.includes(above.id))
      .map((above) => `  ${idOf(above)} --> ${idOf(node)}`),
  );
}
