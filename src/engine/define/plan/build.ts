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
  type PlanTopics,
} from "../../core/plan.ts";
import { traces } from "./checks/calls.ts";
import { loadFirst } from "./checks/load-first.ts";
import { tooManyChannels, withChannels } from "./parts/channels.ts";
import { otherWriters, withIdleness } from "./parts/idle.ts";
import { withOrigins } from "./parts/origins.ts";
import { placed } from "./disorder.ts";
import { cut } from "./parts/cut.ts";
import type { Graph } from "../nodes/graph.ts";
import { validate } from "./checks/validate.ts";

export interface BuildInput {
  readonly name: string;
  readonly namespace: string;
  readonly options: PlanOptions;
  /** Problems of the options. */
  readonly problems: readonly MillraceError[];
  /** Runs the user's builder. */
  draw(): Graph;
}

/** Throws ConfigErrors. */
export function build(input: BuildInput): Plan {
  const graph = drawn(input);
  const { name, namespace, options } = input;
  const nodes = placed(graph.nodes).map((node) => {
    const operation = node.facts.settle?.(node, options.retry) ?? node.operation;
    return { ...node, operation };
  });
  const wrong = [...validate(input, nodes), ...otherWriters(nodes, name)];
  const problems = [...input.problems, ...graph.problems, ...wrong];
  if (problems.length > 0) throw new ConfigErrors(problems);
  const prefix = `${namespace}${name}`;
  const parts = withOrigins(withIdleness(withChannels(cut(nodes, prefix)), name));
  const tooMany = tooManyChannels(parts, namespace);
  const traced = [...parts.flatMap(traces), ...loadFirst(parts), ...tooMany];
  if (traced.length > 0) throw new ConfigErrors(traced);
  const own = { deadLetters: `${prefix}-dead-letters`, meta: `${prefix}-meta` };
  const late = {
    letterStates: `${prefix}-letter-states`,
    redrive: `${prefix}-redrive`,
    parked: `${prefix}-parked`,
  };
  return deepFreeze({
    pipeline: name,
    namespace,
    version: versionOf(name, options, parts),
    options,
    parts,
    topics: { ...topicsOf(parts), own: Object.values(own), late: Object.values(late) },
    tables: parts.flatMap(({ table }) => table ?? []),
    ...own,
    ...late,
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

function topicsOf(parts: readonly Part[]): Omit<PlanTopics, "own" | "late"> {
  const nodes = parts.flatMap((part) => part.nodes);
  const written = new Set(nodes.map((node) => outputOf(node)?.name));
  const found = [
    ...nodes.flatMap(({ operation }) => operation.topic ?? []),
    ...parts.flatMap(({ stores }) => stores.map(({ changelog }) => changelog)),
  ];
  const all = [...new Map(found.map((topic) => [topic.name, topic])).values()];
  const internal = all.filter((topic) => topic.internal !== null);
  const outer = all.filter((topic) => topic.internal === null);
  const output = outer.filter(({ name }) => written.has(name));
  return { all, input: outer.filter((topic) => !output.includes(topic)), internal, output };
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
      // It is the same plan whoever says how many partitions a topic has.
      if (key === "partitionsBy") return undefined;
      // A resource counts by its name: its settings are no JSON.
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
