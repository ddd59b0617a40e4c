// The graph that a builder draws: nodes in the order of declaration, each with the line that declared it.
import { ConfigError, type MillraceError } from "../../core/errors.ts";
import type { Operation, OperatorFacts, PlanNode } from "../../core/plan.ts";

/** Collects nodes while a pipeline's builder runs. */
export class Graph {
  readonly nodes: PlanNode[] = [];
  /** Problems of calls that could not become a node. */
  readonly problems: MillraceError[] = [];
  /** The partitions of topics whose declaration does not say. */
  readonly topicPartitions: number;

  constructor(topicPartitions: number) {
    this.topicPartitions = topicPartitions;
  }

  add(name: string, operation: Operation, facts: OperatorFacts, inputs: readonly number[]): number {
    const id = this.nodes.length;
    this.nodes.push({ id, name, operation, facts, inputs, site: callerSite() });
    return id;
  }

  /** Notes that an operator was given something else than a declared topic or table. */
  refuse(operator: string, expected: string, received: unknown): void {
    const what = received === undefined ? "undefined" : typeof received;
    const detail = `${callerSite()}  ${operator}: expected ${expected}, received ${what}`;
    this.problems.push(new ConfigError("MILL_BUILD_UNKNOWN", detail));
  }
}

const frame = /(?:\(|at )(?:file:\/\/)?([^()\s]+):(\d+):\d+\)?$/;
const engineFolder = new URL("../..", import.meta.url).pathname;

/** The first stack frame outside the engine, as path:line relative to the working directory. */
export function callerSite(): string {
  const lines = (new Error("site").stack ?? "").split("\n").slice(1);
  for (const line of lines) {
    if (line.includes(engineFolder)) continue;
    const [, file, row] = frame.exec(line) ?? [];
    if (file === undefined || row === undefined || file.startsWith("node:")) continue;
    return `${relative(file)}:${row}`;
  }
  return "unknown";
}

function relative(file: string): string {
  const root = `${process.cwd()}/`;
  return file.startsWith(root) ? file.slice(root.length) : file;
}

/** Types are stripped, not checked, at run time: a wrong value must still be a clear problem. */
export const isDeclared = (value: unknown, kind: string): boolean =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === kind;
