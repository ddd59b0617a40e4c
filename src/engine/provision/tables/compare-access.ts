// The obstacles that keep an account from writing a table that is as declared, each with the SQL by which its owner
// mends it, and the notes worth knowing of the table. Pure.
import { quoted } from "../../core/identifier.ts";
import type { AccessColumn, FoundAccess, TriggerFacts } from "./access.ts";
import type { TableStep } from "./compare.ts";
import { named, targetOf } from "./ddl.ts";
import type { DesiredTable } from "./desired.ts";

export type SqlRight = "SELECT" | "INSERT" | "UPDATE" | "DELETE";

/** The rights of workers on our own tables; `runs` is the reprocessor's, who says so himself. */
const ownRights: Readonly<Record<string, readonly SqlRight[]>> = {
  progress: ["SELECT", "INSERT", "UPDATE"],
  letters: ["SELECT", "INSERT", "DELETE"],
  runs: [],
};

const refused = (text: string, owner: readonly string[], isRight = false): TableStep => ({
  text,
  sql: null,
  isNeeded: true,
  owner,
  ...(isRight ? { code: "MILL_POSTGRES_AUTH" } : {}),
});

export function compareAccess(desired: DesiredTable, access: FoundAccess): TableStep[] {
  return [
    ...missingRights(desired, access),
    ...missingPolicies(desired, access),
    ...unwritable(desired, access),
    ...access.rules.map((rule) =>
      refused(`rule ${rule}: a table with rules takes no ON CONFLICT`, [
        `DROP RULE ${named(rule)} ON ${targetOf(desired)}`,
      ]),
    ),
    ...lateKey(desired, access),
    ...sequences(desired, access),
  ];
}

/** The rights of a worker on a table. */
export const sqlRightsOf = ({ schema, name, key, columns }: DesiredTable): readonly SqlRight[] =>
  schema === "millrace"
    ? (ownRights[name] ?? [])
    : key.length === columns.length
      ? ["SELECT", "INSERT"]
      : ["SELECT", "INSERT", "UPDATE"];

function missingRights(desired: DesiredTable, access: FoundAccess): TableStep[] {
  const { role, mayUseSchema } = access;
  const needed = sqlRightsOf(desired);
  const lacking = needed.filter((right) => !hasRight(right, desired, access));
  const to = named(role);
  const schema = `role ${role} may not use schema ${desired.schema}`;
  const grant = `GRANT ${needed.join(", ")} ON ${targetOf(desired)} TO ${to}`;
  return [
    ...(mayUseSchema || needed.length === 0
      ? []
      : [refused(schema, [`GRANT USAGE ON SCHEMA ${quoted(desired.schema)} TO ${to}`], true)]),
    ...(lacking.length === 0
      ? []
      : [refused(`role ${role} lacks ${lacking.join(", ")}`, [grant], true)]),
  ];
}

/** Rights count that are given column by column, too. */
function hasRight(right: SqlRight, { columns, key }: DesiredTable, access: FoundAccess): boolean {
  if (right === "DELETE") return access.mayDelete;
  const kind = right.toLowerCase() as keyof AccessColumn["rights"];
  if (access.tableRights[kind]) return true;
  const there = new Set(access.columns.map(({ name }) => name));
  if (columns.some(({ name }) => !there.has(name))) return false;
  return access.columns
    .filter(({ name }) => columns.some((c) => c.name === name))
    .filter(({ name }) => right !== "UPDATE" || !key.includes(name))
    .filter(({ name }) => right !== "INSERT" || isWritten(name, columns))
    .every(({ rights }) => rights[kind]);
}

const isWritten = (name: string, columns: DesiredTable["columns"]): boolean =>
  columns.find((column) => column.name === name)?.isIdentity === false;

const commands: Readonly<Record<SqlRight, string>> = {
  SELECT: "r",
  INSERT: "a",
  UPDATE: "w",
  DELETE: "d",
};

function missingPolicies(desired: DesiredTable, access: FoundAccess): TableStep[] {
  const { policies, isPoliced, role } = access;
  if (!isPoliced || policies.includes("*")) return [];
  const lacking = sqlRightsOf(desired).filter((right) => !policies.includes(commands[right]));
  if (lacking.length === 0) return [];
  const text = `row-level security is on, and no policy lets role ${role} ${lacking.join(", ")}`;
  const rule = "USING (true) WITH CHECK (true)";
  const sql = `CREATE POLICY millrace ON ${targetOf(desired)} TO ${named(role)} ${rule}`;
  return [refused(text, [sql], true)];
}

/** Columns that a statement may not give a value, and others that it would have to. */
function unwritable(desired: DesiredTable, { columns }: FoundAccess): TableStep[] {
  const target = targetOf(desired);
  return columns.flatMap((column) => {
    const { name, generated, identity, isStrict } = column;
    const declared = desired.columns.find((one) => one.name === name);
    const at = `ALTER TABLE ${target} ALTER COLUMN ${named(name)}`;
    if (declared === undefined) {
      const text = `column ${name} is not declared, but its domain is NOT NULL`;
      return isStrict ? [refused(`${text}: declare it, or give it a default`, [])] : [];
    }
    if (declared.isIdentity) return [];
    if (generated !== "") {
      const anew = `ALTER TABLE ${target} DROP COLUMN ${named(name)}, ADD COLUMN ${named(name)} ${declared.type}`;
      const mend = generated === "s" ? `${at} DROP EXPRESSION` : anew;
      return [refused(`${name}: generated by Postgres, so it cannot be written`, [mend])];
    }
    if (identity !== "a") return [];
    const text = `${name}: GENERATED ALWAYS AS IDENTITY, so it cannot be written`;
    return [refused(text, [`${at} SET GENERATED BY DEFAULT`])];
  });
}

function lateKey(desired: DesiredTable, { lateKey: name }: FoundAccess): TableStep[] {
  if (name === null) return [];
  const key = desired.key.map(quoted).join(", ");
  const sql = `ALTER TABLE ${targetOf(desired)} DROP CONSTRAINT ${named(name)}, ADD PRIMARY KEY (${key})`;
  return [refused(`primary key ${name} is DEFERRABLE: ON CONFLICT needs one that is not`, [sql])];
}

const sequences = (desired: DesiredTable, access: FoundAccess): TableStep[] =>
  access.sequences
    .filter(({ column }) => !desired.columns.some(({ name }) => name === column))
    .map(({ column, sequence }) =>
      refused(
        `role ${access.role} may not use the sequence of column ${column}`,
        [`GRANT USAGE ON SEQUENCE ${sequence} TO ${named(access.role)}`],
        true,
      ),
    );

/** The facts that a reader of the plan should know, although nothing has to be done about them. */
export function notesOn({ triggers, fences, isPoliced, isUnlogged }: FoundAccess): string[] {
  return [
    ...triggers.map(triggerText),
    ...fences.map((fence) => `${fence}: a row that breaks it becomes a dead letter`),
    ...(isPoliced ? ["row-level security: a row that a policy refuses becomes a dead letter"] : []),
    ...(isUnlogged
      ? ["unlogged: a crash of Postgres empties it, and progress does not go back"]
      : []),
  ];
}

/** The bits of pg_trigger.tgtype. */
const bits = { row: 1, before: 2, insert: 4, delete: 8, update: 16, truncate: 32, instead: 64 };

function triggerText({ name, type, function: called }: TriggerFacts): string {
  const has = (bit: keyof typeof bits): boolean => (type & bits[bit]) !== 0;
  const events = (["insert", "update", "delete", "truncate"] as const).filter(has);
  const when = has("before") ? "before" : has("instead") ? "instead of" : "after";
  const level = has("row") ? "row" : "statement";
  return `trigger ${name} (${when} ${events.join(" or ")}, each ${level}): ${called}()`;
}
