// A filter of a table deletes the keys that do not pass, and a Postgres table cannot do that yet: refused here, on any way
// from the one to the other, rather than a row that stays for ever.
import type { MillraceError } from "../../../core/errors.ts";
import type { PlanNode } from "../../../core/plan.ts";
import { problem } from "../../nodes/problem.ts";
import { reachedFrom } from "../../../core/walk.ts";

export function deletes(nodes: readonly PlanNode[]): MillraceError[] {
  return nodes
    .filter(({ facts }) => facts.deletes)
    .flatMap((filter) =>
      tablesBehind(filter, nodes).map((table) => {
        const stays = `rows of keys that do not pass would stay in "${table.name}" (${table.site})`;
        const next =
          "Write to a topic, or leave the filter out and map what does not count to a row that says so";
        return problem("MILL_BUILD_DELETES", filter, `${stays}. ${next}`);
      }),
    );
}

function tablesBehind(start: PlanNode, nodes: readonly PlanNode[]): PlanNode[] {
  const behind = reachedFrom(start, (at) =>
    // A fold makes something new of what it sees.
    at !== start && at.facts.folds ? [] : nodes.filter(({ inputs }) => inputs.includes(at.id)),
  );
  return [...behind].filter(({ facts }) => facts.writes === "table");
}
