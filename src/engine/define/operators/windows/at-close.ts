// Folds that depend on the order of records, by windows that are emitted once. Directly on a source records are folded as they
// come. Behind a topic between parts, or several sources, a window keeps its records and folds them when it closes, in the order
// of their times and origins (O3).
import type { MillraceError } from "../../../core/errors.ts";
import type { OperatorFacts, PlanNode } from "../../../core/plan.ts";
import type { KeyBound } from "../../../transform/bounds/bound.ts";
import { isRunOf, wrongChunk, wrongRuns, type RecordRuns } from "../../../transform/kept/runs.ts";
import { readingKept, withCounts } from "../../../transform/shown/kept.ts";
import type { WindowOperation } from "../../../transform/windows/result.ts";
import type { Folding } from "../../folds.ts";
import { problem } from "../../nodes/problem.ts";
import { storeOf } from "../../store.ts";
import type { WindowOf } from "../../windows.ts";
import { shapeOf, type Emission } from "./shapes.ts";

/** The aggregates of such windows, which are lists of records. */
const listing = (fold: Folding): Folding => ({
  ...fold,
  format: { kind: "tagged-json" },
  wrongValue: (_key, stored) => wrongRuns(stored),
  merge: (a, b) => [...(a as RecordRuns), ...(b as RecordRuns)],
});

const recordRules = {
  ...{ dueOfUndated: () => null, wrongValue: wrongChunk, reader: readingKept(isRunOf) },
  keepsRecords: true,
} as const;

/** The fact of windows that work in another way where their records come in no order; none of those that do not. */
export function unorderedOf(
  name: string,
  { window, fold, emission }: { readonly window: WindowOf; fold: Folding; emission: Emission },
  bound: KeyBound | undefined,
  common: Partial<OperatorFacts>,
): Pick<OperatorFacts, "unordered"> {
  const isOnce = emission === "close" && window.kind !== "count";
  // Which record a bound refuses depends on the way of the records all the same.
  if (!isOnce || fold.anyOrder === true || bound !== undefined) return {};
  return { unordered: foldingAtClose(name, window, fold, common) };
}

function foldingAtClose(
  name: string,
  window: WindowOf,
  fold: Folding,
  common: Partial<OperatorFacts>,
): NonNullable<OperatorFacts["unordered"]> {
  const { init, add, merge, finish = (aggregate: unknown) => aggregate } = fold;
  const { kind, facts, format, wrongValue, reader } = shapeOf(window, listing(fold), "close");
  const shown = withCounts(reader);
  const store = storeOf(name, format, { dueOfUndated: () => null, wrongValue, reader: shown });
  const recordStore = storeOf(`${name}-records`, { kind: "tagged-json" }, recordRules);
  const operation = {
    ...{ kind, store, window, init, add, finish, emission: "close" as const },
    ...(merge === undefined ? {} : { merge }),
    recordStore,
    stores: [recordStore],
  } satisfies WindowOperation & Record<string, unknown>;
  return {
    operation,
    facts: {
      ...facts,
      ...common,
      orders: true,
      windows: (of) => {
        const { form, graceMs } = facts.windows?.(of) ?? { form: "", graceMs: 0 };
        return { form: `${form}, with its records`, graceMs };
      },
      details: (of) => ({ ...facts.details?.(of), folds: "at its close, its records in order" }),
      problems: (node, nodes) => [
        ...(facts.problems?.(node, nodes) ?? []),
        ...taken(node, recordStore.name, nodes),
      ],
    },
  };
}

function taken(node: PlanNode, store: string, nodes: readonly PlanNode[]): MillraceError[] {
  const other = nodes.find(({ name }) => name === store);
  if (other === undefined) return [];
  const detail = `its store would be called as the operator at ${other.site}`;
  return [problem("MILL_BUILD_NAME_TAKEN", node, detail)];
}
