// Names of tables as messages show them.
import type { PlanTable } from "../../core/plan.ts";
import type { TableSpec } from "../../core/table-layout.ts";

/** schema.table */
export const tableLabel = ({ declaration }: PlanTable): string => {
  const { schema, name } = declaration as TableSpec;
  return `${schema}.${name}`;
};
