// A plan as people read it: plain lines, a Mermaid drawing, or data without its functions.
import {
  storesOf,
  type Part,
  type Plan,
  type PlanNode,
  type PlanTopic,
} from "../engine/core/plan.ts";
import type { SchemaFormat } from "../engine/core/schema.ts";
import { tableLines } from "./table-lines.ts";

/** The data of a plan, as `describe --json` prints it. */
export function planData(plan: Plan): Readonly<Record<string, unknown>> {
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
  const start = typeof options.start === "number" ? timeText(options.start) : options.start;
  return [
    `${pipeline}  version ${version}`,
    `starts at ${start}; a callback that throws: ${options.onError}; dead letters: ${deadLetters}`,
    ...plan.parts.flatMap((part) => ["", ...partLines(part)]),
  ];
}

function partLines(part: Part): readonly string[] {
  const partitions = `${String(part.partitions)} partitions`;
  const rows = part.nodes.map((node) => [
    `  ${node.name}`,
    [node.operation.kind, ...Object.values(detailsOf(node))].join(" "),
    node.inputs.length === 0
      ? ""
      : `after ${node.inputs.map((id) => nameIn(part, id)).join(" and ")}`,
  ]);
  return [`${part.name}  ${part.kind}, group ${part.group}, ${partitions}`, ...tableLines(rows)];
}

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

const timeText = (epochMs: number): string => new Date(epochMs).toISOString();

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
    ...steps.map((node) => `    ${stepId(p, node)}["${node.name}"]`),
    "  end",
  ];
}

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
