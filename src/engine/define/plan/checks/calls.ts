// Steps that call: their policies are settled here (the step's own, else the pipeline's), and what can be wrong with them.
// A key is parked only where its record has left no trace before: given up, it must be as if it had never been read.
import type { MillraceError } from "../../../core/errors.ts";
import type {
  CallOperation,
  Part,
  PlanNode,
  PlanResource,
  RetryPolicy,
} from "../../../core/plan.ts";
import { storeOf } from "../../store.ts";
import { problem } from "../../nodes/problem.ts";

const parkedName = (step: string): string => `${step}-parked`;

/** Gives each call its policy, and a store where its keys are parked. */
export function withPolicies(
  nodes: readonly PlanNode[],
  ofPipeline: RetryPolicy | undefined,
): PlanNode[] {
  return nodes.map((node) => {
    const { operation } = node;
    if (operation.kind !== "map-async") return node;
    const retry = operation.retry ?? ofPipeline ?? null;
    const settled: CallOperation = { ...operation, retry };
    if (retry?.mode !== "park-key") return { ...node, operation: settled };
    const store = storeOf(parkedName(node.name), { kind: "tagged-json" });
    return { ...node, operation: { ...settled, store } };
  });
}

type Caller = PlanNode & { readonly operation: CallOperation };

const isCaller = (node: PlanNode): node is Caller => node.operation.kind === "map-async";

export function calls(nodes: readonly PlanNode[]): MillraceError[] {
  const resources = new Map<string, PlanResource>();
  return nodes
    .filter(isCaller)
    .flatMap((node) => [
      ...numbers(node),
      ...twin(node, resources),
      ...("store" in node.operation ? storeName(node, nodes) : []),
    ]);
}

const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 1;

function numbers(node: Caller): MillraceError[] {
  const { concurrency, timeoutMs, retry } = node.operation;
  const checks: [boolean, string][] = [
    [isCount(concurrency), `concurrency of 1 or more, received ${String(concurrency)}`],
    [timeoutMs > 0, `a timeout above 0, received ${String(timeoutMs)} ms`],
  ];
  if (retry !== null) {
    const { attempts, firstMs, maxMs, runMax } = retry;
    checks.push(
      [isCount(attempts), `attempts of 1 or more, received ${String(attempts)}`],
      [firstMs > 0 && firstMs <= maxMs, "a first backoff above 0 and not above the longest"],
      [isCount(runMax.records) && isCount(runMax.bytes), "runMax of 1 or more"],
    );
  }
  return checks
    .filter(([holds]) => !holds)
    .map(([, expected]) => problem("MILL_BUILD_OPTION", node, `expected ${expected}`));
}

/** A test hands in a double by name. */
function twin(node: Caller, known: Map<string, PlanResource>): MillraceError[] {
  const { resource } = node.operation;
  if (resource === null) return [];
  const first = known.get(resource.name) ?? resource;
  known.set(resource.name, first);
  if (first.declaration === resource.declaration) return [];
  const detail = `another resource is called "${resource.name}" too`;
  return [problem("MILL_BUILD_NAME_TAKEN", node, detail)];
}

function storeName(node: Caller, nodes: readonly PlanNode[]): MillraceError[] {
  const other = nodes.find(({ name }) => name === parkedName(node.name));
  if (other === undefined) return [];
  const detail = `its store would be called as the operator at ${other.site}`;
  return [problem("MILL_BUILD_NAME_TAKEN", node, detail)];
}

const BEFORE =
  "so a record that is given up would leave a trace. Put a rekey or a topic between them, or retry with block";

/** What a record does in a part before it is parked, beside coming there. */
export function traces({ nodes }: Part): MillraceError[] {
  return nodes
    .filter((node) => isCaller(node) && "store" in node.operation)
    .flatMap((node) =>
      wayTo(node, nodes)
        .flatMap((above) => traceOf(above, nodes))
        .map((detail) => problem("MILL_BUILD_OPTION", node, `${detail}, ${BEFORE}`)),
    );
}

function traceOf(above: PlanNode, nodes: readonly PlanNode[]): string[] {
  const { kind } = above.operation;
  if (kind === "flat-map") return [`flat-map "${above.name}" makes several of one record`];
  if ("store" in above.operation && kind !== "map-async")
    return [`${kind} "${above.name}" has changed state by then`];
  const ways = nodes.filter((next) => comesFrom(above, next)).length;
  // Of the arms of a branch a record takes one.
  return kind === "branch" || ways < 2 ? [] : [`"${above.name}" leads elsewhere too`];
}

function wayTo(node: PlanNode, nodes: readonly PlanNode[]): PlanNode[] {
  const byId = new Map(nodes.map((one) => [one.id, one]));
  const way = new Map<number, PlanNode>();
  const open = [...node.inputs];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const above = byId.get(id) as PlanNode;
    way.set(id, above);
    open.push(...above.inputs.filter((input) => !way.has(input)));
  }
  return [...way.values()];
}

/** Another source of the same topic is another way of the same record. */
function comesFrom(
  { id, operation: a }: PlanNode,
  { inputs, id: own, operation: b }: PlanNode,
): boolean {
  if (inputs.includes(id)) return true;
  return own !== id && a.kind === "source" && b.kind === "source" && a.topic.name === b.topic.name;
}
