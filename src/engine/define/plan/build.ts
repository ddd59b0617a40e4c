// build(): from the drawn graph to a frozen plan. Checks everything, reports all problems at once.
import { createHash } from "node:crypto";
import { ConfigError, ConfigErrors, MillraceError, messageOf } from "../../core/errors.ts";
import {
  outputOf,
  type Part,
  type Plan,
  type PlanNode,
  type PlanOptions,
  type PlanResource,
  type PlanTable,
  type PlanTopic,
} from "../../core/plan.ts";
import { traces } from "./checks/calls.ts";
import { cut } from "./parts/cut.ts";
import type { Graph } from "../nodes/graph.ts";
import { validate } from "./checks/validate.ts";

export interface BuildInput {
  readonly name: string;
  readonly namespace: string;
  readonly options: PlanOptions;
  /** What is wrong with the options. */
  readonly problems: readonly MillraceError[];
  /** Runs the user's builder. */
  draw(): Graph;
}

/** Throws ConfigErrors. */
export function build(input: BuildInput): Plan {
  const graph = drawn(input);
  const { name, namespace, options } = input;
  const nodes = graph.nodes.map((node) => {
    const operation = node.facts.settle?.(node, options.retry) ?? node.operation;
    return { ...node, operation };
  });
  const problems = [...input.problems, ...graph.problems, ...validate(name, nodes)];
  if (problems.length > 0) throw new ConfigErrors(problems);
  const prefix = `${namespace}${name}`;
  const parts = cut(nodes, { pipeline: name, prefix });
  const traced = parts.flatMap(traces);
  if (traced.length > 0) throw new ConfigErrors(traced);
  return deepFreeze({
    pipeline: name,
    namespace,
    version: versionOf(name, options, parts),
    options,
    parts,
    ...topicsOf(parts),
    tables: parts.map((part) => part.table).filter((table): table is PlanTable => table !== null),
    deadLetters: `${prefix}-dead-letters`,
    parked: `${prefix}-parked`,
    redrive: `${prefix}-redrive`,
    letterStates: `${prefix}-letter-states`,
    meta: `${prefix}-meta`,
    storePrefix: prefix,
  });
}

function drawn({ name, draw }: BuildInput): Graph {
  try {
    return draw();
  } catch (error) {
    if (error instanceof MillraceError) throw new ConfigErrors([error]);
    const detail = `pipeline "${name}": ${messageOf(error)}`;
    throw new ConfigErrors([new ConfigError("MILL_BUILD_FAILED", detail, { cause: error })]);
  }
}

function topicsOf(parts: readonly Part[]): Pick<Plan, "topics" | "inputs" | "outputs"> {
  const byName = new Map<string, PlanTopic>();
  const written = new Set(parts.flatMap(({ nodes }) => nodes.map((node) => outputOf(node)?.name)));
  for (const { operation } of parts.flatMap((part) => part.nodes))
    if (operation.topic !== undefined) byName.set(operation.topic.name, operation.topic);
  for (const { changelog } of parts.flatMap((part) => part.stores))
    byName.set(changelog.name, changelog);
  const topics = [...byName.values()];
  const outer = topics.filter(({ internal }) => internal === null);
  const outputs = outer.filter(({ name }) => written.has(name));
  return { topics, inputs: outer.filter((topic) => !outputs.includes(topic)), outputs };
}

function versionOf(name: string, options: PlanOptions, parts: readonly Part[]): string {
  const nodes = (part: Part): unknown =>
    part.nodes.map(({ name: operator, operation, inputs }: PlanNode) => [
      operator,
      inputs,
      operation,
    ]);
  const text = JSON.stringify(
    [name, options, parts.map((part) => [part.name, nodes(part)])],
    (key, value: unknown) => {
      // Of a resource the name: its settings are no JSON.
      if (key === "resource") return (value as PlanResource | null)?.name;
      return typeof value === "function" ? String(value) : value;
    },
  );
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

/** Freezes the plan's own objects; declarations and functions of the user stay as they are. */
export function deepFreeze<T>(value: T): T {
  if (Array.isArray(value)) value.forEach(deepFreeze);
  else if (isPlain(value)) {
    for (const [name, inner] of Object.entries(value))
      if (name !== "declaration" && name !== "key" && name !== "value") deepFreeze(inner);
  } else return value;
  return Object.freeze(value);
}

const isPlain = (value: unknown): value is object =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
