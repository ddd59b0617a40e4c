// The privileges on tables and schemas. An operator makes tables, and so owns them; a worker writes them, a reader reads.
import { quoted } from "../../core/identifier.ts";
import type { Plan } from "../../core/plan.ts";
import { layoutOf, type TableSpec } from "../../core/table-layout.ts";
import { sqlRightsOf, type SqlRight } from "../tables/compare-access.ts";
import { createSchema, named, targetOf } from "../tables/ddl.ts";
import { desiredTable, ownTables, type DesiredTable } from "../tables/desired.ts";
import type { Role } from "./rights.ts";

/** SQL, in the order in which it is run; none for a worker of a pipeline without tables. */
export function tableGrants(plan: Plan, role: Role, user: string): readonly string[] {
  const declared = plan.tables.map(({ declaration }) =>
    desiredTable(layoutOf(declaration as TableSpec)),
  );
  const to = named(user);
  // Runs of the reprocessor are rows, whatever the pipeline writes.
  if (role === "operator") return makerGrants([...ownTables, ...declared], to);
  if (declared.length === 0) return [];
  const tables = [...ownTables, ...declared];
  const rights = (table: DesiredTable): readonly SqlRight[] =>
    role === "reader" ? ["SELECT"] : sqlRightsOf(table);
  return [
    `GRANT USAGE ON SCHEMA ${schemasOf(tables).map(quoted).join(", ")} TO ${to}`,
    ...tables.flatMap((table) => {
      const given = rights(table);
      return given.length === 0 ? [] : [`GRANT ${given.join(", ")} ON ${targetOf(table)} TO ${to}`];
    }),
  ];
}

const schemasOf = (tables: readonly DesiredTable[]): readonly string[] => [
  ...new Set(tables.map(({ schema }) => schema)),
];

const makerGrants = (tables: readonly DesiredTable[], to: string): string[] =>
  schemasOf(tables).flatMap((schema) => [
    ...(schema === "public" ? [] : [createSchema(schema)]),
    `GRANT USAGE, CREATE ON SCHEMA ${quoted(schema)} TO ${to}`,
  ]);
